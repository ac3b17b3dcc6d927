"""One column of a panel: services below each other, each with its roles, each role as high as its lanes need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from ensemble.topology.graph import Edge, Node

LANE: Final = 22.0
TITLE: Final = 28.0
GAP: Final = 8.0
BETWEEN: Final = 14.0
LOOP_ROW: Final = 18.0

Heights = Mapping[Edge, float]
Span = tuple[float, float]
"""Where something begins and where it ends."""


@dataclass(frozen=True)
class Column:
    """What stands in it, from top to bottom, and the messages that touch it."""

    services: Mapping[str, Sequence[Node]]
    lanes: Sequence[Edge]
    """Messages to or from the other column."""
    loops: Sequence[Edge]
    """Messages that stay in this one."""

    def facing(self, heights: Heights) -> Column:
        """The same, in the order of where its lanes lie on the other side."""
        services = {
            service: sorted(nodes, key=lambda node: self._mean([node], heights))
            for service, nodes in self.services.items()
        }
        ordered = sorted(services.items(), key=lambda item: self._mean(item[1], heights))
        return Column(dict(ordered), self.lanes, self.loops)

    def lanes_of(self, node: Node) -> list[Edge]:
        return [edge for edge in self.lanes if node in (edge.source, edge.target)]

    def loops_from(self, node: Node) -> list[Edge]:
        return [edge for edge in self.loops if edge.source == node]

    def _mean(self, nodes: Sequence[Node], heights: Heights) -> float:
        found = [heights[edge] for node in nodes for edge in self.lanes_of(node) if edge in heights]
        return fmean(found) if found else float("inf")


@dataclass
class Stack:
    """A column with heights: of services, of roles, of where each lane arrives and each loop has its label."""

    services: dict[str, Span] = field(default_factory=dict)
    roles: dict[Node, Span] = field(default_factory=dict)
    lanes: dict[Edge, float] = field(default_factory=dict)
    labels: dict[Edge, float] = field(default_factory=dict)
    bottom: float = 0.0


def stack(column: Column, wished: Heights) -> Stack:
    """Give everything its height; each lane gets the wished one, or the next free one below."""
    made = Stack()
    for service, nodes in column.services.items():
        made.bottom += TITLE + (BETWEEN if made.services else 0.0)
        for node in nodes:
            _put(node, column, wished, made)
        made.services[service] = (made.roles[nodes[0]][0] - TITLE, made.bottom)
    return made


def _put(node: Node, column: Column, wished: Heights, made: Stack) -> None:
    lanes = sorted(column.lanes_of(node), key=lambda edge: wished.get(edge, 0.0))
    free = made.bottom + LANE / 2 + 2
    for edge in lanes:
        made.lanes[edge] = max(free, wished.get(edge, 0.0))
        free = made.lanes[edge] + LANE
    top = made.lanes[lanes[0]] - LANE / 2 - 2 if lanes else made.bottom
    end = max(free - LANE / 2 + 2, top + LANE + 4)
    made.roles[node] = (top, end)
    for edge in column.loops_from(node):
        made.labels[edge] = end + LOOP_ROW - 4
        end += LOOP_ROW
    made.bottom = end + GAP
