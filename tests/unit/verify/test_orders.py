"""Orders that end wrongly, go backwards, or whose state says what is not so, are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import decide, place, settle_by_hand, violation_lines_with


def both_ends(flow: RecordedFlow) -> None:
    closing = flow.last("CompleteOrder", "o-done")
    flow.by("order", "orders.events", "OrderCancelled", closing, order_id="o-done", reason="odd")


def ended_twice(flow: RecordedFlow) -> None:
    flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-done")


def ended_but_never_placed(flow: RecordedFlow) -> None:
    command = flow.outside("orders.commands", "CancelOrder", "o-odd", order_id="o-odd", reason="odd")
    flow.by("order", "orders.events", "OrderCancelled", command, order_id="o-odd", reason="odd")


def completed_without_telling_anyone(flow: RecordedFlow) -> None:
    flow.drop(flow.last("CompleteOrder", "o-done"), flow.last("OrderCompleted", "o-done"))


def step_done_without_its_event(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ShipmentScheduled", "o-done"))


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
        (completed_without_telling_anyone, "order state", "CompleteOrder was not sent"),
        (step_done_without_its_event, "order state", "step shipment left ShipmentScheduled, which is on no topic"),
        (completed_with_a_step_missing, "order state", "is completed without shipment"),
        (cancelled_without_undoing, "order state", "step payment was begun and never undone"),
        (state_that_ends_otherwise, "order state", "its state says fulfilled"),
        (state_without_a_command, "order state", "ProcessPayment was never sent"),
        (seen_what_never_was, "order state", "has seen ShipmentScheduled never-was"),
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
