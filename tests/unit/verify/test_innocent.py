"""What looks odd and is right: nothing of it is called a violation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.messages import bounded_id
from tests.chaos.audit.pauses import check_pauses
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import (
    BY_HAND,
    PAYMENT,
    TERMS,
    asked_for_payment,
    clean_flow,
    complete,
    decide,
    pay,
    place,
    reserve,
    settle_by_hand,
    told_of,
)
from tests.support.recorded_flow.parking import ask
from tests.support.recorded_flow.records import as_deadline
from verifier.flow import LEDGER, MESSAGE_TOPICS
from verifier.runtime_formats import FIRST_SEEN, MOST_SEEN


def same_message_again(flow: RecordedFlow) -> None:
    first = flow.last("PlaceOrder", "o-fast")
    flow.write("orders.commands", "PlaceOrder", "o-fast", first.fields, **first.header_texts())


def same_order_from_outside_again(flow: RecordedFlow) -> None:
    again = flow.outside("orders.events", "OrderPlaced", "o-done", **TERMS, order_id="o-done", placed_at=7)
    flow.state("o-done", "completed", again)


def other_order_under_a_known_id(flow: RecordedFlow) -> None:
    terms = {**TERMS, "order_id": "o-done", "currency": "USD"}
    other = flow.outside("orders.events", "OrderPlaced", "o-done", **terms, placed_at=7)
    flow.dead_letter("order", other)
    flow.dead_letter("orchestrator", other)


def two_shops_that_number_their_orders_alike(flow: RecordedFlow) -> None:
    for order_id, shop in (("o-fast", "/shop-a"), ("o-done", "/shop-b")):
        command, placed = next(flow.all("PlaceOrder", order_id)), next(flow.all("OrderPlaced", order_id))
        command.set_header("ce_correlationid", command.message_id)
        command.set_header("ce_id", "1")
        command.set_header("ce_source", shop)
        placed.set_header("ce_causationid", "1")


def ids_that_the_services_hand_on_in_another_form(flow: RecordedFlow) -> None:
    """A hash of a very long one, text for bytes that are none, and a trace of their own for one that is no trace."""
    for order_id, own_id in (("o-fast", b"i" * 500), ("o-done", b"\xff\xfe")):
        command, placed = next(flow.all("PlaceOrder", order_id)), next(flow.all("OrderPlaced", order_id))
        command.set_header("ce_correlationid", command.message_id)
        command.headers_now |= {"ce_id": own_id, "traceparent": b"00-" + b"X" * 32 + b"-00f067aa0ba902b7-01"}
        placed.set_header("ce_causationid", bounded_id(own_id))


def order_without_any_header(flow: RecordedFlow) -> None:
    """An outsider's record: its id is where it lies, its trace is the one that its first effect has."""
    placed = place(flow, "o-plain")
    placed.set_header("ce_causationid", "")
    placed.set_header("ce_source", "")
    flow.drop(flow.last("PlaceOrder", "o-plain"))
    placed.headers_now.clear()
    fields = {"order_id": "o-plain", "attempt": 1, **PAYMENT}
    headers = {"ce_id": "e1", "ce_source": "/services/orchestrator", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    where = "/".join(map(str, placed.at))
    request = flow.write(
        "payments.commands",
        "ProcessPayment",
        "o-plain",
        fields,
        ce_correlationid=where,
        ce_causationid=where,
        **headers,
    )
    flow.unread("payment", request)
    flow.last("OrderState", "o-plain").fields["seen"][0]["message_id"] = where


def late_charge_after_the_refund(flow: RecordedFlow) -> None:
    request = flow.last("ProcessPayment", "o-undone")
    flow.by("payment", "payments.commands", "AttemptCharge", request, order_id="o-undone", **PAYMENT)


def dispatched_again(flow: RecordedFlow) -> None:
    cause, at = flow.last("ShipmentScheduled", "o-done"), {"order_id": "o-done", "warehouse_id": "berlin"}
    flow.by("orchestrator", "inventory.commands", "DispatchStock", cause, **at)


def answered_again(flow: RecordedFlow) -> None:
    confirmed = flow.last("PaymentConfirmed", "o-done")
    repeat = flow.by(
        "payment", "payments.events", "PaymentConfirmed", flow.last("AttemptCharge", "o-done"), **confirmed.fields
    )
    flow.state("o-done", "completed", repeat)


def command_of_a_timer(flow: RecordedFlow) -> None:
    request = flow.last("ProcessPayment", "o-done")
    request.set_header("ce_causationid", "timer/o-done/deadline/5")


def garbage_put_aside(flow: RecordedFlow) -> None:
    garbage = flow.outside("orders.events", "OrderPlaced", "o-bad")
    garbage.raw_value = b"garbage"
    for service in ("order", "orchestrator", "shipping"):
        flow.dead_letter(service, garbage)


def large_garbage_put_aside(flow: RecordedFlow) -> None:
    garbage = flow.outside("orders.events", "OrderPlaced", "o-bad")
    garbage.raw_value = b"garbage" * 9
    for service in ("order", "orchestrator", "shipping"):
        flow.excerpt(service, garbage)


def failed_command(flow: RecordedFlow) -> None:
    """The dead letter's own CommandFailed is no effect of it."""
    command = flow.outside("payments.commands", "ProcessPayment", "o-done", order_id="o-done", attempt=1, **PAYMENT)
    flow.dead_letter("payment", command)
    told_of(flow, "payment", command, "completed")


def cancelled_before_anything_was_captured(flow: RecordedFlow) -> None:
    flow.bookings.append(
        flow.bookings[0]._replace(kind="refund", key="r", order_id="o-declined", amount=0, status="refunded")
    )


def deadline_in_the_order_state(flow: RecordedFlow) -> None:
    command_of_a_timer(flow)
    state = flow.last("OrderState", "o-done").fields
    state["seen"] = [{**as_deadline("o-done"), "decided": ["ProcessPayment"]}, *state["seen"]]


def paused_and_resumed(flow: RecordedFlow) -> None:
    """What came meanwhile led to nothing; the resume led to what follows."""
    paused = flow.outside("orchestrator.commands", "PauseOrder", "o-new", order_id="o-new", **BY_HAND)
    place(flow, "o-new")
    asked_for_payment(flow, flow.last("OrderPlaced", "o-new"))
    flow.state("o-new", "payment_pending", paused)
    decide(flow, "o-new", -1, "pause")
    repeated = flow.outside("orders.events", "OrderPlaced", "o-new", **TERMS, order_id="o-new", placed_at=7)
    resumed = flow.outside("orchestrator.commands", "ResumeOrder", "o-new", order_id="o-new", **BY_HAND)
    asked_for_payment(flow, resumed)
    flow.state("o-new", "payment_pending", repeated, resumed, attempt=2)
    decide(flow, "o-new", -3, "pause")
    decide(flow, "o-new", -1, "resume", "ProcessPayment")


def closed_again_when_asked_again(flow: RecordedFlow) -> None:
    cause = flow.last("ShipmentScheduled", "o-done")
    again = flow.by("orchestrator", "orders.commands", "CompleteOrder", cause, order_id="o-done")
    flow.by("order", "orders.events", "OrderCompleted", again, order_id="o-done")


def state_deleted_long_after_the_end(flow: RecordedFlow) -> None:
    flow.state("o-done", "").is_tombstone = True


def event_from_the_middle_that_a_full_memory_has_forgotten(flow: RecordedFlow) -> None:
    """Sixteen messages came after it."""
    answered_again(flow)
    state = flow.last("OrderState", "o-done").fields
    first = state["seen"][0]
    state["seen"] = [*[first] * FIRST_SEEN, *[{**first, "at": flow.now}] * (MOST_SEEN - FIRST_SEEN)]


def noted_at_the_place_of_a_copy(flow: RecordedFlow) -> None:
    request = flow.last("RequestCancellation", "o-undone")
    copy = flow.write(request.topic(), request.type, "o-undone", request.fields, **request.header_texts())
    for state in flow.all("OrderState", "o-undone"):
        for seen in state.fields["seen"]:
            seen["offset"] = copy.offset() if seen["message_id"] == request.message_id else seen["offset"]


def order_refused_before_the_one_that_counts(flow: RecordedFlow) -> None:
    terms = {**TERMS, "order_id": "o-new", "currency": "XXX"}
    refused = flow.outside("orders.events", "OrderPlaced", "o-new", **terms, placed_at=7)
    flow.dead_letter("order", refused)
    flow.dead_letter("orchestrator", refused)
    flow.unread("shipping", reserve(flow, pay(flow, place(flow, "o-new"))))


def garbage_not_read_yet(flow: RecordedFlow) -> None:
    garbage = flow.outside("orders.commands", "PlaceOrder", "o-bad")
    garbage.raw_value = b"garbage"
    flow.unread("order", garbage)


def reservation_closed_before_it_was_made(flow: RecordedFlow) -> None:
    flow.fact("ReservationClosed", flow.last("CancelShipment", "o-declined"), order_id="o-declined", reason="declined")


def dispatch_not_read_yet(flow: RecordedFlow) -> None:
    complete(flow, "o-late")
    flow.drop(*list(flow.all("StockDispatched", "o-late")))
    flow.unread("inventory", flow.last("DispatchStock", "o-late"))


def free_order_that_is_not_shipped_yet(flow: RecordedFlow) -> None:
    placed = place(flow, "o-free")
    free = {"lines": [{**line, "unit_price": 0} for line in placed.fields["lines"]]}
    flow.last("PlaceOrder", "o-free").fields |= free
    placed.fields |= free
    request = asked_for_payment(flow, placed)
    flow.committed.clear()
    answer = {"order_id": "o-free", "amount": 0, "currency": "EUR", "charge_id": None}
    paid = flow.by("payment", "payments.events", "PaymentConfirmed", request, **answer)
    flow.state("o-free", "fulfilled", paid, step="reservation", done=["payment"])
    flow.unread("shipping", reserve(flow, paid))


@pytest.mark.parametrize(
    "happens",
    [
        same_message_again,
        same_order_from_outside_again,
        other_order_under_a_known_id,
        two_shops_that_number_their_orders_alike,
        ids_that_the_services_hand_on_in_another_form,
        order_without_any_header,
        late_charge_after_the_refund,
        dispatched_again,
        answered_again,
        command_of_a_timer,
        deadline_in_the_order_state,
        paused_and_resumed,
        garbage_put_aside,
        large_garbage_put_aside,
        failed_command,
        cancelled_before_anything_was_captured,
        closed_again_when_asked_again,
        state_deleted_long_after_the_end,
        event_from_the_middle_that_a_full_memory_has_forgotten,
        noted_at_the_place_of_a_copy,
        order_refused_before_the_one_that_counts,
        garbage_not_read_yet,
        reservation_closed_before_it_was_made,
        dispatch_not_read_yet,
        free_order_that_is_not_shipped_yet,
    ],
)
def test_says_nothing(happens: Callable[[RecordedFlow], object]) -> None:
    flow = clean_flow()
    happens(flow)
    assert flow.violations() == []


def test_lists_an_order_under_way_with_what_it_waits_for() -> None:
    flow = clean_flow()
    paid = pay(flow, place(flow, "o-open"))
    command = {
        "order_id": "o-open",
        "warehouse_id": "berlin",
        "customer_id": "c-1",
        "lines": [],
        "shipping_speed": "standard",
    }
    request = flow.by("orchestrator", "inventory.commands", "FulfilOrder", paid, **command, attempt=1, expires_at=9)
    flow.unread("inventory", request)

    report = flow.report()

    assert report.violations == ()
    assert [(order.order_id, order.status, order.step) for order in report.open_orders] == [
        ("o-open", "fulfilled", "reservation")
    ]
    assert report.open_orders[0].waits_for == "PaymentConfirmed"


def test_lists_an_order_that_nobody_has_taken_up() -> None:
    flow = clean_flow()
    command = flow.outside("orders.commands", "PlaceOrder", "o-new", **{**TERMS, "order_id": "o-new"})
    flow.unread("order", command)

    report = flow.report()

    assert report.violations == ()
    assert [(o.order_id, o.waits_for) for o in report.open_orders] == [
        ("o-new", "order to read PlaceOrder orders.commands[0]@0")
    ]


def test_expects_so_many_orders_and_all_of_them_ended() -> None:
    flow = clean_flow()
    place(flow, "o-open")
    flow.drop(flow.last("OrderState", "o-open"))
    flow.unread("orchestrator", flow.last("OrderPlaced", "o-open"))

    messages = [violation.words for violation in flow.violations(expect_orders=7)]

    assert messages == ["7 orders were expected, 5 are accepted", "1 of 5 orders have not ended"]


def test_an_order_whose_compensation_has_failed_is_owing_and_neither_open_nor_wrong() -> None:
    flow = clean_flow()
    flow.drop(flow.last("CancelOrder", "o-undone"), flow.last("OrderCancelled", "o-undone"))
    flow.drop(flow.last("PaymentRefunded", "o-undone"), flow.last("RefundPayment", "o-undone"))
    flow.bookings = [booking for booking in flow.bookings if booking.kind != "refund"]
    history = list(flow.all("OrderState", "o-undone"))
    flow.drop(history[-2])
    gone = [seen for seen in history[-1].fields["seen"] if seen["type"] == "PaymentRefunded"]
    history[-1].fields["seen"] = [seen for seen in history[-1].fields["seen"] if seen not in gone]
    history[-1].fields |= {"status": "compensation_failed", "owed": ["payment"], "undone": ["shipment", "reservation"]}

    report = flow.report()

    assert report.violations == ()
    assert report.owing == {"o-undone": ("payment",)}
    assert report.open_orders == ()


def test_an_order_that_is_paused_is_open_and_says_by_whom_and_is_expected_to_end_later() -> None:
    flow = clean_flow()
    asked_for_payment(flow, place(flow, "o-new"))
    paused = flow.outside("orchestrator.commands", "PauseOrder", "o-new", order_id="o-new", **BY_HAND)
    pause = {"paused_by": "operator anna", "paused_reason": "audit", "paused_since": 5, "due_at": None}
    flow.state("o-new", "payment_pending", paused, **pause)

    report = flow.report()

    assert flow.violations(expect_orders=5) == []
    (order,) = report.open_orders
    assert (order.paused, order.waits_for) == (
        "operator anna: audit",
        "PaymentConfirmed (paused by operator anna: audit)",
    )


def test_what_was_settled_by_hand_may_stay_with_the_provider_and_in_the_warehouse() -> None:
    flow = clean_flow()
    settle_by_hand(flow, "o-undone")

    assert flow.violations() == []


def test_what_retention_has_removed_is_noted_and_not_judged() -> None:
    flow = clean_flow()
    lost = flow.last("ProcessPayment", "o-done")
    flow.drop(next(flow.all("PlaceOrder", "o-done")), lost)

    cut_off = flow.report(kept_from={lost.at[:2]: lost.offset() + 1})

    assert flow.violations()
    assert cut_off.violations == ()
    assert "payments.commands" in cut_off.notes[0]


def test_an_order_that_ended_before_retention_is_not_open_when_it_is_placed_again() -> None:
    # given an order of which only ledger, provider and state are left
    flow = clean_flow()
    ends, expired = dict(flow.ends), [topic for topic in MESSAGE_TOPICS if topic != LEDGER]
    flow.drop(*[record for record in flow.records if record.topic() in expired])

    # when it is placed once more
    same_order_from_outside_again(flow)
    shortened = flow.report(kept_from={place: end for place, end in ends.items() if place[0] in expired})

    # then it has ended, as its state says; without retention its closing is missing
    assert (shortened.violations, shortened.open_orders) == ((), ())
    assert [order.order_id for order in flow.report().open_orders] == ["o-done"]


@pytest.mark.parametrize(("days", "first", "lines"), [(8, 1, 0), (6, 1, 1), (8, 0, 1)])
def test_an_operator_s_answer_may_have_expired(days: int, first: int, lines: int) -> None:
    """The command is kept for ever, its answer for a week."""
    flow = clean_flow()
    ask(flow, "PauseWork", scope="command", name="AttemptCharge")
    firsts = {("payment.operations", 1): first}
    assert len(flow.violations(read_at=days * 86_400_000, kept_from=firsts)) == lines


def test_orders_of_which_only_ledger_provider_and_state_are_left_are_not_judged() -> None:
    # given a clean flow, all topics of which but the ledger have outlived their retention
    flow = clean_flow()
    expired = [topic for topic in MESSAGE_TOPICS if topic != LEDGER]
    flow.drop(*[record for record in flow.records if record.topic() in expired])
    firsts = {place: end for place, end in flow.ends.items() if place[0] in expired}

    # then nobody is blamed for what the messages said
    assert flow.violations(kept_from=firsts) == []


def test_a_full_memory_that_has_lost_a_resume_is_not_blamed_for_what_was_sent_then() -> None:
    flow = clean_flow()
    decide(flow, "o-done", 0, "pause")
    state = flow.last("OrderState", "o-done").fields
    state["seen"] = [*state["seen"], *[state["seen"][-1]] * MOST_SEEN][:MOST_SEEN]

    assert flow.violation_lines("pauses") == ""


def test_money_is_not_judged_while_the_provider_is_silent() -> None:
    assert clean_flow().violations(has_provider=False) == []


def test_orders_under_way_say_what_they_wait_for_before_and_after_the_saga() -> None:
    # given an order whose announcement was read without a state, one that is not read, and one that is not closed
    flow = clean_flow()
    for order_id in ("o-read", "o-new"):
        place(flow, order_id)
        flow.drop(flow.last("OrderState", order_id))
    flow.unread("orchestrator", flow.last("OrderPlaced", "o-new"))
    flow.drop(flow.last("OrderCompleted", "o-done"))

    # then each says who has to do something
    awaited = {order.order_id: (order.status, order.waits_for) for order in flow.report().open_orders}
    assert awaited["o-done"] == ("completed", "the order service, which has yet to close it")
    assert awaited["o-new"] == ("placed", f"orchestrator to read {_place_of(flow, 'o-new')}")
    assert awaited["o-read"] == ("placed", f"nothing known: orchestrator has read {_place_of(flow, 'o-read')}")


def _place_of(flow: RecordedFlow, order_id: str) -> str:
    topic, partition, offset = flow.last("OrderPlaced", order_id).at
    return f"OrderPlaced {topic}[{partition}]@{offset}"


def test_what_lies_behind_the_cut_is_not_judged() -> None:
    flow = clean_flow()
    before = dict(flow.ends)
    record = flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-odd")
    record.set_header("ce_causationid", "not-read-yet")
    behind = {place: end - before.get(place, 0) for place, end in flow.ends.items()}

    assert flow.violations(uncommitted=behind) == []
    assert flow.violations()


def test_a_state_that_an_older_release_has_written_claims_no_decision() -> None:
    seen = {"type": "OrderPlaced", "message_id": "m-1"}
    case: Any = SimpleNamespace(states=[], noted={"m-1": seen}, caused={}, is_whole=True)
    unused: Any = None
    assert list(check_pauses(case, unused)) == []
