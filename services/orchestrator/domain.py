"""An order's state, and the commands that follow from it: pure functions."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from contracts import (
    REASON_LIMIT,
    CancelOrder,
    CancelShipment,
    Charge,
    CompleteOrder,
    DispatchStock,
    FulfilOrder,
    OrderPlaced,
    OrderState,
    OrderTerms,
    PaymentConfirmed,
    ProcessPayment,
    RefundPayment,
    ReleaseStock,
    SeenEvent,
    ShipmentScheduled,
    total_of,
)

_TERMS: Final = tuple(OrderTerms.model_fields)
_UNKNOWN: Final = OrderState(**dict(OrderState(order_id="unknown")))
"""An order of which nothing is known. All fields are given, so its copies share what says which ones are."""
ENDED: Final = frozenset({"completed", "cancelled"})

# -- the state ----------------------------------------------------------------------------------------------------


def new_order(order_id: str) -> OrderState:
    """Return an order of which nothing but its id is known, which a message has told."""
    return _UNKNOWN.model_copy(update={"order_id": order_id})


def note(state: OrderState, trigger: object, message_id: str) -> OrderState:
    """Return the order with its first terms, its charge or its shipment, if the trigger tells of them."""
    match trigger:
        case OrderPlaced() as event if not state.terms_hash:
            terms = OrderTerms(**{name: getattr(event, name) for name in _TERMS})
            changes = {"order": terms, "terms_hash": fingerprint(event), "placed_message_id": message_id}
            return state.model_copy(update=changes)
        case PaymentConfirmed(amount=amount, currency=currency, charge_id=charge_id) if state.charge is None:
            charge = Charge(amount=amount, currency=currency, charge_id=charge_id)
            return state.model_copy(update={"charge": charge})
        case ShipmentScheduled(shipment_id=shipment_id) if state.shipment_id is None:
            return state.model_copy(update={"shipment_id": shipment_id})
        case _:
            return state


def contradicts(state: OrderState, event: OrderPlaced) -> bool:
    """Return whether the order was placed before, on other terms."""
    return bool(state.terms_hash) and state.terms_hash != fingerprint(event)


def fingerprint(event: OrderPlaced) -> str:
    """Return the same text for the same terms, whenever they were published."""
    return blake2b(event.model_dump_json(exclude={"placed_at"}).encode(), digest_size=16).hexdigest()


def trim_to_store(state: OrderState, seen: tuple[SeenEvent, ...], now: int) -> OrderState:
    """Return the order as it is stored, with what it has seen: a stub, without the terms, once it has ended."""
    order = None if state.status in ENDED else state.order
    return state.model_copy(update={"order": order, "seen": seen, "updated_at": now})


def trim_to_outcome(state: OrderState) -> OrderState:
    """Return what stays of an ended order for ever: how it ended, by which steps, and the fingerprint of its terms."""
    details = ("order", "seen", "charge", "shipment_id", "placed_message_id", "reason")
    return state.model_copy(update={name: OrderState.model_fields[name].get_default() for name in details})


# -- the commands -------------------------------------------------------------------------------------------------


def process_payment(state: OrderState) -> ProcessPayment:
    order, expires_at = _terms(state), _expiry(state)
    return ProcessPayment(
        order_id=state.order_id,
        amount=total_of(order.lines),
        currency=order.currency,
        payment_token=order.payment_token,
        attempt=state.attempt,
        expires_at=expires_at,
    )


def fulfil_order(state: OrderState) -> FulfilOrder:
    order, expires_at = _terms(state), _expiry(state)
    return FulfilOrder(
        order_id=state.order_id,
        warehouse_id=order.warehouse_id,
        customer_id=order.customer_id,
        lines=order.lines,
        shipping_speed=order.shipping_speed,
        attempt=state.attempt,
        expires_at=expires_at,
    )


def complete_order(state: OrderState) -> CompleteOrder:
    return CompleteOrder(order_id=state.order_id)


def dispatch_stock(state: OrderState) -> DispatchStock:
    return DispatchStock(order_id=state.order_id, warehouse_id=_terms(state).warehouse_id)


def refund_payment(state: OrderState) -> RefundPayment:
    return RefundPayment(order_id=state.order_id, reason=_reason(state), attempt=state.attempt)


def release_stock(state: OrderState) -> ReleaseStock:
    return ReleaseStock(
        order_id=state.order_id,
        warehouse_id=_terms(state).warehouse_id,
        reason=_reason(state),
        attempt=state.attempt,
    )


def cancel_shipment(state: OrderState) -> CancelShipment:
    return CancelShipment(order_id=state.order_id, reason=_reason(state), attempt=state.attempt)


def cancel_order(state: OrderState) -> CancelOrder:
    return CancelOrder(order_id=state.order_id, reason=_reason(state))


def _terms(state: OrderState) -> OrderTerms:
    assert state.order is not None, "only orders that were placed have steps"
    return state.order


def _expiry(state: OrderState) -> int:
    assert state.expires_at is not None, "the engine sets it before it asks for a command"
    return state.expires_at


def _reason(state: OrderState) -> str:
    return (state.reason or "cancelled")[:REASON_LIMIT]
