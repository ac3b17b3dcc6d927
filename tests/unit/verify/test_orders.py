"""Orders that end wrongly, go backwards, or whose state says what is not so, are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import (
    ANY_FIELDS,
    clean_flow,
    decide,
    place,
    settle_by_hand,
    violation_lines_with,
)


def both_ends(flow: RecordedFlow) -> None:
    closing = flow.last("CompleteOrder", "o-done")
    flow.by("order", "orders.events", "OrderCancelled", closing, order_id="o-done", reason="odd")


def ended_twice(flow: RecordedFlow) -> None:
    flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-done")


def ended_but_never_placed(flow: RecordedFlow) -> None:
    command = flow.outside("orders.commands", "CancelOrder", "o-odd", order_id="o-odd", reason="odd")
    flow.by("order", "orders.events", "OrderCancelled", command, order_id="o-odd", reason="odd")


def ended_before_it_was_placed(flow: RecordedFlow) -> None:
    ended_but_never_placed(flow)
    place(flow, "o-odd")


def completed_without_telling_anyone(flow: RecordedFlow) -> None:
    flow.drop(flow.last("CompleteOrder", "o-done"), flow.last("OrderCompleted", "o-done"))


def step_done_without_its_event(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ShipmentScheduled", "o-done"))


def refused_without_its_event(flow: RecordedFlow) -> None:
    flow.drop(flow.last("PaymentDeclined", "o-declined"))


def undone_without_its_event(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ReservationReleased", "o-undone"))


def undo_never_sent(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-undone").fields |= {"status": "compensating", "step": "reservation"}
    flow.drop(flow.last("ReleaseStock", "o-undone"))


def completed_without_dispatching(flow: RecordedFlow) -> None:
    flow.drop(flow.last("DispatchStock", "o-done"), *list(flow.all("StockDispatched", "o-done")))


def completed_although_undone(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-done").fields["undone"] = ["payment"]


def cancelled_and_dispatched(flow: RecordedFlow) -> None:
    cause, at = flow.last("ShipmentCancelled", "o-undone"), {"order_id": "o-undone", "warehouse_id": "berlin"}
    flow.by("orchestrator", "inventory.commands", "DispatchStock", cause, **at)


def closed_as_something_else(flow: RecordedFlow) -> None:
    cause = flow.last("PaymentRefunded", "o-undone")
    flow.by("orchestrator", "orders.commands", "CompleteOrder", cause, order_id="o-undone")


def refused_after_it_was_done(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-undone").fields |= {"failed": ["payment"], "undone": ["shipment", "reservation"]}


def ended_without_any_state(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("OrderState", "o-done")))


def deleted_before_its_end(flow: RecordedFlow) -> None:
    place(flow, "o-new")
    flow.state("o-new", "").is_tombstone = True


def completed_with_a_step_missing(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-done").fields["done"] = ["payment", "reservation"]


def cancelled_without_undoing(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-undone").fields["undone"] = ["shipment", "reservation"]


def state_that_ends_otherwise(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-done").fields["status"] = "fulfilled"


def state_without_a_command(flow: RecordedFlow) -> None:
    place(flow, "o-new")


def seen_what_never_was(flow: RecordedFlow) -> None:
    seen = flow.last("OrderState", "o-done").fields["seen"]
    seen[-2] = {**seen[-2], "message_id": "never-was"}


def seen_as_something_else(flow: RecordedFlow) -> None:
    for state in flow.all("OrderState", "o-done"):
        for seen in state.fields["seen"]:
            seen["type"] = seen["type"].replace("ShipmentScheduled", "ShipmentCancelled")


def seen_of_another_order(flow: RecordedFlow) -> None:
    flow.last("ReservationConfirmed", "o-done").fields["order_id"] = "o-fast"


def seen_elsewhere(flow: RecordedFlow) -> None:
    for state in flow.all("OrderState", "o-done"):
        state.fields["seen"] = [{**seen, "offset": seen["offset"] + 1} for seen in state.fields["seen"]]


def failed_but_nothing_owed(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-undone").fields["status"] = "compensation_failed"


def cancelled_and_still_owing(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-undone").fields["owed"] = ["payment"]


def reserved_again_after_its_release(flow: RecordedFlow) -> None:
    flow.facts("StockReserved", flow.last("FulfilOrder", "o-undone"), "o-undone")


def backwards(flow: RecordedFlow) -> None:
    flow.state("o-done", "fulfilled")


def forgets_a_step(flow: RecordedFlow) -> None:
    flow.state("o-done", "completed", done=["payment", "reservation"])


def confirmed_after_refund(flow: RecordedFlow) -> None:
    confirmed = flow.last("PaymentConfirmed", "o-undone")
    flow.by(
        "payment", "payments.events", "PaymentConfirmed", flow.last("AttemptCharge", "o-undone"), **confirmed.fields
    )


def rejected_then_confirmed(flow: RecordedFlow) -> None:
    cause, at = flow.last("FulfilOrder", "o-undone"), {"order_id": "o-undone", "warehouse_id": "berlin"}
    flow.by("inventory", "inventory.events", "ReservationConfirmed", cause, **at)


def released_before_reserved(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockReserved", "o-undone")))


def scheduled_after_cancellation(flow: RecordedFlow) -> None:
    shipped = {"order_id": "o-undone", "shipment_id": "s-1", "shipping_speed": "standard"}
    flow.by("shipping", "shipping.events", "ShipmentScheduled", flow.last("ScheduleShipment", "o-undone"), **shipped)


def sent_while_paused(flow: RecordedFlow) -> None:
    decide(flow, "o-done", 0, "pause")


def decided_what_is_on_no_topic(flow: RecordedFlow) -> None:
    decide(flow, "o-done", 0, "ProcessPayment", "RefundPayment")


def settled_by_nobody(flow: RecordedFlow) -> None:
    settle_by_hand(flow, "o-undone")
    flow.last("SettleOrder", "o-undone").fields["steps"] = ["shipment"]


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (both_ends, "endings", "o-done is both completed"),
        (ended_twice, "endings", "has the same cause as"),
        (ended_but_never_placed, "endings", "nobody placed it"),
        (ended_before_it_was_placed, "endings", "comes before its OrderPlaced"),
        (completed_without_telling_anyone, "order state", "CompleteOrder was not sent"),
        (step_done_without_its_event, "order state", "step shipment left ShipmentScheduled, which is on no topic"),
        (refused_without_its_event, "order state", "step payment left PaymentDeclined, which is on no topic"),
        (undone_without_its_event, "order state", "step reservation left ReservationReleased, which is on no topic"),
        (undo_never_sent, "order state", "is compensating at step reservation, but ReleaseStock was never sent"),
        (completed_without_dispatching, "order state", "o-done is completed, but DispatchStock was not sent"),
        (completed_although_undone, "order state", "o-done is completed, although payment was undone"),
        (cancelled_and_dispatched, "order state", "o-undone is cancelled, but DispatchStock was sent"),
        (closed_as_something_else, "order state", "o-undone is cancelled, but CompleteOrder was sent"),
        (refused_after_it_was_done, "order state", "step payment was begun and never undone"),
        (ended_without_any_state, "order state", "is completed; the order state knows nothing of it"),
        (deleted_before_its_end, "transitions", "went from payment_pending to nothing"),
        (completed_with_a_step_missing, "order state", "is completed without shipment"),
        (cancelled_without_undoing, "order state", "step payment was begun and never undone"),
        (state_that_ends_otherwise, "order state", "its state says fulfilled"),
        (state_without_a_command, "order state", "ProcessPayment was never sent"),
        (seen_what_never_was, "seen", "has seen ShipmentScheduled never-was"),
        (seen_as_something_else, "seen", "which is ShipmentScheduled shipping.events"),
        (seen_of_another_order, "seen", "of o-fast"),
        (seen_elsewhere, "seen", "but it lies at payments.events"),
        (failed_but_nothing_owed, "order state", "nothing is owed"),
        (cancelled_and_still_owing, "order state", "o-undone is cancelled, although payment is owed"),
        (reserved_again_after_its_release, "transitions", "o-undone StockReserved"),
        (sent_while_paused, "pauses", "was paused when PaymentConfirmed"),
        (decided_what_is_on_no_topic, "pauses", "says that it sent RefundPayment upon OrderPlaced"),
        (settled_by_nobody, "order state", "no SettleOrder names it"),
        (backwards, "transitions", "went from completed to fulfilled"),
        (forgets_a_step, "transitions", "shipment is no longer done"),
        (confirmed_after_refund, "transitions", "follows PaymentRefunded"),
        (rejected_then_confirmed, "transitions", "follows ReservationReleased"),
        (released_before_reserved, "transitions", "comes first"),
        (scheduled_after_cancellation, "transitions", "follows ShipmentCancelled"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)


@pytest.mark.parametrize("name", ["begun", "done", "failed", "undone", "settled"])
def test_finds_a_step_that_a_state_forgets(name: str) -> None:
    flow = clean_flow()
    flow.state("o-done", "completed", **{name: ["payment", "shipment"]})
    flow.state("o-done", "completed", **{name: ["payment"]})

    assert f"shipment is no longer {name}" in flow.violation_lines("transitions")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fulfilled", "payment_pending"),
        ("compensating", "fulfilled"),
        ("compensating", "completed"),
        ("compensation_failed", "completed"),
        ("cancelled", "compensating"),
        ("cancelled", "completed"),
        ("completed", "cancelled"),
        ("completed", "compensating"),
        ("payment_pending", "placeholder"),
    ],
)
def test_finds_a_status_that_no_order_can_go_to(before: str, after: str) -> None:
    flow = clean_flow()
    flow.state("o-new", before)
    flow.state("o-new", after)

    assert f"o-new went from {before} to {after}" in flow.violation_lines("transitions")


@pytest.mark.parametrize(
    ("order_id", "before", "after"),
    [
        ("o-done", "PaymentConfirmed", "PaymentDeclined"),
        ("o-declined", "PaymentDeclined", "PaymentConfirmed"),
        ("o-undone", "PaymentRefunded", "PaymentConfirmed"),
        ("o-done", "ReservationConfirmed", "ReservationRejected"),
        ("o-undone", "ReservationReleased", "ReservationConfirmed"),
        ("o-undone", "ShipmentCancelled", "ShipmentScheduled"),
        ("o-done", "OrderCompleted", "OrderCancelled"),
        ("o-undone", "OrderCancelled", "OrderCompleted"),
        ("o-undone", "StockReleased", "StockReserved"),
        ("o-undone", "StockReleased", "StockDispatched"),
        ("o-done", "StockDispatched", "StockReserved"),
        ("o-done", "StockDispatched", "StockReleased"),
    ],
)
def test_finds_what_may_not_follow_on_a_topic(order_id: str, before: str, after: str) -> None:
    # given the last record of its kind, and after it the same record as something else
    flow = clean_flow()
    earlier = flow.last(before, order_id)
    fields = {name: value for name, value in earlier.fields.items() if value is not None}
    flow.write_at(earlier.at[:2], after, order_id, ANY_FIELDS | fields, **earlier.header_texts())

    # then the succession is told
    assert f"{after} {earlier.topic()}" in flow.violation_lines("transitions")


def test_finds_goods_reserved_after_the_reservation_was_closed() -> None:
    flow = clean_flow()
    cause = flow.last("ReleaseStock", "o-undone")
    flow.fact("ReservationClosed", cause, order_id="o-declined", reason="declined")
    flow.facts("StockReserved", cause, "o-declined")

    assert "o-declined StockReserved" in flow.violation_lines("transitions")
