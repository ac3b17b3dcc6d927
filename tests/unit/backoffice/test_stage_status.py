"""How the stage looks: rates, delays of a whole line, badges in their places, and all of it as it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from backoffice.stage import Stage, StageNode, stage_of
from backoffice.stage_status import StageBadge, StageFacts, _in_short, _with_places, status_of
from ensemble.clock import moment_of
from ensemble.operations import DeadLetterSummary, EdgeTraffic, Incident, ParkedKeySummary, WorkPause
from ensemble.operations.delays import delay_class
from ensemble.topology import flow_of
from services.app import APP

STAGE: Stage = stage_of(flow_of(APP.make_services(), APP.catalogue))
ANSWERS = "payment-orchestrator-event-orchestrated"


COMMANDS = "orchestrator-payment-command-orchestrated"


def letter(failed_at: int, message: str = "") -> DeadLetterSummary:
    fields: dict[str, Any] = dict.fromkeys(DeadLetterSummary.model_fields)
    of_payment = {"service": "payment", "type": "ProcessPayment", "failed_at": moment_of(failed_at), "group": "g/1",
                  "error": "Gone", "message": message}  # fmt: skip
    return DeadLetterSummary.model_construct(**{**fields, **of_payment})


def parked(error: str = "", since: int = 1) -> ParkedKeySummary:
    fields: dict[str, Any] = dict.fromkeys(ParkedKeySummary.model_fields)
    of_payment = {"service": "payment", "head": "ProcessPayment", "error": error, "message": "HTTP 500",
                  "blocked_on": "policy", "since": moment_of(since)}  # fmt: skip
    return ParkedKeySummary.model_construct(**{**fields, **of_payment})


def pause(scope: Any, since: int = 1) -> WorkPause:
    return WorkPause(scope=scope, name="payment", since=moment_of(since), requested_by="ann", reason="", services=())


def test_a_line_says_how_fast_all_of_its_messages_follow_their_causes() -> None:
    traffic = [EdgeTraffic(sender="payment", type=kind, topic="payments.events", messages=count)
               for kind, count in (("PaymentConfirmed", 98), ("PaymentDeclined", 22))]  # fmt: skip
    delays = {("payment", "PaymentConfirmed", "payments.events"): Counter({delay_class(12): 98}),
              ("payment", "PaymentDeclined", "payments.events"): Counter({delay_class(80): 22}),
              ("order", "OrderPlaced", "orders.events"): Counter({delay_class(9_000): 99})}  # fmt: skip

    edge = status_of(STAGE, StageFacts(traffic=traffic, delays=delays), 0, 60).edges[ANSWERS]

    assert (edge.messages, edge.per_second, edge.p50_ms) == (120, 2.0, 12)
    assert edge.text == f"2/s · 12 / {edge.p99_ms} ms"
    assert edge.p99_ms is not None
    assert 72 <= edge.p99_ms <= 88


@pytest.mark.parametrize(
    ("facts", "failure", "url"),
    [
        (StageFacts(parked=[parked("GatewayError")]), "GatewayError: HTTP 500", "/parked?service=payment"),
        (StageFacts(parked=[parked()]), "policy", "/parked?service=payment"),
        (StageFacts(parked=[parked()], dead_letters=[letter(2, "new"), letter(1, "old")]), "Gone: new",
         "/dead-letters?group=g%2F1"),
        (StageFacts(), "", ""),
    ],
    ids=["parked", "paused", "newest dead letter", "nothing"],
)  # fmt: skip
def test_a_line_says_why_its_messages_fail_and_which_page_shows_it(facts: StageFacts, failure: str, url: str) -> None:
    edges = status_of(STAGE, facts, 0, 60).edges
    assert (edges[COMMANDS].failure, edges[COMMANDS].url) == (failure, url)
    assert {edge.failure for name, edge in edges.items() if name != COMMANDS} <= {""}


def test_what_nobody_of_the_flow_sent_comes_from_outside() -> None:
    placed = EdgeTraffic(sender="shop", type="PlaceOrder", topic="orders.commands", messages=3)
    edges = status_of(STAGE, StageFacts(traffic=[placed]), 0, 2).edges
    assert {name: edge.text for name, edge in edges.items() if edge.messages} == {
        "outside-order-command-outside": "1.5/s"
    }


@pytest.mark.parametrize(
    ("half", "slow", "text"),
    [
        (120, 999, "2/s · 120 / 999 ms"),
        (120, 3_000, "2/s · 120 ms / 3.0 s"),
        (1_000, 40_000, "2/s · 1.0 / 40 s"),
        (None, None, "2/s"),
    ],
)
def test_delays_are_short_and_name_a_shared_unit_once(half: int | None, slow: int | None, text: str) -> None:
    assert _in_short(120, 2.0, half, slow) == text


def test_each_badge_leads_to_the_page_that_says_more() -> None:
    facts = StageFacts(parked=[parked()], pauses=[pause("service")], stopped={"order": None}, behind={"shipping": 1})
    nodes = status_of(STAGE, facts, 0, 60).nodes
    assert {name: [(badge.text, badge.tone, badge.url) for badge in badges] for name, badges in nodes.items()} == {
        "orchestrator": [],
        "order": [("not running", "alarm", "/consumers?service=order")],
        "payment": [("paused", "alarm", "/pauses"), ("1 parked", "alarm", "/parked?service=payment")],
        "inventory": [],
        "shipping": [("1 behind", "calm", "/consumers?service=shipping")],
    }


def test_the_pause_of_a_step_is_none_of_the_service_of_that_name() -> None:
    assert status_of(STAGE, StageFacts(pauses=[pause("step")]), 0, 60).nodes["payment"] == ()


def test_badges_stand_side_by_side_within_their_box() -> None:
    facts = StageFacts(dead_letters=[letter(1)] * 12, hidden={"payment": 7}, behind={"payment": 1_500})

    badges = status_of(STAGE, facts, 0, 60).nodes["payment"]

    box = next(node for node in STAGE.nodes if node.name == "payment")
    assert [badge.text for badge in badges] == ["transaction hangs", "12 dead letters", "1,500 behind"]
    assert len({(badge.x, badge.y) for badge in badges}) == 3
    assert all(badge.x + badge.width <= box.x + box.width for badge in badges)
    assert all(badge.y + 19 <= box.y + box.height for badge in badges)


def test_a_badge_that_has_no_room_beside_the_others_stands_below_them_and_what_has_none_below_is_left_out() -> None:
    node = StageNode("shop", "player", x=100, y=10, width=150, height=52 + 2 * 22)
    badges = [StageBadge(text="x" * size, tone="calm", url="") for size in (5, 5, 4, 99, 1)]
    assert [(badge.x, badge.y, badge.width) for badge in _with_places(node, badges)] == [
        (112, 62, 50.0), (168, 62, 50.0), (112, 84, 42.8),
    ]  # fmt: skip
    alone = [StageBadge(text="x" * 99, tone="calm", url="")]
    assert [(badge.x, badge.y) for badge in _with_places(node, alone)] == [(112, 62)], "it is wider than all room"
    exact = [StageBadge(text="x" * 5, tone="calm", url="")] * 2
    narrow = StageNode("shop", "player", x=100, y=10, width=126, height=52 + 2 * 22)
    assert [badge.y for badge in _with_places(narrow, exact)] == [62, 62]
    assert [badge.y for badge in _with_places(replace(narrow, width=125), exact)] == [62, 84]
    assert list(_with_places(replace(narrow, height=52 + 21), exact)) == []


@pytest.mark.parametrize(
    ("since", "text"), [(None, "not running"), (60_000, "not running"), (5_000, "not running: 60 s")]
)
def test_a_service_without_a_process_says_since_when_and_not_that_it_is_unready_as_well(
    since: int | None, text: str
) -> None:
    facts = StageFacts(stopped={"payment": since}, unready={"payment", "shipping"})

    nodes = status_of(STAGE, facts, 65_000, 60).nodes

    assert [(badge.text, badge.tone) for badge in nodes["payment"]] == [(text, "alarm")]
    assert [(badge.text, badge.tone) for badge in nodes["shipping"]] == [("not ready", "alarm")]


def test_the_conductor_says_how_many_orders_are_at_each_step_and_not_how_many_were() -> None:
    facts = StageFacts(steps={"reservation": 1_200, "payment": 1})

    badges = status_of(STAGE, facts, 0, 60).nodes["orchestrator"]

    assert [(badge.text, badge.tone, badge.url) for badge in badges] == [
        ("1 order at payment", "calm", "/orders?where=step%3Dpayment"),
        ("1,200 orders at reservation", "calm", "/orders?where=step%3Dreservation"),
    ]
    assert status_of(STAGE, facts, 0, 60).nodes["payment"] == ()
    assert status_of(STAGE, facts.as_of(0), 0, 60).nodes["orchestrator"] == ()


def test_the_past_shows_what_was_so_already_and_incidents_that_are_over() -> None:
    def incident(opened: int, closed: int | None) -> Incident:
        return Incident(incident_id="i", service="payment", handler="h", cause="c", failures=1,
                        opened_at=moment_of(opened), closed_at=moment_of(closed))  # fmt: skip

    facts = StageFacts(
        dead_letters=[letter(5_000)],
        incidents=[incident(1_000, 4_000)],
        parked=[parked(since=7_000)],
        pauses=[pause("service", since=8_000)],
    )

    assert [badge.text for badge in status_of(STAGE, facts.as_of(2_000), 2_000, 60).nodes["payment"]] == [
        "circuit open"
    ]
    assert [badge.text for badge in status_of(STAGE, facts.as_of(6_000), 6_000, 60).nodes["payment"]] == [
        "1 dead letter"
    ]
    assert [badge.text for badge in status_of(STAGE, facts.as_of(8_000), 8_000, 60).nodes["payment"]] == [
        "paused", "1 dead letter", "1 parked",
    ]  # fmt: skip
