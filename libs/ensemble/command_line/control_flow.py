"""Who decided that a message follows: derived from the same declarations that the diagrams are drawn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from ensemble.command_line.selection import application
from ensemble.topology import Graph, flow_of

ORCHESTRATED: Final = "orchestrated"
CHOREOGRAPHED: Final = "choreographed"
BOTH: Final = "both"

COLOURS: Final[Mapping[tuple[str, str], str]] = {
    (ORCHESTRATED, "command"): "dodger_blue1",
    (ORCHESTRATED, "event"): "cyan",
    (CHOREOGRAPHED, "command"): "orange_red1",
    (CHOREOGRAPHED, "event"): "orange1",
    (BOTH, "event"): "green",
}
"""As in the diagrams: blues are conducted, oranges are not."""


def control_of(message: str, sender: str) -> str:
    """Return `orchestrated`, `choreographed`, `both` (a conductor and other roles react), `ledger` or `outside`."""
    edges = _edges()
    controls = edges.get((message, sender)) or edges.get((message, "")) or frozenset({"outside"})
    decided = controls & {ORCHESTRATED, CHOREOGRAPHED}
    if len(decided) > 1:
        return BOTH
    return next(iter(decided or controls))


def colour_of(control: str, kind: str) -> str:
    """Return the terminal colour of a combination; grey for outside and ledger."""
    return COLOURS.get((control, kind), "bright_black")


def receivers(message: str) -> list[str]:
    """Return the services that receive the message."""
    return sorted(_takers().get(message, ()))


@cache
def _edges() -> dict[tuple[str, str], frozenset[str]]:
    """Return the control flow of each message by sender; an empty sender stands for all of them."""
    controls_of: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for edge in _flow().edges:
        for sender in (edge.source.service, ""):
            controls_of[edge.message.__name__, sender].add(edge.control)
    return {key: frozenset(controls) for key, controls in controls_of.items()}


@cache
def _takers() -> dict[str, set[str]]:
    services: defaultdict[str, set[str]] = defaultdict(set)
    for edge in _flow().edges:
        if edge.control != "ledger":
            services[edge.message.__name__].add(edge.target.service)
    return services


@cache
def _flow() -> Graph:
    return flow_of(application().make_services(), application().catalogue)
