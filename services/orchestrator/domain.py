"""An order's state, and the commands that follow from it: pure functions."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from contracts import (
    CancelOrder,
    CancelShipment,
    CompleteOrder,
    DispatchStock,
    FulfilOrder,
    OrderPlaced,
    OrderState,
    OrderTerms,
    ProcessPayment,
    RefundPayment,
    ReleaseStock,
    SeenEvent,
    total_of,
)

FIRST_SEEN: Final = 16
LAST_SEEN: Final = 16
"""How many messages are remembered from an order's beginning, and how many of the latest."""

# -- the state ----------------------------------------------------------------------------------------------------


def placed(state: OrderState, event: OrderPlaced, message_id: str) -> OrderState:
    """The state with the order's terms, when these are the first that come."""
    if state.terms_hash:
        return state
    terms = OrderTerms(**event.model_dump(exclude={"order_id"}))
    return state.model_copy(update={"order": terms, "terms_hash": fingerprint(event), "placed_message_id": message_id})


def contradicts(state: OrderState, event: OrderPlaced) -> bool:
    """Whether the order was placed before, on other terms."""
    return state.terms_hash not in {"", fingerprint(event)}


def fingerprint(event: OrderPlaced) -> str:
    """The same for the same terms, whenever they were published."""
    return blake2b(event.model_dump_json(exclude={"placed_at"}).encode(), digest_size=16).hexdigest()


def has_seen(state: OrderState, message_id: str) -> bool:
    """Whether this very message is remembered."""
    return any(seen.message_id == message_id for seen in state.seen)


def with_seen(state: OrderState, seen: SeenEvent) -> OrderState:
    """The state that remembers one message more; the first and the latest ones stay."""
    kept = state.seen if len(state.seen) < FIRST_SEEN + LAST_SEEN else _without_the_middle(state.seen)
    return state.model_copy(update={"seen": (*kept, seen)})


def _without_the_middle(seen: tuple[SeenEvent, ...]) -> tuple[SeenEvent, ...]:
    return (*seen[:FIRST_SEEN], *seen[FIRST_SEEN + 1 :])


def kept(state: OrderState, now: int) -> OrderState:
    """The state as it is stored: a stub, without the terms, once the order has ended."""
    order = None if state.status in {"completed", "cancelled"} else state.order
    return state.model_copy(update={"order": order, "updated_at": now})


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
    return state.reason or "cancelled"
