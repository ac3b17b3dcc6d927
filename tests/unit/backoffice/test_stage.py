"""The stage: where the services stand, and which line each message takes."""

from __future__ import annotations

import re

import pytest

from backoffice.stage import Stage, StageEdge, stage_of
from ensemble.topology import flow_of
from services.app import APP

GRAPH = flow_of(APP.make_services(), APP.catalogue)
STAGE: Stage = stage_of(GRAPH)
NODES = {node.name: node for node in STAGE.nodes}


def edge(name: str) -> StageEdge:
    (line,) = [edge for edge in STAGE.edges if edge.id == name]
    return line


def test_the_conductor_stands_over_all_players() -> None:
    conductors = [node for node in STAGE.nodes if node.kind == "conductor"]
    players = [node for node in STAGE.nodes if node.kind == "player"]

    assert [node.name for node in conductors] == ["orchestrator"]
    assert [node.name for node in players] == ["order", "payment", "inventory", "shipping"]
    assert all(conductors[0].x <= node.x and node.x + node.width <= conductors[0].x + conductors[0].width
               for node in players)  # fmt: skip
    assert all(node.y > conductors[0].y + conductors[0].height for node in players)


def test_what_is_conducted_runs_straight_and_what_is_not_in_bends() -> None:
    for each in STAGE.edges:
        is_straight = "Q" not in each.path
        if each.control == "orchestrated" and each.source != each.target:
            assert is_straight, each.id
        if each.control == "choreographed":
            assert not is_straight, each.id


def test_every_message_of_the_declarations_is_on_a_line_but_what_a_conductor_says_to_itself() -> None:
    drawn = {(each.source, each.target, message.type) for each in STAGE.edges for message in each.messages}
    declared = {(each.source.service, each.target.service, each.message.__name__) for each in GRAPH.edges}

    assert declared - drawn == {("orchestrator", "orchestrator", "CommandFailed")}


def test_commands_of_one_pair_are_one_line_and_its_events_another() -> None:
    assert [message.type for message in edge("orchestrator-inventory-command-orchestrated").messages] == [
        "FulfilOrder", "ReleaseStock", "DispatchStock",
    ]  # fmt: skip
    assert edge("inventory-shipping-command-choreographed").kind == "command"
    assert edge("order-shipping-event-choreographed").kind == "event"


def test_no_two_lines_lie_on_each_other_and_all_are_on_the_picture() -> None:
    assert len({each.path for each in STAGE.edges}) == len(STAGE.edges)
    for each in STAGE.edges:
        x, y = map(float, re.match(r"M(\S+) (\S+?)[VH]", each.path).groups())  # type: ignore[union-attr]  # it is there
        assert 0 < x < STAGE.width
        assert 0 < y < STAGE.height


def ends_of(line: StageEdge) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where a line begins and ends, read from its path."""
    x, y = map(float, re.match(r"M(\S+) (\S+?)[VH]", line.path).groups())  # type: ignore[union-attr]  # it is there
    if "Q" in line.path:
        to_x, to_y = re.search(r" (\S+) \S+V(\S+)$", line.path).groups()  # type: ignore[union-attr]  # it is there
        return (x, y), (float(to_x), float(to_y))
    way, value = re.search(r"([VH])(\S+)$", line.path).groups()  # type: ignore[union-attr]  # it is there
    return (x, y), ((x, float(value)) if way == "V" else (float(value), y))


def corners_of(line: StageEdge) -> list[tuple[float, ...]]:
    return [tuple(map(float, corner.split())) for corner in re.split("[ML]", line.tip)[1:]]


def test_each_bend_has_its_mark_below_the_sender_and_its_tip_below_the_receiver() -> None:
    for each in (each for each in STAGE.edges if "Q" in each.path):
        (x, y), (to_x, to_y) = ends_of(each)
        assert each.mark == pytest.approx((x, y + 7)), each.id
        assert sorted(corners_of(each)) == [
            pytest.approx((to_x - 5, to_y + 9)), pytest.approx((to_x, to_y)), pytest.approx((to_x + 5, to_y + 9)),
        ], each.id  # fmt: skip


@pytest.mark.parametrize(
    ("name", "mark", "barb"),
    [
        ("orchestrator-payment-command-orchestrated", (0, 7), (5, -9)),
        ("payment-orchestrator-event-orchestrated", (0, -7), (5, 9)),
        ("outside-order-command-outside", (7, 0), (-9, 5)),
        ("order-outside-event-outside", (-7, 0), (9, 5)),
    ],
)
def test_marks_and_barbs_point_along_the_line(name: str, mark: tuple[float, float], barb: tuple[float, float]) -> None:
    line = edge(name)
    (x, y), (to_x, to_y) = ends_of(line)
    assert line.mark == pytest.approx((x + mark[0], y + mark[1]))
    assert corners_of(line)[1] == pytest.approx((to_x, to_y))
    assert pytest.approx((to_x + barb[0], to_y + barb[1]), abs=0.1) in corners_of(line)


def test_of_two_bends_below_one_box_none_crosses_the_other() -> None:
    bends = [(each, *ends_of(each), float(re.search(r"Q\S+ (\S+) ", each.path).group(1)))  # type: ignore[union-attr]
             for each in STAGE.edges if "Q" in each.path]  # fmt: skip
    for one, start, end, depth in bends:
        for other, other_start, other_end, other_depth in bends:
            if one is other or not {one.source, one.target} & {other.source, other.target}:
                continue
            left, right = sorted((start[0], end[0]))
            between = [x for x, _ in (other_start, other_end) if left < x < right and other_depth > depth]
            of_shared = {one.source, one.target} & {other.source, other.target}
            crossing = [
                x for x, name in ((other_start[0], other.source), (other_end[0], other.target))
                if x in between and name in of_shared
            ]  # fmt: skip
            assert crossing == [], (one.id, other.id)


def test_all_texts_are_on_the_picture() -> None:
    for each in STAGE.edges:
        label = each.label
        width = max(map(len, label.names)) * 7.8
        start = {"start": label.first.x, "end": label.first.x - width, "middle": label.first.x - width / 2}
        left = start[label.first.anchor]
        assert left > 0, each.id
        assert left + width < STAGE.width, each.id
        assert label.rate.y < STAGE.height, each.id
        assert label.rate.y == pytest.approx(label.first.y + 15 * len(label.names), abs=11)
