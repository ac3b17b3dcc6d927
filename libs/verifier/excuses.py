"""Why an input may have no message that follows from it: each rule looks for the state that it must have left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from verifier.facts import Message
from verifier.flow import ORDER_CHANGELOG, SHIPMENT_CHANGELOG
from verifier.snapshot import Snapshot

TERMS: Final = ("customer_id", "lines", "currency", "payment_token", "warehouse_id", "shipping_speed")
"""What makes two orders of one id the same order."""


def same_terms(one: Message, other: Message) -> bool:
    """Return whether both messages place the same order."""
    return all(one.fields.get(name) == other.fields.get(name) for name in TERMS)


def noted(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the orchestrator has recorded the message, or no longer could: deleted state, or full memory."""
    if message.message_id in snapshot.noted.get(message.order_id, {}):
        return True
    history = snapshot.states.get(message.order_id, ())
    return any(record.is_full or not record.status for record in history)


def placed_before(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the same order was placed before, or had ended before it was placed."""
    order_id = message.order_id
    placed = snapshot.of_order(order_id, "OrderPlaced")
    if not placed:
        return order_id in snapshot.completed or order_id in snapshot.cancelled
    return any(same_terms(message, other) for other in placed)


def order_known(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the order service knows the order."""
    return message.order_id in snapshot.kept.get(ORDER_CHANGELOG, {})


def shipment_known(snapshot: Snapshot, message: Message) -> bool:
    """Return whether shipping knows the order; an express one is planned or cancelled in either case."""
    shipment = snapshot.kept.get(SHIPMENT_CHANGELOG, {}).get(message.order_id)
    if shipment is None:
        return False
    counts = snapshot.accepted.get(message.order_id) == message
    return not counts or message.fields.get("shipping_speed") != "express" or _is_settled(snapshot, message.order_id)


def _is_settled(snapshot: Snapshot, order_id: str) -> bool:
    """Return whether shipping has answered an earlier message of this order."""
    return any(snapshot.of_order(order_id, kind) for kind in ("ShipmentScheduled", "ShipmentCancelled"))


def packing_begun(snapshot: Snapshot, message: Message) -> bool:
    """Return whether packing has begun, or the shipment is cancelled."""
    shipment = snapshot.kept.get(SHIPMENT_CHANGELOG, {}).get(message.order_id, {})
    return bool(shipment.get("packaging")) or shipment.get("status") == "cancelled"


def refunded_before(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the order was refunded before the charge was tried, which ends the charge."""
    return bool(snapshot.of_order(message.order_id, "PaymentRefunded"))


def dispatched_before(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the reserved goods have left already."""
    return bool(snapshot.of_order(message.order_id, "StockDispatched"))


RULES: Final[Mapping[str, Callable[[Snapshot, Message], bool]]] = {
    rule.__name__: rule
    for rule in (
        noted,
        placed_before,
        order_known,
        shipment_known,
        packing_begun,
        refunded_before,
        dispatched_before,
    )
}
