"""The stage: where the services stand, and which line each message takes."""

from __future__ import annotations

import re

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
