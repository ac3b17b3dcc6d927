"""What looks odd and is right: nothing of it is called a violation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.verify.judgement import judge, notes
from cli.verify.progress import lags, open_orders, owing_orders
from tests.support.recorded_flow.orders import (
    BY_HAND,
    PAYMENT,
    TERMS,
    asked_for_payment,
    clean_story,
    decide,
    pay,
    place,
    settle_by_hand,
    told_of,
)
from tests.support.recorded_flow.records import Written, as_deadline
from tests.support.recorded_flow.story import Story


def same_message_again(story: Story) -> None:
    first = story.last("PlaceOrder", "o-fast")
    story.write("orders.commands", "PlaceOrder", "o-fast", first.fields, **_headers(first))


def same_order_from_outside_again(story: Story) -> None:
    again = story.outside("orders.events", "OrderPlaced", "o-done", **TERMS, order_id="o-done", placed_at=7)
    story.state("o-done", "completed", again)


def other_order_under_a_known_id(story: Story) -> None:
    terms = {**TERMS, "order_id": "o-done", "currency": "USD"}
    other = story.outside("orders.events", "OrderPlaced", "o-done", **terms, placed_at=7)
    story.given_up("order", other)
    story.given_up("orchestrator", other)


def order_without_any_header(story: Story) -> None:
    """An outsider's record: its id is where it lies, its trace is the one that its first effect has."""
    placed = place(story, "o-plain")
    placed.set_header("ce_causationid", "")
    placed.set_header("ce_source", "")
    story.drop(story.last("PlaceOrder", "o-plain"))
    placed.headers_now.clear()
    fields = {"order_id": "o-plain", "attempt": 1, **PAYMENT}
    headers = {"ce_id": "e1", "ce_source": "/services/orchestrator", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    where = "/".join(map(str, placed.at))
    asked = story.write(
        "payments.commands",
        "ProcessPayment",
        "o-plain",
        fields,
        ce_correlationid=where,
        ce_causationid=where,
        **headers,
    )
    story.unread("payment", asked)
    story.last("OrderState", "o-plain").fields["seen"][0]["message_id"] = where


def late_charge_after_the_refund(story: Story) -> None:
    asked = story.last("ProcessPayment", "o-undone")
    story.by("payment", "payments.commands", "AttemptCharge", asked, order_id="o-undone", **PAYMENT)


def dispatched_again(story: Story) -> None:
    cause, at = story.last("ShipmentScheduled", "o-done"), {"order_id": "o-done", "warehouse_id": "berlin"}
    story.by("orchestrator", "inventory.commands", "DispatchStock", cause, **at)


def answered_again(story: Story) -> None:
    confirmed = story.last("PaymentConfirmed", "o-done")
    repeat = story.by(
        "payment", "payments.events", "PaymentConfirmed", story.last("AttemptCharge", "o-done"), **confirmed.fields
    )
    story.state("o-done", "completed", repeat)


def command_of_a_timer(story: Story) -> None:
    asked = story.last("ProcessPayment", "o-done")
    asked.set_header("ce_causationid", "timer/o-done/deadline/5")


def garbage_put_aside(story: Story) -> None:
    garbage = story.outside("orders.events", "OrderPlaced", "o-bad")
    garbage.raw_value = b"garbage"
    for service in ("order", "orchestrator", "shipping"):
        story.given_up(service, garbage)


def failed_command(story: Story) -> None:
    """The dead letter's own CommandFailed is no effect of it."""
    command = story.outside("payments.commands", "ProcessPayment", "o-done", order_id="o-done", attempt=1, **PAYMENT)
    story.given_up("payment", command)
    told_of(story, "payment", command, "completed")


def cancelled_before_anything_was_captured(story: Story) -> None:
    story.bookings.append(
        story.bookings[0]._replace(kind="refund", key="r", order_id="o-declined", amount=0, status="refunded")
    )


def deadline_in_the_order_state(story: Story) -> None:
    command_of_a_timer(story)
    state = story.last("OrderState", "o-done").fields
    state["seen"] = [{**as_deadline("o-done"), "decided": ["ProcessPayment"]}, *state["seen"]]


def paused_and_resumed(story: Story) -> None:
    """What came meanwhile led to nothing; the resume led to what follows."""
    paused = story.outside("orchestrator.commands", "PauseOrder", "o-new", order_id="o-new", **BY_HAND)
    place(story, "o-new")
    asked_for_payment(story, story.last("OrderPlaced", "o-new"))
    story.state("o-new", "payment_pending", paused)
    decide(story, "o-new", -1, "pause")
    repeated = story.outside("orders.events", "OrderPlaced", "o-new", **TERMS, order_id="o-new", placed_at=7)
    resumed = story.outside("orchestrator.commands", "ResumeOrder", "o-new", order_id="o-new", **BY_HAND)
    asked_for_payment(story, resumed)
    story.state("o-new", "payment_pending", repeated, resumed, attempt=2)
    decide(story, "o-new", -3, "pause")
    decide(story, "o-new", -1, "resume", "ProcessPayment")


@pytest.mark.parametrize(
    "happens",
    [
        same_message_again,
        same_order_from_outside_again,
        other_order_under_a_known_id,
        order_without_any_header,
        late_charge_after_the_refund,
        dispatched_again,
        answered_again,
        command_of_a_timer,
        deadline_in_the_order_state,
        paused_and_resumed,
        garbage_put_aside,
        failed_command,
        cancelled_before_anything_was_captured,
    ],
)
def test_says_nothing(happens: Callable[[Story], object]) -> None:
    story = clean_story()
    happens(story)
    assert story.violations() == []


def test_lists_an_order_under_way_with_what_it_waits_for() -> None:
    story = clean_story()
    paid = pay(story, place(story, "o-open"))
    command = {
        "order_id": "o-open",
        "warehouse_id": "berlin",
        "customer_id": "c-1",
        "lines": [],
        "shipping_speed": "standard",
    }
    asked = story.by("orchestrator", "inventory.commands", "FulfilOrder", paid, **command, attempt=1, expires_at=9)
    story.unread("inventory", asked)

    snapshot = story.snapshot()

    assert judge(snapshot) == ()
    assert [(order.order_id, order.status, order.step) for order in open_orders(snapshot)] == [
        ("o-open", "fulfilled", "reservation")
    ]
    assert open_orders(snapshot)[0].waits_for == "PaymentConfirmed"
    assert lags(snapshot)["inventory"] == {"inventory.commands": 1}


def test_lists_an_order_that_nobody_has_taken_up() -> None:
    story = clean_story()
    command = story.outside("orders.commands", "PlaceOrder", "o-new", **{**TERMS, "order_id": "o-new"})
    story.unread("order", command)

    snapshot = story.snapshot()

    assert judge(snapshot) == ()
    assert [(o.order_id, o.waits_for) for o in open_orders(snapshot)] == [
        ("o-new", "order to read PlaceOrder orders.commands[0]@0")
    ]


def test_expects_so_many_orders_and_all_of_them_ended() -> None:
    story = clean_story()
    place(story, "o-open")
    story.drop(story.last("OrderState", "o-open"))
    story.unread("orchestrator", story.last("OrderPlaced", "o-open"))

    words = [violation.words for violation in story.violations(expect_orders=7)]

    assert words == ["7 orders were expected, 5 are accepted", "1 of 5 orders have not ended"]


def test_an_order_whose_compensation_has_failed_is_owing_and_neither_open_nor_wrong() -> None:
    story = clean_story()
    story.drop(story.last("CancelOrder", "o-undone"), story.last("OrderCancelled", "o-undone"))
    story.drop(story.last("PaymentRefunded", "o-undone"), story.last("RefundPayment", "o-undone"))
    story.bookings = [booking for booking in story.bookings if booking.kind != "refund"]
    history = list(story.all("OrderState", "o-undone"))
    story.drop(history[-2])
    gone = [seen for seen in history[-1].fields["seen"] if seen["type"] == "PaymentRefunded"]
    history[-1].fields["seen"] = [seen for seen in history[-1].fields["seen"] if seen not in gone]
    history[-1].fields |= {"status": "compensation_failed", "owed": ["payment"], "undone": ["shipment", "reservation"]}

    snapshot = story.snapshot()

    assert judge(snapshot) == ()
    assert owing_orders(snapshot) == {"o-undone": ("payment",)}
    assert open_orders(snapshot) == ()


def test_an_order_that_is_paused_is_open_and_says_by_whom_and_is_expected_to_end_later() -> None:
    story = clean_story()
    asked_for_payment(story, place(story, "o-new"))
    paused = story.outside("orchestrator.commands", "PauseOrder", "o-new", order_id="o-new", **BY_HAND)
    pause = {"paused_by": "operator anna", "paused_reason": "audit", "paused_since": 5, "due_at": None}
    story.state("o-new", "payment_pending", paused, **pause)

    snapshot = story.snapshot()

    assert judge(snapshot, expect_orders=5) == ()
    (order,) = open_orders(snapshot)
    assert (order.paused, order.waits_for) == (
        "operator anna: audit",
        "PaymentConfirmed (paused by operator anna: audit)",
    )


def test_what_was_settled_by_hand_may_stay_with_the_provider_and_in_the_warehouse() -> None:
    story = clean_story()
    settle_by_hand(story, "o-undone")

    assert judge(story.snapshot()) == ()


def test_what_retention_has_removed_is_noted_and_not_judged() -> None:
    story = clean_story()
    story.drop(next(story.all("PlaceOrder", "o-done")), story.last("ProcessPayment", "o-done"))
    whole = story.snapshot()
    cut_off = replace(whole, firsts=dict(whole.firsts) | {("payments.commands", 0): 1})

    assert judge(whole)
    assert judge(cut_off) == ()
    assert "payments.commands" in notes(cut_off)[0]


def test_what_lies_behind_the_cut_is_not_judged() -> None:
    story = clean_story()
    before = dict(story.ends)
    record = story.by(
        "order", "orders.events", "OrderCompleted", story.last("CompleteOrder", "o-done"), order_id="o-odd"
    )
    record.set_header("ce_causationid", "not-read-yet")
    full = {(topic, number): before.get((topic, number), 0) for topic, number in story.snapshot().cut}

    assert judge(story.snapshot(full)) == ()
    assert judge(story.snapshot())


def _headers(record: Written) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers_now.items()}
