"""The diagrams: complete, aligned, well-formed, the same every time, and never one label upon another."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.topology.drawing.combinations import COMBINATIONS
from ensemble.topology.drawing.layout import GLYPH, Box, Lane, Loop, Panel, lay_out
from ensemble.topology.drawing.svg import _arrange, _lane, _loop, _Tile
from ensemble.topology.drawing.svg import _tile as _draw_tile
from ensemble.topology.drawing.text import mermaid, svg, text
from ensemble.topology.graph import Edge, Graph, Node, flow_of
from tests.support import sample_flow as s

SVG = "{http://www.w3.org/2000/svg}"


def shop_flow() -> Graph:
    shared = s.catalogue()
    return flow_of(s.shop(shared), shared)


# -- text -------------------------------------------------------------------------------------------------------------


def test_text_groups_the_edges_by_combination() -> None:
    blocks = text(shop_flow()).split("\n\n")
    assert [block.split(":")[0] for block in blocks[:4]] == [
        "Orchestration with commands",
        "Orchestration with events",
        "Choreography with commands",
        "Choreography with events",
    ]
    assert blocks[0].endswith("\n  till.Clerk*  ── Pack ──▶  store.Packer")
    assert blocks[3].endswith("\n  till.Desk  ╌╌ Bought ╌╌▶  courier.Watcher")


def test_text_is_aligned() -> None:
    block = text(shop_flow()).split("\n\n")[2]
    heads = {line.index("▶") for line in block.splitlines()[1:]}
    assert len(heads) == 1


def test_text_tells_what_no_combination_holds() -> None:
    shown = text(shop_flow())
    assert "  outside          ── Buy ──────▶  till.Desk" in shown
    assert "store.Shelf is the fold of store.ledger, to which Packer append" in shown
    assert "courier (runtime)" in shown


def test_a_line_that_is_too_long_for_the_terminal_is_broken_before_a_word() -> None:
    lines = text(shop_flow(), 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join("".join(lines).split()) == "".join(text(shop_flow()).split())


@pytest.mark.parametrize("width", [1, 12, 40, 63, 64, 65, 200])
def test_a_line_that_is_broken_keeps_its_words_and_one_that_fits_its_columns(width: int) -> None:
    # given a flow between services whose names have a hyphen
    desk, far = Node("front-office", "Desk"), Node("far-away-store", "Packer")
    edge = Edge(desk, far, s.Pack, "store.commands", "choreographed")
    flow = Graph(("front-office", "far-away-store"), (desk, far), (edge,))

    # then no word is cut
    whole, broken = text(flow), text(flow, width)
    assert broken.split() == whole.split()
    fitting = [line for line in whole.splitlines() if len(line) <= width]
    assert [line for line in fitting if line not in broken.splitlines()] == []


def test_each_ledger_is_told_with_its_own_facts() -> None:
    desk, drawer, book = (Node("till", role) for role in ("Desk", "Drawer", "Book"))
    edges = (Edge(desk, drawer, s.Pack, "till.cash", "ledger"), Edge(desk, book, s.Buy, "till.notes", "ledger"))
    assert text(Graph(("till",), (desk,), edges)).splitlines()[1:5] == [
        "  till.Drawer is the fold of till.cash, to which Desk append",
        "    Pack",
        "  till.Book is the fold of till.notes, to which Desk append",
        "    Buy",
    ]


def test_a_flow_without_edges_has_no_blocks() -> None:
    assert text(Graph((), (), ())).startswith("──▶ command")


# -- Mermaid ----------------------------------------------------------------------------------------------------------


def test_mermaid_draws_commands_solid_and_events_dotted() -> None:
    lines = [line.strip() for line in mermaid(shop_flow()).splitlines()]
    assert lines[0] == "flowchart LR"
    assert 'till_Clerk -->|"Pack"| store_Packer' in lines
    assert 'store_Packer -.->|"Packed"| till_Clerk' in lines


def test_mermaid_colours_every_arrow_once() -> None:
    lines = [line.strip() for line in mermaid(shop_flow()).splitlines()]
    arrows = [line for line in lines if "->|" in line]
    styled = [place for line in lines if line.startswith("linkStyle") for place in line.split()[1].split(",")]
    assert sorted(map(int, styled)) == list(range(len(arrows)))


# -- the picture ------------------------------------------------------------------------------------------------------


def test_svg_is_xml_and_names_every_role_and_message() -> None:
    graph = shop_flow()
    labels = " ".join(node.text or "" for node in ET.fromstring(svg(graph)).iter(f"{SVG}text"))  # noqa: S314 - our own
    drawn = {edge.message.__name__ for edge in graph.edges} | {node.role for node in graph.roles}
    assert {name for name in drawn if name not in labels} == set()


def test_svg_draws_events_dashed_and_commands_solid() -> None:
    lines = [line for line in svg(shop_flow()).splitlines() if line.startswith("<path") and "stroke-width" in line]
    colours = {(line.split('stroke="')[1][:7], "dasharray" in line) for line in lines[:-2]}
    assert colours == {("#0b4f8a", False), ("#1587b8", True), ("#a8430a", False), ("#b97000", True)}


@pytest.mark.parametrize(
    ("start", "end", "drawn"),
    [
        ((50, 10), (250, 10), ("M50 10H243", "M250 10l-9 -4.5v9z", "5")),
        ((50, 10), (250, 40), ("M50 10C90 10 50 40 90 40H243", "M250 40l-9 -4.5v9z", "35")),
        ((250, 10), (50, 10), ("M250 10H57", "M50 10l9 -4.5v9z", "5")),
        ((250, 10), (50, 40), ("M250 10H90C57 10 90 40 57 40", "M50 40l9 -4.5v9z", "5")),
    ],
    ids=["ahead", "ahead and down", "back", "back and down"],
)
def test_a_lane_is_level_beside_the_right_column_and_bends_beside_the_left_one(
    start: tuple[float, float], end: tuple[float, float], drawn: tuple[str, str, str]
) -> None:
    path, tip, label_y = drawn
    line, head, label = _lane(Lane("Pack", start, end, (90, 230)), COMBINATIONS[0])
    assert f' d="{path}" ' in line
    assert f' d="{tip}" ' in head
    assert f'<text x="160" y="{label_y}" ' in label


def test_where_lanes_have_to_cross_they_bend_beside_the_left_column() -> None:
    # given two roles on either side that all send each other something
    left, right = ([Node(service, role) for role in ("First", "Second")] for service in ("left", "right"))
    edges = [Edge(source, target, s.Pack, "t", "choreographed") for source in left for target in right]
    panel = lay_out(edges, Graph(("left", "right"), (*left, *right), tuple(edges)))

    # then lanes whose ends have different heights are level from the bend on, with room for their names
    first, second = panel.services
    edge_of_left, bend = first.x + first.width, 40.0
    bends = [0.0 if lane.start[1] == lane.end[1] else bend for lane in panel.lanes]
    assert {0.0, bend} == set(bends)
    assert [lane.flat for lane in panel.lanes] == [(edge_of_left + each, second.x) for each in bends]
    assert second.x - edge_of_left == len("Pack") * GLYPH + 20 + bend


def test_tiles_of_a_row_are_equally_high_and_a_panel_begins_below_their_heads() -> None:
    def tile(number: int) -> _Tile:
        panel = Panel((), (), (), (), top=5.0, width=600.0, height=10.0 * (number + 1))
        return _Tile(COMBINATIONS[number], panel, "")

    tiles = _arrange([tile(number) for number in range(4)])
    assert [(each.y, each.height) for each in tiles] == [(24, 108), (24, 108), (156, 128), (156, 128)]
    assert [(each.x, each.width) for each in tiles] == [(24, 640), (688, 640)] * 2
    assert '<g transform="translate(20 63)">' in list(_draw_tile(tiles[0]))


@pytest.mark.parametrize(
    ("gutter", "path", "tip"),
    [(39, "M50 10H39V70H43", "M50 70l-9 -4.5v9z"), (61, "M50 10H61V70H57", "M50 70l9 -4.5v9z")],
    ids=["left", "right"],
)
def test_a_loop_runs_along_its_gutter(gutter: float, path: str, tip: str) -> None:
    loop = Loop("Pack", (53, 90), "start", (50, 10), (50, 70), gutter)
    line, head, label = _loop(loop, COMBINATIONS[0])
    assert f' d="{path}" ' in line
    assert f' d="{tip}" ' in head
    assert '<text x="53" y="90" ' in label


def test_the_same_flow_makes_the_same_bytes() -> None:
    assert svg(shop_flow()) == svg(shop_flow())
    assert mermaid(shop_flow()) == mermaid(shop_flow())


def test_an_empty_combination_says_so() -> None:
    assert svg(Graph((), (), ())).count("none in this flow") == 4


# -- any flow ---------------------------------------------------------------------------------------------------------

SERVICES = ("till", "store", "courier", "bank")
ROLES = tuple(Node(service, role) for service in SERVICES for role in ("First", "SecondRole"))
MESSAGES = (s.Buy, s.Pack, s.Carry, s.Label)
edges = st.builds(
    Edge,
    st.sampled_from(ROLES),
    st.sampled_from(ROLES),
    st.sampled_from(MESSAGES),
    st.just("t"),
    st.just("orchestrated"),
)


def apart(one: Box, other: Box) -> bool:
    aside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return aside or one.y + one.height <= other.y or other.y + other.height <= one.y


@given(st.lists(edges, unique=True, max_size=16))
def test_nothing_lies_upon_another(drawn_edges: list[Edge]) -> None:
    panel = lay_out(drawn_edges, Graph(SERVICES, ROLES, tuple(drawn_edges)))
    heights = sorted(max(lane.start, lane.end)[1] for lane in panel.lanes)
    assert all(below - above >= 14 for above, below in pairwise(heights))
    assert all(apart(one, other) for boxes in (panel.services, panel.roles) for one, other in combinations(boxes, 2))
    assert len(panel.lanes) + len(panel.loops) == len(drawn_edges)


@given(st.lists(edges, unique=True, min_size=1, max_size=16))
def test_every_label_has_room(drawn_edges: list[Edge]) -> None:
    panel = lay_out(drawn_edges, Graph(SERVICES, ROLES, tuple(drawn_edges)))
    assert all(lane.flat[1] - lane.flat[0] >= len(lane.label) * GLYPH for lane in panel.lanes)
    texts = sorted((loop.anchor, loop.text[1]) for loop in panel.loops)
    assert all(one[0] != other[0] or other[1] - one[1] >= 14 for one, other in pairwise(texts))
