"""An input that vanished, or counted twice, is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.orders import clean_story
from tests.support.recorded_flow.story import DUE, Story


def place_order_lost(story: Story) -> None:
    story.outside("orders.commands", "PlaceOrder", "o-new", **{**story.last("PlaceOrder").fields, "order_id": "o-new"})


def answer_lost(story: Story) -> None:
    story.drop(story.last("ReservationConfirmed", "o-done"))


def dispatch_ignored(story: Story) -> None:
    story.drop(*list(story.all("StockDispatched", "o-done")))


def receipt_lost(story: Story) -> None:
    fields = {"warehouse_id": "berlin", "sku": "tea", "quantity": 1}
    story.outside("inventory.commands", "ReceiveStock", "berlin", **fields)


def event_never_noted(story: Story) -> None:
    event = story.by(
        "payment", "payments.events", "PaymentRefunded", story.last("RefundPayment"), order_id="o-undone", amount=DUE
    )
    assert event.message_id


def cancellation_ignored(story: Story) -> None:
    story.outside("orchestrator.commands", "RequestCancellation", "o-done", order_id="o-done", reason="too late")


def order_unknown_to_the_order_service(story: Story) -> None:
    story.drop(*[r for r in story.records if r.topic() == "order.order-changelog" and r.raw_key == b"o-done"])


def order_unknown_to_shipping(story: Story) -> None:
    story.drop(*[r for r in story.records if r.topic() == "shipping.shipment-changelog" and r.raw_key == b"o-done"])


def packing_never_begun(story: Story) -> None:
    for record in story.records:
        if record.topic() == "shipping.shipment-changelog" and record.raw_key == b"o-fast":
            record.fields["packaging"] = False


def garbage_ignored(story: Story) -> None:
    story.outside("orders.commands", "PlaceOrder", "o-bad").raw_value = b"garbage"


def tombstone_ignored(story: Story) -> None:
    story.outside("payments.commands", "ProcessPayment", "o-bad").is_tombstone = True


def dead_letter_that_took_effect(story: Story) -> None:
    story.given_up("payment", story.last("ProcessPayment", "o-done"))


def torn_transaction(story: Story) -> None:
    story.drop(story.last("InitiatePackaging", "o-fast"))


@pytest.mark.parametrize(
    ("plant", "check", "words"),
    [
        (place_order_lost, "inputs", "no OrderPlaced from it"),
        (answer_lost, "inputs", "no ReservationConfirmed or ReservationRejected from it"),
        (dispatch_ignored, "inputs", "no StockDispatched from it"),
        (receipt_lost, "inputs", "no StockReceived from it"),
        (event_never_noted, "inputs", "orchestrator has read it, but there is no trace in its state"),
        (cancellation_ignored, "inputs", "RequestCancellation"),
        (order_unknown_to_the_order_service, "inputs", "order has read it"),
        (order_unknown_to_shipping, "inputs", "shipping has read it"),
        (packing_never_begun, "inputs", "InitiatePackaging"),
        (garbage_ignored, "inputs", "no dead letter of order: the first byte"),
        (tombstone_ignored, "inputs", "it is a tombstone"),
        (dead_letter_that_took_effect, "inputs", "and yet AttemptCharge"),
        (torn_transaction, "inputs", "without InitiatePackaging: a transaction was torn"),
    ],
)
def test_finds(plant: Callable[[Story], object], check: str, words: str) -> None:
    story = clean_story()
    plant(story)
    assert words in story.found(check)
