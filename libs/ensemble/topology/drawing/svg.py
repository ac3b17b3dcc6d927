"""The flow as a picture: one panel for each combination, with every message of it. Equal graphs give equal bytes.

The picture has a light background of its own, so it can be read on light and dark pages. Blue is conducted, orange is
not; a solid line is a command, a dashed one an event: no part of the meaning depends on colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from textwrap import wrap
from typing import Final

from ensemble.topology.drawing.combinations import COMBINATIONS, Combination
from ensemble.topology.drawing.layout import Box, Lane, Loop, Panel, lay_out
from ensemble.topology.drawing.notes import failure_note, footnotes
from ensemble.topology.graph import Graph

MARGIN: Final = 24.0
INSET: Final = 20.0
HEAD: Final = 68.0
LINE: Final = 22.0
LETTER: Final = 7.0
"""Upper estimate of the width of a character in the 13 px type of sentences."""

STYLE: Final = """
text { font-family: Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif; fill: #1f2937; }
.name { font: 12px ui-monospace, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
.title { font-size: 17px; font-weight: bold; }
.meaning { font-size: 13px; fill: #4b5563; }
.service { font-size: 13px; font-weight: bold; fill: #374151; }
.conductor { fill: #ffffff; }
""".strip()


@dataclass(frozen=True)
class _Tile:
    """A panel and its place on the card."""

    combination: Combination
    panel: Panel
    note: str
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


def svg(graph: Graph) -> str:
    """Draw the flow as a stand-alone SVG document."""
    tiles = _arrange([_tile_of(kind, graph) for kind in COMBINATIONS])
    width = tiles[1].x + tiles[1].width + MARGIN
    foot = tiles[2].y + tiles[2].height + LINE
    notes = [line for note in footnotes(graph) for line in wrap(note, int((width - 2 * MARGIN) / LETTER))]
    height = foot + (1 + len(notes)) * LINE + MARGIN / 2
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="The flow in four combinations">',
        f"<style>\n{STYLE}\n</style>",
        _rect((0.5, 0.5, width - 1, height - 1), 'rx="12" fill="#ffffff" stroke="#d1d5db"'),
        *(line for tile in tiles for line in _tile(tile)),
        *_legend(MARGIN, foot),
        *(_text((MARGIN, foot + 6 + LINE * row), note, 'class="meaning"') for row, note in enumerate(notes, 1)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tile_of(kind: Combination, graph: Graph) -> _Tile:
    edges = kind.edges(graph)
    panel = lay_out([edge for edge in edges if edge.source.role], graph)
    return _Tile(kind, panel, failure_note(edges) or ("" if edges else "none in this flow"))


def _arrange(tiles: list[_Tile]) -> list[_Tile]:
    """Arrange the tiles two by two; all panels are equally wide, those of a row equally high."""
    width = max(_width(tile) for tile in tiles) + 2 * INSET
    heights = [max(_height(tile) for tile in tiles[row : row + 2]) + HEAD + INSET for row in (0, 2)]
    arranged = []
    for place, tile in enumerate(tiles):
        row, column = divmod(place, 2)
        x = MARGIN + column * (width + MARGIN)
        y = MARGIN + row * (heights[0] + MARGIN)
        arranged.append(replace(tile, x=x, y=y, width=width, height=heights[row]))
    return arranged


def _width(tile: _Tile) -> float:
    texts = (tile.combination.title + "    ", tile.combination.meaning, tile.note)
    return max(tile.panel.width, *(len(text) * LETTER for text in texts))


def _height(tile: _Tile) -> float:
    return tile.panel.height + (LINE if tile.note else 0.0)


# -- one panel --------------------------------------------------------------------------------------------------------


def _tile(tile: _Tile) -> Iterator[str]:
    colour, panel = tile.combination.colour, tile.panel
    yield f'<g transform="translate({_n(tile.x)} {_n(tile.y)})">'
    yield _rect((0, 0, tile.width, tile.height), f'rx="10" fill="{colour}" fill-opacity="0.06"')
    yield _rect((0, 0, 5, tile.height), f'rx="2" fill="{colour}"')
    yield _text((INSET, 28), tile.combination.title, f'class="title" style="fill:{colour}"')
    yield _text((INSET, 48), tile.combination.meaning, 'class="meaning"')
    across = (tile.width - panel.width) / 2
    yield f'<g transform="translate({_n(across)} {_n(HEAD - panel.top)})">'
    yield from (_service(box) for box in panel.services)
    yield from (line for lane in panel.lanes for line in _lane(lane, tile.combination))
    yield from (line for loop in panel.loops for line in _loop(loop, tile.combination))
    yield from (line for box in panel.roles for line in _role(box))
    yield "</g>"
    if tile.note:
        yield _text((INSET, tile.height - 14), tile.note, 'class="meaning"')
    yield "</g>"


def _service(box: Box) -> str:
    frame = _rect((box.x, box.y, box.width, box.height), 'rx="7" fill="#ffffff" stroke="#9ca3af"')
    return frame + _text((box.x + box.indent, box.y + 19), box.node.service, 'class="service"')


def _role(box: Box) -> Iterator[str]:
    paint = 'fill="#1f2937"' if box.node.conducts else 'fill="#f3f4f6" stroke="#9ca3af"'
    yield _rect((box.x, box.y, box.width, box.height), f'rx="4" {paint}')
    style = "name conductor" if box.node.conducts else "name"
    middle = (box.x + box.width / 2, box.y + box.height / 2 + 4)
    yield _text(middle, box.node.role, f'class="{style}" text-anchor="middle"')


def _lane(lane: Lane, combination: Combination) -> Iterator[str]:
    (x, y), (end_x, end_y) = lane.start, lane.end
    is_ahead = end_x > x
    step = 1 if is_ahead else -1
    tip = end_x - step * 7
    bend, level = lane.flat if is_ahead else lane.flat[::-1]
    if y == end_y:
        path = f"M{_n(x)} {_n(y)}H{_n(tip)}"
    elif is_ahead:
        path = f"M{_n(x)} {_n(y)}C{_n(bend)} {_n(y)} {_n(x)} {_n(end_y)} {_n(bend)} {_n(end_y)}H{_n(tip)}"
    else:
        path = f"M{_n(x)} {_n(y)}H{_n(level)}C{_n(tip)} {_n(y)} {_n(level)} {_n(end_y)} {_n(tip)} {_n(end_y)}"
    yield _line(path, combination)
    yield _head((end_x, end_y), -step, combination)
    label = (sum(lane.flat) / 2, (end_y if is_ahead else y) - 5)
    yield _text(label, lane.label, 'class="name" text-anchor="middle"')


def _loop(loop: Loop, combination: Combination) -> Iterator[str]:
    away = 1 if loop.gutter > loop.end[0] else -1
    tip = loop.end[0] + away * 7
    yield _line(f"M{_at(loop.start)}H{_n(loop.gutter)}V{_n(loop.end[1])}H{_n(tip)}", combination)
    yield _head(loop.end, away, combination)
    yield _text(loop.text, loop.label, f'class="name" text-anchor="{loop.anchor}"')


def _line(path: str, combination: Combination) -> str:
    dash = ' stroke-dasharray="6 4"' if combination.is_dashed else ""
    return f'<path d="{path}" fill="none" stroke="{combination.colour}" stroke-width="2"{dash}/>'


def _head(tip: tuple[float, float], back: int, combination: Combination) -> str:
    return f'<path d="M{_at(tip)}l{9 * back} -4.5v9z" fill="{combination.colour}"/>'


# -- the legend -------------------------------------------------------------------------------------------------------


def _legend(x: float, y: float) -> Iterator[str]:
    for combination, word in zip(COMBINATIONS[:2], ("command", "event"), strict=True):
        grey = Combination("outside", combination.kind, "", "", "#4b5563")
        yield _line(f"M{_n(x)} {_n(y)}h32", grey)
        yield _head((x + 40, y), -1, grey)
        yield _text((x + 50, y + 4), word, 'class="meaning"')
        x += 140
    for paint, label in (('fill="#1f2937"', "a role that conducts"), ('fill="#f3f4f6" stroke="#9ca3af"', "a role")):
        yield _rect((x, y - 8, 26, 16), f'rx="4" {paint}')
        yield _text((x + 36, y + 4), label, 'class="meaning"')
        x += 210


# -- SVG --------------------------------------------------------------------------------------------------------------


def _rect(place: Iterable[float], more: str) -> str:
    x, y, width, height = (_n(value) for value in place)
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {more}/>'


def _text(place: tuple[float, float], content: str, more: str) -> str:
    x, y = place
    return f'<text x="{_n(x)}" y="{_n(y)}" {more}>{escape(content)}</text>'


def _at(point: tuple[float, float]) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
