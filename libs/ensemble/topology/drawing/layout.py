"""The layout of one panel: services in two columns, their roles, and a lane for each message between the columns.

Pure geometry, from the edges alone. The service with the most edges stands left; every lane has a height of its own, so
no two labels meet. A message within one column runs in a gutter beside the roles, its label below its source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, Literal

from ensemble.topology.graph import Edge, Graph, Node

Side = Literal["left", "right"]
Way = Literal["out", "in"]
Point = tuple[float, float]
Heights = Mapping[Edge, float]
Span = tuple[float, float]
"""Upper and lower end."""

WAYS: Final[tuple[Way, ...]] = ("out", "in")

GLYPH: Final = 7.25
"""The width of a character of the 12 px monospaced type that names are set in."""
PAD: Final = 10.0
GUTTER: Final = 11.0
BEND: Final = 40.0
LANE: Final = 22.0
TITLE: Final = 28.0
GAP: Final = 8.0
BETWEEN: Final = 14.0
LOOP_ROW: Final = 18.0


@dataclass(frozen=True)
class Box:
    """A rectangle with a name: a service (a node without a role), or one of its roles."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    indent: float = PAD
    """Distance of the name from the left edge."""


@dataclass(frozen=True)
class Lane:
    """A message from one column to the other, its label over the middle of `flat`."""

    label: str
    start: Point
    end: Point
    flat: tuple[float, float]
    """Where the level part begins and ends, at the right column's height."""


@dataclass(frozen=True)
class Loop:
    """A message that stays in its column: out of one role, along the gutter, into another."""

    label: str
    text: Point
    anchor: Literal["start", "end"]
    start: Point
    end: Point
    gutter: float


@dataclass(frozen=True)
class Panel:
    """The layout of a panel, which begins at x 0 and y `top`."""

    services: tuple[Box, ...]
    roles: tuple[Box, ...]
    lanes: tuple[Lane, ...]
    loops: tuple[Loop, ...]
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """One column of a panel: services below each other with their roles, and the messages that touch them."""

    services: Mapping[str, Sequence[Node]]
    lanes: Sequence[Edge]
    """Messages to or from the other column."""
    loops: Sequence[Edge]
    """Messages within this column."""

    def sorted_by(self, heights: Heights) -> Column:
        """Return the column with services and roles in the order of their lanes' mean heights."""
        services = {
            service: sorted(nodes, key=lambda node: self._mean([node], heights))
            for service, nodes in self.services.items()
        }
        ordered = sorted(services.items(), key=lambda item: self._mean(item[1], heights))
        return Column(dict(ordered), self.lanes, self.loops)

    def lanes_of(self, node: Node) -> list[Edge]:
        """Return the lanes that begin or end at `node`."""
        return [edge for edge in self.lanes if node in (edge.source, edge.target)]

    def loops_from(self, node: Node) -> list[Edge]:
        """Return the loops that begin at `node`."""
        return [edge for edge in self.loops if edge.source == node]

    def _mean(self, nodes: Sequence[Node], heights: Heights) -> float:
        of_nodes = [heights[edge] for node in nodes for edge in self.lanes_of(node)]
        return fmean(of_nodes) if of_nodes else float("inf")


@dataclass
class Stack:
    """The heights of a column: of services and roles, of the ends of its lanes and the labels of its loops."""

    services: dict[str, Span] = field(default_factory=dict)
    roles: dict[Node, Span] = field(default_factory=dict)
    lanes: dict[Edge, float] = field(default_factory=dict)
    labels: dict[Edge, float] = field(default_factory=dict)
    bottom: float = 0.0


@dataclass(frozen=True)
class _Placed:
    """A column with its heights and its position from left to right."""

    column: Column
    stack: Stack
    side: Side
    x: float

    @property
    def role_width(self) -> float:
        """The width of the widest role."""
        names = [node.role for node in self.stack.roles] + [edge.message.__name__ for edge in self.column.loops]
        return max((len(name) * GLYPH for name in names), default=0.0) + 2 * PAD

    @property
    def gutters(self) -> float:
        """The width of the gutters for the loops."""
        return len(self.column.loops) * GUTTER

    @property
    def width(self) -> float:
        """The width of the whole column, 0 if it is empty."""
        return self.role_width + self.gutters + 2 * PAD if self.stack.roles else 0.0

    @property
    def roles_x(self) -> float:
        """The left edge of the roles."""
        return self.x + PAD + (self.gutters if self.side == "left" else 0.0)

    @property
    def inner(self) -> float:
        """The x at which lanes arrive."""
        return self.roles_x + (self.role_width if self.side == "left" else 0.0)

    @property
    def outer(self) -> float:
        """The x at which loops leave."""
        return self.roles_x + (0.0 if self.side == "left" else self.role_width)


def lay_out(edges: Sequence[Edge], graph: Graph) -> Panel:
    """Lay out the edges and the roles that they touch."""
    left, right = _columns(edges, graph)
    left, beside, across = _align(left, right)
    first = _Placed(left, beside, "left", 0.0)
    second = _Placed(right, across, "right", first.width + _gap(left.lanes, beside, across))
    return _panel(first, second)


def _align(left: Column, right: Column) -> tuple[Column, Stack, Stack]:
    """Sort and stretch each column by the other, so that lanes run level where they can."""
    across = stack(right, {})
    ordered = left.sorted_by(across.lanes)
    across = stack(right, stack(ordered, across.lanes).lanes)
    beside = stack(ordered, across.lanes)
    return ordered, beside, stack(right, beside.lanes)


def _panel(first: _Placed, second: _Placed) -> Panel:
    both = (first, second)
    tops = [top for placed in both for top, _ in placed.stack.services.values()]
    top = min(tops, default=0.0)
    return Panel(
        services=tuple(box for placed in both for box in _services(placed)),
        roles=tuple(box for placed in both for box in _roles(placed)),
        lanes=tuple(_lane(edge, first, second) for edge in first.column.lanes),
        loops=tuple(loop for placed in both for loop in _loops(placed)),
        top=top,
        width=second.x + second.width,
        height=max(first.stack.bottom, second.stack.bottom) - top,
    )


# -- sides ------------------------------------------------------------------------------------------------------------


def _columns(edges: Sequence[Edge], graph: Graph) -> tuple[Column, Column]:
    sides = _sides(edges, graph)
    lanes = [edge for edge in edges if sides[edge.source.service] != sides[edge.target.service]]
    touched = {node for edge in edges for node in (edge.source, edge.target)}
    nodes = [*graph.roles, *(Node(service) for service in graph.services)]

    def column(side: Side) -> Column:
        mine = [service for service in graph.services if sides.get(service) == side]
        services = {name: [node for node in nodes if node in touched and node.service == name] for name in mine}
        return Column(services, lanes, [edge for edge in edges if edge not in lanes and edge.source.service in mine])

    return column("left"), column("right")


def _sides(edges: Sequence[Edge], graph: Graph) -> dict[str, Side]:
    """Put the busiest service left, and each other one opposite to most of those it exchanges messages with."""
    pairs = [(edge.source.service, edge.target.service) for edge in edges]
    links = {
        service: [b if a == service else a for a, b in pairs if service in (a, b) and a != b]
        for service in graph.services
    }
    touched = [service for service in graph.services if any(service in pair for pair in pairs)]
    sides: dict[str, Side] = {}
    for service in sorted(touched, key=lambda name: -len(links[name])):
        near = [sides[other] for other in links[service] if other in sides]
        sides[service] = "right" if near.count("left") > near.count("right") or (sides and not near) else "left"
    return sides


# -- heights -----------------------------------------------------------------------------------------------------------


def stack(column: Column, preferred: Heights) -> Stack:
    """Stack services and roles; each lane gets its preferred height, or the next free one below."""
    heights = Stack()
    for service, nodes in column.services.items():
        heights.bottom += TITLE + (BETWEEN if heights.services else 0.0)
        for node in nodes:
            _add_role(node, column, preferred, heights)
        heights.services[service] = (heights.roles[nodes[0]][0] - TITLE, heights.bottom)
    return heights


def _add_role(node: Node, column: Column, preferred: Heights, heights: Stack) -> None:
    lanes = sorted(column.lanes_of(node), key=lambda edge: preferred.get(edge, 0.0))
    free = heights.bottom + LANE / 2 + 2
    for edge in lanes:
        heights.lanes[edge] = max(free, preferred.get(edge, 0.0))
        free = heights.lanes[edge] + LANE
    top = heights.lanes[lanes[0]] - LANE / 2 - 2 if lanes else heights.bottom
    end = max(free - LANE / 2 + 2, top + LANE + 4)
    heights.roles[node] = (top, end)
    for edge in column.loops_from(node):
        heights.labels[edge] = end + LOOP_ROW - 4
        end += LOOP_ROW
    heights.bottom = end + GAP


# -- places -----------------------------------------------------------------------------------------------------------


def _gap(lanes: Sequence[Edge], left: Stack, right: Stack) -> float:
    level = all(left.lanes[edge] == right.lanes[edge] for edge in lanes)
    longest = max((len(edge.message.__name__) * GLYPH for edge in lanes), default=0.0)
    return longest + 2 * PAD + (0.0 if level else BEND) if lanes else 2 * PAD


def _services(placed: _Placed) -> list[Box]:
    spans = placed.stack.services.items()
    indent = placed.roles_x - placed.x
    return [Box(Node(name), placed.x, top, placed.width, end - top, indent) for name, (top, end) in spans]


def _roles(placed: _Placed) -> list[Box]:
    spans = placed.stack.roles.items()
    return [Box(node, placed.roles_x, top, placed.role_width, end - top) for node, (top, end) in spans]


def _lane(edge: Edge, first: _Placed, second: _Placed) -> Lane:
    left = (first.inner, first.stack.lanes[edge])
    right = (second.inner, second.stack.lanes[edge])
    flat = (first.x + first.width + (0.0 if left[1] == right[1] else BEND), second.x)
    rightwards = edge.source in first.stack.roles
    start, end = (left, right) if rightwards else (right, left)
    return Lane(edge.message.__name__, start, end, flat)


def _loops(placed: _Placed) -> list[Loop]:
    away = -1 if placed.side == "left" else 1
    loops = []
    for place, edge in enumerate(placed.column.loops):
        start, end = (placed.outer, _attachment(placed, edge, "out")), (placed.outer, _attachment(placed, edge, "in"))
        text = (placed.outer - away * 3, placed.stack.labels[edge])
        gutter = placed.outer + away * (GUTTER * (place + 1) - 2)
        loops.append(Loop(edge.message.__name__, text, "start" if away < 0 else "end", start, end, gutter))
    return loops


def _attachment(placed: _Placed, edge: Edge, way: Way) -> float:
    """Return the height at which a loop touches its role; loops share the outer edge of a role evenly."""
    node = _end_of(edge, way)
    top, end = placed.stack.roles[node]
    ends = [(loop, side) for loop in placed.column.loops for side in WAYS if _end_of(loop, side) == node]
    return top + (end - top) * (ends.index((edge, way)) + 1) / (len(ends) + 1)


def _end_of(edge: Edge, way: Way) -> Node:
    return edge.source if way == "out" else edge.target
