"""The stage: the whole flow as one picture, with places for its services and lines for their messages.

The conductors stand on top, as wide as all the players below them. What is orchestrated therefore runs up and down,
straight; what is choreographed runs below the players, from one to another, in bends. Pure geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ensemble import OUTSIDE
from ensemble.topology import Edge, Graph

Control = Literal["orchestrated", "choreographed", "outside", "ledger"]
Point = tuple[float, float]

COLUMN: Final = 236.0
PLAYER_WIDTH: Final = 184.0
CONDUCTOR_HEIGHT: Final = 122.0
PLAYER_HEIGHT: Final = 124.0
MARGIN: Final = 16.0
BETWEEN: Final = 226.0
"""Between conductors and players: the height of what is orchestrated."""
LANE: Final = 48.0
"""Between two bends below the players."""
OUTSIDE_WIDTH: Final = 88.0
OUTSIDE_GAP: Final = 160.0
STEP: Final = 26.0
"""Between two lines that end at one box."""
LINE: Final = 15.0
"""Between two texts of which one stands below the other."""
GLYPH: Final = 7.8
"""The width of a character of the 13 px monospaced type of names."""
OUT: Final = 7.0
"""How far from its sender the mark of a line stands."""


@dataclass(frozen=True)
class StageNode:
    """A service, or the outside."""

    name: str
    kind: Literal["conductor", "player", "outside"]
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class StageMessage:
    """A type of message on an edge, as its traffic is counted: by topic, and by who sends it."""

    type: str
    topic: str


@dataclass(frozen=True)
class Spot:
    """Where a text stands."""

    x: float
    y: float
    anchor: Literal["start", "middle", "end"]

    def below(self, lines: int) -> Spot:
        """Return the place so many lines below."""
        return Spot(self.x, self.y + LINE * lines, self.anchor)


@dataclass(frozen=True)
class StageLabel:
    """The names beside a line, one below the other, and where its rate and the cause of its failure stand."""

    names: tuple[str, ...]
    first: Spot
    rate: Spot
    cause: Spot


@dataclass(frozen=True)
class StageEdge:
    """All messages of one kind that one service sends to another, as one line."""

    id: str
    source: str
    target: str
    kind: Literal["command", "event"]
    control: Control
    messages: tuple[StageMessage, ...]
    path: str
    """The line as SVG writes it, from the sender to the receiver."""
    tip: str
    """The arrowhead at its end, as SVG writes it."""
    mark: Point
    """Where the mark of who decides stands, at the sender's end."""
    label: StageLabel


@dataclass(frozen=True)
class Stage:
    """The picture: its size, boxes and lines."""

    width: float
    height: float
    nodes: tuple[StageNode, ...]
    edges: tuple[StageEdge, ...]


Bundle = tuple[str, str, str, Control]
"""Source, target, kind and control of the messages of a line."""


def stage_of(graph: Graph) -> Stage:
    """Lay the flow out. Equal graphs give equal stages."""
    bundles = _bundles(graph.edges)
    conductors = _conductors(graph, bundles)
    players = [name for name in graph.services if name not in conductors]
    margin = MARGIN + OUTSIDE_WIDTH + OUTSIDE_GAP
    width = margin + COLUMN * max(len(players), 1) + 3 * MARGIN
    below = MARGIN + len(conductors) * (CONDUCTOR_HEIGHT + MARGIN) + BETWEEN
    nodes = [
        StageNode(OUTSIDE, "outside", MARGIN, MARGIN, OUTSIDE_WIDTH, below + PLAYER_HEIGHT - MARGIN),
        *(
            StageNode(name, "conductor", margin, MARGIN + row * (CONDUCTOR_HEIGHT + MARGIN), width - margin - MARGIN,
                      CONDUCTOR_HEIGHT)
            for row, name in enumerate(conductors)
        ),
        *(
            StageNode(name, "player", margin + COLUMN * column + (COLUMN - PLAYER_WIDTH) / 2, below, PLAYER_WIDTH,
                      PLAYER_HEIGHT)
            for column, name in enumerate(players)
        ),
    ]  # fmt: skip
    lines = _Lines({node.name: node for node in nodes}, bundles)
    edges = tuple(lines.edges())
    return Stage(width, below + PLAYER_HEIGHT + LANE * lines.lanes + 2 * MARGIN, tuple(nodes), edges)


def _bundles(edges: Iterable[Edge]) -> dict[Bundle, list[StageMessage]]:
    bundles: dict[Bundle, list[StageMessage]] = {}
    for edge in edges:
        key = edge.source.service, edge.target.service, edge.kind, edge.control
        message = StageMessage(edge.message.__name__, edge.topic)
        if message not in bundles.setdefault(key, []):
            bundles[key].append(message)
    return bundles


def _conductors(graph: Graph, bundles: Iterable[Bundle]) -> list[str]:
    """Return as few conducting services as have a part in all that is orchestrated between two services."""
    conducting = {node.service for node in graph.roles if node.conducts}
    open_pairs = {(a, b) for a, b, _, control in bundles if control == "orchestrated" and a != b}
    conductors: list[str] = []
    while open_pairs:
        best = max(graph.services, key=lambda name: sum(name in pair for pair in open_pairs if name in conducting))
        conductors.append(best)
        covered = {pair for pair in open_pairs if best in pair}
        if not covered:
            break
        open_pairs -= covered
    return conductors


@dataclass
class _Lines:
    """Draws the lines between boxes."""

    nodes: Mapping[str, StageNode]
    bundles: Mapping[Bundle, Sequence[StageMessage]]
    lanes: int = 0

    def edges(self) -> Iterator[StageEdge]:
        straight = [key for key in self.bundles if self._is_straight(key)]
        for key in straight:
            yield self._straight(key, straight)
        beside = [key for key in self.bundles if key not in straight and self._is_beside(key)]
        for key in beside:
            yield self._beside(key, beside)
        bent = [key for key in self.bundles if key not in straight and key not in beside and self._is_drawn(key)]
        bent.sort(key=lambda key: (abs(self._middle(key[0]) - self._middle(key[1])), key))
        lanes = list[list[tuple[float, float]]]()
        for key in bent:
            yield self._bent(key, _place(self._span(key), lanes), bent)
        self.lanes = len(lanes)

    def _span(self, key: Bundle) -> tuple[float, float]:
        ends = sorted(self._middle(name) for name in key[:2])
        return ends[0] - PLAYER_WIDTH / 2, ends[1] + PLAYER_WIDTH / 2

    def _is_drawn(self, key: Bundle) -> bool:
        return self.nodes[key[0]].kind != "conductor" or self.nodes[key[1]].kind != "conductor"

    def _is_straight(self, key: Bundle) -> bool:
        return {self.nodes[key[0]].kind, self.nodes[key[1]].kind} == {"conductor", "player"}

    def _is_beside(self, key: Bundle) -> bool:
        """Return whether a line goes between the outside and a conductor, or the player that stands next to it."""
        kinds = {self.nodes[key[0]].kind, self.nodes[key[1]].kind}
        first = min((node.x for node in self.nodes.values() if node.kind == "player"), default=0.0)
        ends = [self.nodes[name] for name in key[:2] if name != OUTSIDE]
        return OUTSIDE in key[:2] and bool(ends) and ("conductor" in kinds or ends[0].x == first)

    def _middle(self, name: str) -> float:
        return self.nodes[name].x + self.nodes[name].width / 2

    def _straight(self, key: Bundle, straight: Sequence[Bundle]) -> StageEdge:
        source, target = self.nodes[key[0]], self.nodes[key[1]]
        player = source if source.kind == "player" else target
        of_player = sorted(each for each in straight if player.name in each[:2])
        of_player.sort(key=lambda each: (each[1] != player.name, each))
        x = self._middle(player.name) - 14 + (of_player.index(key) - (len(of_player) - 1) / 2) * STEP * 1.4
        is_down = target.kind == "player"
        start, end = (source.y + source.height, target.y) if is_down else (source.y, target.y + target.height)
        place = start + 30 if is_down else (start + end) / 2 + 14
        is_left = of_player.index(key) < len(of_player) / 2
        first = Spot(x - 8, place, "end") if is_left else Spot(x + 8, place, "start")
        names = self._names(key)
        label = StageLabel(names, first, first.below(len(names)), first.below(len(names) + 1))
        return self._edge(key, f"M{_n(x)} {_n(start)}V{_n(end)}", ((x, start), (x, end)), label)

    def _beside(self, key: Bundle, beside: Sequence[Bundle]) -> StageEdge:
        outside = self.nodes[OUTSIDE]
        node = self.nodes[key[1] if key[0] == OUTSIDE else key[0]]
        lines = [each for each in beside if node.name in each[:2]]
        y = node.y + node.height * (lines.index(key) + 0.5) / len(lines)
        near, far = outside.x + outside.width, node.x
        start, end = (near, far) if key[0] == OUTSIDE else (far, near)
        rate = Spot((near + far) / 2, y + 17, "middle")
        label = StageLabel(self._short(key), Spot(near + 14, y - 8, "start"), rate, Spot(far - 12, y - 8, "end"))
        return self._edge(key, f"M{_n(start)} {_n(y)}H{_n(end)}", ((start, y), (end, y)), label)

    def _bent(self, key: Bundle, lane: int, bent: Sequence[Bundle]) -> StageEdge:
        source, target = self.nodes[key[0]], self.nodes[key[1]]
        top = max(node.y + node.height for node in self.nodes.values())
        y = top + LANE * (lane + 0.72)
        start, end = self._foot(source, key, bent, is_source=True), self._foot(target, key, bent, is_source=False)
        r = 10.0 if end > start else -10.0
        above, below = source.y + source.height, target.y + target.height
        path = (
            f"M{_n(start)} {_n(above)}V{_n(y - 10)}Q{_n(start)} {_n(y)} {_n(start + r)} {_n(y)}"
            f"H{_n(end - r)}Q{_n(end)} {_n(y)} {_n(end)} {_n(y - 10)}V{_n(below)}"
        )
        return self._edge(key, path, ((start, above), (end, below)), self._label_below(key, start, end, y, bent))

    def _label_below(self, key: Bundle, start: float, end: float, y: float, bent: Sequence[Bundle]) -> StageLabel:  # noqa: PLR0917
        """Return the label of a bend: below it, where no other line rises from it."""
        names, is_loop = self._short(key), key[0] == key[1]
        if is_loop and (side := self._side(key, bent)):
            first = (
                Spot(max(start, end) + 16, y + 17, "end") if side < 0 else Spot(min(start, end) - 16, y + 17, "start")
            )
            return StageLabel(names, first, first.below(1), first.below(2))
        first = Spot((start + end) / 2 if is_loop else start + (end - start) * 0.45, y + 17, "middle")
        beside = Spot(first.x + len(names[0]) * GLYPH / 2 + 10, first.y, "start")
        return StageLabel(names, first, first.below(1), first.below(2) if is_loop else beside)

    def _side(self, key: Bundle, bent: Sequence[Bundle]) -> int:
        """Return on which side of all other lines below its box a loop is: 1 for right, -1 for left, 0 for neither."""
        middle, others = self._middle(key[0]), [each for each in bent if key[0] in each[:2] and each != key]
        rights = {sum(map(self._middle, each[:2])) > 2 * middle for each in others}
        return (rights == {False}) - (rights == {True})

    def _names(self, key: Bundle) -> tuple[str, ...]:
        return tuple(dict.fromkeys(message.type for message in self.bundles[key]))

    def _short(self, key: Bundle) -> tuple[str]:
        """Return the one name of a line, or how many it has."""
        names = self._names(key)
        return (names[0],) if len(names) == 1 else (f"{len(names)} {'command' if key[2] == 'command' else 'event'}s",)

    def _foot(self, node: StageNode, key: Bundle, bent: Sequence[Bundle], *, is_source: bool) -> float:
        """Return where a line leaves or enters the lower side of a box.

        Of those to one side the shorter ones, which turn off higher up, stand nearer to it: none crosses another.
        """
        ends = [(each, end) for each in bent for end in (True, False) if each[0 if end else 1] == node.name]
        ends.sort(key=lambda pair: self._direction(pair[0], is_source=pair[1]))
        place = ends.index((key, is_source))
        return node.x + node.width * (place + 1) / (len(ends) + 1)

    def _direction(self, key: Bundle, *, is_source: bool) -> tuple[int, float, bool]:
        near_end, far_end = (key[0], key[1]) if is_source else (key[1], key[0])
        way = self._middle(far_end) - self._middle(near_end)
        return (way > 0) - (way < 0), -way, not is_source

    def _edge(self, key: Bundle, path: str, ends: tuple[Point, Point], label: StageLabel) -> StageEdge:
        source, target, kind, control = key
        is_bent, ((x, y), (to_x, to_y)) = "Q" in path, ends
        down, right = (1.0, 0.0) if is_bent else (_sign(to_y - y), _sign(to_x - x))
        return StageEdge(
            id=f"{source}-{target}-{kind}-{control}",
            source=source,
            target=target,
            kind="command" if kind == "command" else "event",
            control=control,
            messages=tuple(self.bundles[key]),
            path=path,
            tip=_tip((to_x, to_y), right, -1.0 if is_bent else down),
            mark=(round(x + OUT * right, 1), round(y + OUT * down, 1)),
            label=label,
        )


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def _tip(end: Point, right: float, down: float) -> str:
    """Return the arrowhead of a line that comes to its end in this direction."""
    (x, y), back, wide = end, 9.0, 5.0
    corners = [(x - back * right + wide * down * side, y - back * down + wide * right * side) for side in (-1, 1)]
    first, last = (f"{_n(a)} {_n(b)}" for a, b in corners)
    return f"M{first}L{_n(x)} {_n(y)}L{last}"


def _place(span: tuple[float, float], lanes: list[list[tuple[float, float]]]) -> int:
    """Put the span on the first lane that has room for it, and return the lane's number."""
    for number, lane in enumerate(lanes):
        if all(span[1] <= start or end <= span[0] for start, end in lane):
            lane.append(span)
            return number
    lanes.append([span])
    return len(lanes) - 1


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
