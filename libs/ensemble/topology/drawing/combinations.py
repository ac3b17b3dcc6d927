"""The four combinations of what a message means and who decides what happens next: their names and their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ensemble.topology.graph import Control, Edge, Graph, Kind


@dataclass(frozen=True)
class Combination:
    """One of the four. Blues are conducted, oranges are not; commands are the darker, solid one of each pair."""

    control: Control
    kind: Kind
    title: str
    meaning: str
    colour: str

    @property
    def dashed(self) -> bool:
        return self.kind == "event"

    def edges(self, graph: Graph) -> tuple[Edge, ...]:
        """Its edges of the graph."""
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
