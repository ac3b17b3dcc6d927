"""An input that vanished, or counted twice, is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.verify.flow import SENT_AGAIN
from contracts.catalogue import CATALOGUE
from ensemble.messages import Command
from tests.support.recorded_flow.flow import DUE, RecordedFlow
from tests.support.recorded_flow.orders import violation_lines_with


def place_order_lost(flow: RecordedFlow) -> None:
    flow.outside("orders.commands", "PlaceOrder", "o-new", **{**flow.last("PlaceOrder").fields, "order_id": "o-new"})


def answer_lost(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ReservationConfirmed", "o-done"))


def dispatch_ignored(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockDispatched", "o-done")))


def receipt_lost(flow: RecordedFlow) -> None:
    fields = {"warehouse_id": "berlin", "sku": "tea", "quantity": 1}
    flow.outside("inventory.commands", "ReceiveStock", "berlin", **fields)


def event_never_noted(flow: RecordedFlow) -> None:
    flow.by(
        "payment", "payments.events", "PaymentRefunded", flow.last("RefundPayment"), order_id="o-undone", amount=DUE
    )


def cancellation_ignored(flow: RecordedFlow) -> None:
    flow.outside("orchestrator.commands", "RequestCancellation", "o-done", order_id="o-done", reason="too late")


def order_unknown_to_the_order_service(flow: RecordedFlow) -> None:
    flow.drop(*[r for r in flow.records if r.topic() == "order.order-changelog" and r.raw_key == b"o-done"])


def order_unknown_to_shipping(flow: RecordedFlow) -> None:
    flow.drop(*[r for r in flow.records if r.topic() == "shipping.shipment-changelog" and r.raw_key == b"o-done"])


def express_order_never_scheduled(flow: RecordedFlow) -> None:
    flow.drop(flow.last("InitiatePackaging", "o-fast"), *list(flow.all("ShipmentScheduled", "o-fast")))


def swallowed_command_of_an_order_that_was_undone(flow: RecordedFlow) -> None:
    """Its undo is no excuse: it never waited."""
    flow.drop(flow.last("ScheduleShipment", "o-undone"), flow.last("ReservationConfirmed", "o-undone"))
    flow.drop(*list(flow.all("StockReserved", "o-undone")), *list(flow.all("StockReleased", "o-undone")))


def packing_never_begun(flow: RecordedFlow) -> None:
    for record in flow.records:
        if record.topic() == "shipping.shipment-changelog" and record.raw_key == b"o-fast":
            record.fields["packaging"] = False


def garbage_ignored(flow: RecordedFlow) -> None:
    flow.outside("orders.commands", "PlaceOrder", "o-bad").raw_value = b"garbage"


def tombstone_ignored(flow: RecordedFlow) -> None:
    flow.outside("payments.commands", "ProcessPayment", "o-bad").is_tombstone = True


def dead_letter_that_took_effect(flow: RecordedFlow) -> None:
    flow.dead_letter("payment", flow.last("ProcessPayment", "o-done"))


def torn_transaction(flow: RecordedFlow) -> None:
    flow.drop(flow.last("InitiatePackaging", "o-fast"))


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (place_order_lost, "inputs", "no OrderPlaced from it"),
        (answer_lost, "inputs", "no ReservationConfirmed or ReservationRejected from it"),
        (dispatch_ignored, "inputs", "no StockDispatched from it"),
        (receipt_lost, "inputs", "no StockReceived from it"),
        (event_never_noted, "inputs", "orchestrator has read it, but there is no trace in its state"),
        (cancellation_ignored, "inputs", "RequestCancellation"),
        (order_unknown_to_the_order_service, "inputs", "order has read it"),
        (order_unknown_to_shipping, "inputs", "shipping has read it"),
        (express_order_never_scheduled, "inputs", "shipping has read it, but there is no ShipmentScheduled from it"),
        (
            swallowed_command_of_an_order_that_was_undone,
            "inputs",
            "inventory has read it, but there is no ReservationConfirmed or ReservationRejected from it",
        ),
        (packing_never_begun, "inputs", "InitiatePackaging"),
        (garbage_ignored, "inputs", "no dead letter of order: the first byte"),
        (tombstone_ignored, "inputs", "it is a tombstone"),
        (dead_letter_that_took_effect, "inputs", "and yet AttemptCharge"),
        (torn_transaction, "inputs", "without InitiatePackaging: a transaction was torn"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)


def test_every_command_that_counts_its_attempts_may_be_answered_by_a_later_one() -> None:
    commands = (message for topic in CATALOGUE.topics for message in topic.messages if issubclass(message, Command))
    assert {command.__name__ for command in commands if "attempt" in command.model_fields} == SENT_AGAIN
