"""An order's own life: placed once, closed once. The first OrderPlaced on the topic says what was agreed on."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from contracts import (
    REASON_LIMIT,
    CancelOrder,
    CompleteOrder,
    Order,
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    PlaceOrder,
)

TERMS = {"customer_id", "lines", "currency", "payment_token", "warehouse_id", "shipping_speed"}
"""What makes two orders of one id the same order. When it was placed does not."""


@dataclass(frozen=True)
class Accepted:
    """The order is new here, or known better than before."""

    order: Order


@dataclass(frozen=True)
class Repeated:
    """The order is known with these terms, or closed already: nothing changes."""


@dataclass(frozen=True)
class Contradicted:
    """The id belongs to an order with other terms."""

    reason: str


def place(current: Order | None, command: PlaceOrder) -> Accepted | Repeated | Contradicted:
    """Decide whether the command begins an order."""
    terms = fingerprint(command)
    match current:
        case None:
            return Accepted(Order(order_id=command.order_id, terms_hash=terms))
        case Order(terms_hash=first_terms) if first_terms in {terms, ""}:
            return Repeated()
        case _:
            return _contradiction(command.order_id)


def recognise(current: Order | None, event: OrderPlaced) -> Accepted | Repeated | Contradicted:
    """Decide what an OrderPlaced on the topic means, whatever service wrote it: the first one read wins."""
    terms = fingerprint(event)
    match current:
        case None | Order(status="accepted"):
            return Accepted(Order(order_id=event.order_id, status="placed", terms_hash=terms))
        case Order(terms_hash=""):
            return Accepted(current.model_copy(update={"terms_hash": terms}))
        case Order(terms_hash=first_terms) if first_terms == terms:
            return Repeated()
        case _:
            return _contradiction(event.order_id)


def complete(current: Order | None, command: CompleteOrder) -> Order:
    """Close the order as completed, unless it was closed before."""
    return _close(current or Order(order_id=command.order_id), "completed", None)


def cancel(current: Order | None, command: CancelOrder) -> Order:
    """Close the order as cancelled, unless it was closed before."""
    return _close(current or Order(order_id=command.order_id), "cancelled", command.reason)


def closing_event(order: Order) -> OrderCompleted | OrderCancelled:
    """Return the event that says how the closed order ended."""
    if order.status == "completed":
        return OrderCompleted(order_id=order.order_id)
    return OrderCancelled(order_id=order.order_id, reason=(order.reason or "")[:REASON_LIMIT])


def placed_event(command: PlaceOrder, now: int) -> OrderPlaced:
    """Return the event that announces the order."""
    return OrderPlaced(**dict(command), placed_at=now)


def fingerprint(message: PlaceOrder | OrderPlaced) -> str:
    """Return a hash that is equal for equal terms, whichever message carries them."""
    return blake2b(message.model_dump_json(include=TERMS).encode(), digest_size=16).hexdigest()


def _close(order: Order, status: Literal["completed", "cancelled"], reason: str | None) -> Order:
    if order.status in {"completed", "cancelled"}:
        return order
    return Order(order_id=order.order_id, status=status, terms_hash=order.terms_hash, reason=reason)


def _contradiction(order_id: str) -> Contradicted:
    return Contradicted(
        f"order_id: {order_id} was placed before on other terms; place a new order under an id of its own"
    )
