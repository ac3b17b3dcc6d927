"""The four combinations of kind of message and control flow: their names and colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ensemble.topology.graph import ControlFlow, Edge, Graph, Kind


@dataclass(frozen=True)
class Combination:
    """One combination. Blues are conducted, oranges are not; commands are the darker, solid one of each pair."""

    control: ControlFlow
    kind: Kind
    title: str
    meaning: str
    colour: str

    @property
    def is_dashed(self) -> bool:
        """Whether its edges are dashed, as those of events are."""
        return self.kind == "event"

    def edges(self, graph: Graph) -> tuple[Edge, ...]:
        """Return the edges of the graph that are of this combination."""
        return graph.of(self.control, self.kind)


COMBINATIONS: Final = (
    Combination(
        "orchestrated", "command", "Orchestration with commands", "a conductor tells the owner what to do", "#0b4f8a"
    ),
    Combination("orchestrated", "event", "Orchestration with events", "a conductor learns what happened", "#1587b8"),
    Combination(
        "choreographed",
        "command",
        "Choreography with commands",
        "a player tells the next one, past the conductor",
        "#a8430a",
    ),
    Combination("choreographed", "event", "Choreography with events", "a player reacts by itself", "#b97000"),
)
