"""Where everything of one panel lies: services in two columns, their roles, and a lane for each message between them.

Pure geometry, from the edges alone. The service that has most to do with others stands left; every lane has a height of
its own, so no two labels meet. What stays in one column runs in a gutter beside the roles, its label below its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ensemble.topology.drawing.columns import Column, Stack, stack
from ensemble.topology.graph import Edge, Graph, Node

Side = Literal["left", "right"]
Way = Literal["out", "in"]
Point = tuple[float, float]

WAYS: Final[tuple[Way, ...]] = ("out", "in")

GLYPH: Final = 7.25
"""The width of a character of the 12 px monospaced type that names are set in."""
PAD: Final = 10.0
GUTTER: Final = 11.0
BEND: Final = 40.0


@dataclass(frozen=True)
class Box:
    """A rectangle with a name: a service (a node without a role), or one of its roles."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    indent: float = PAD
    """How far from the left its name begins."""


@dataclass(frozen=True)
class Lane:
    """A message from one column to the other, its label over the middle of `flat`."""

    label: str
    start: Point
    end: Point
    flat: tuple[float, float]
    """From where to where it runs level, at the right column's height."""


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
    """A laid out panel. It begins at x 0 and y `top`."""

    services: tuple[Box, ...]
    roles: tuple[Box, ...]
    lanes: tuple[Lane, ...]
    loops: tuple[Loop, ...]
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class _Placed:
    """A column with heights and with its place from left to right."""

    column: Column
    stack: Stack
    side: Side
    x: float

    @property
    def inside(self) -> float:
        """How wide its roles are."""
        names = [node.role for node in self.stack.roles] + [edge.message.__name__ for edge in self.column.loops]
        return max((len(name) * GLYPH for name in names), default=0.0) + 2 * PAD

    @property
    def gutters(self) -> float:
        """How much room its loops need."""
        return len(self.column.loops) * GUTTER

    @property
    def width(self) -> float:
        return self.inside + self.gutters + 2 * PAD if self.stack.roles else 0.0

    @property
    def roles_x(self) -> float:
        return self.x + PAD + (self.gutters if self.side == "left" else 0.0)

    @property
    def inner(self) -> float:
        """Where lanes arrive."""
        return self.roles_x + (self.inside if self.side == "left" else 0.0)

    @property
    def outer(self) -> float:
        """Where loops leave."""
        return self.roles_x + (0.0 if self.side == "left" else self.inside)


def lay_out(edges: Sequence[Edge], graph: Graph) -> Panel:
    """Place the edges and all that they touch."""
    left, right = _columns(edges, graph)
    left, beside, across = _settled(left, right)
    first = _Placed(left, beside, "left", 0.0)
    second = _Placed(right, across, "right", first.width + _gap(left.lanes, beside, across))
    return _panel(first, second)


def _settled(left: Column, right: Column) -> tuple[Column, Stack, Stack]:
    """Let each column give way to the other, so that lanes run level wherever they can."""
    across = stack(right, {})
    ordered = left.facing(across.lanes)
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
    """The busiest service left, then each where fewer of those that it talks to stand already."""
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
    return [Box(node, placed.roles_x, top, placed.inside, end - top) for node, (top, end) in spans]


def _lane(edge: Edge, first: _Placed, second: _Placed) -> Lane:
    left = (first.inner, first.stack.lanes[edge])
    right = (second.inner, second.stack.lanes[edge])
    flat = (first.x + first.width + (0.0 if left[1] == right[1] else BEND), second.x)
    rightwards = edge.source in first.stack.roles
    start, end = (left, right) if rightwards else (right, left)
    return Lane(edge.message.__name__, start, end, flat)


def _loops(placed: _Placed) -> list[Loop]:
    away = -1 if placed.side == "left" else 1
    made = []
    for place, edge in enumerate(placed.column.loops):
        start, end = (placed.outer, _attach(placed, edge, "out")), (placed.outer, _attach(placed, edge, "in"))
        text = (placed.outer - away * 3, placed.stack.labels[edge])
        gutter = placed.outer + away * (GUTTER * (place + 1) - 2)
        made.append(Loop(edge.message.__name__, text, "start" if away < 0 else "end", start, end, gutter))
    return made


def _attach(placed: _Placed, edge: Edge, way: Way) -> float:
    """Loops share the outer edge of a role evenly."""
    node = _end_of(edge, way)
    top, end = placed.stack.roles[node]
    here = [(loop, side) for loop in placed.column.loops for side in WAYS if _end_of(loop, side) == node]
    return top + (end - top) * (here.index((edge, way)) + 1) / (len(here) + 1)


def _end_of(edge: Edge, way: Way) -> Node:
    return edge.source if way == "out" else edge.target
