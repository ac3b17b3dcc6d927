"""Valid messages of one order, o-1 from warehouse w-1; a test names only what matters to it."""

from __future__ import annotations

from typing import Any

from contracts import (
    AttemptCharge,
    CancelShipment,
    FulfilOrder,
    OrderLine,
    OrderPlaced,
    PlaceOrder,
    ProcessPayment,
    ReceiveStock,
    RefundPayment,
    ReleaseStock,
    ScheduleShipment,
)

FAR_OFF = 4_000_000_000_000
"""An expiry that no test reaches."""
ORDER: dict[str, Any] = {"order_id": "o-1", "warehouse_id": "w-1", "customer_id": "c-1", "shipping_speed": "standard"}
PAYMENT: dict[str, Any] = {
    "order_id": "o-1",
    "amount": 500,
    "currency": "EUR",
    "payment_token": "tok_approve",
    "expires_at": FAR_OFF,
}


def lines(**quantities: int) -> tuple[OrderLine, ...]:
    """One line a sku: `lines(bolt=2)`."""
    return tuple(OrderLine(sku=sku, quantity=count, unit_price=250) for sku, count in quantities.items())


TERMS: dict[str, Any] = {**ORDER, "lines": lines(bolt=2), "currency": "EUR", "payment_token": "tok_approve"}


def place_order(**changes: Any) -> PlaceOrder:
    return PlaceOrder(**TERMS | changes)


def order_placed(**changes: Any) -> OrderPlaced:
    return OrderPlaced(**TERMS | {"placed_at": 1_750_000_000_000} | changes)


def process_payment(**changes: Any) -> ProcessPayment:
    return ProcessPayment(**PAYMENT | {"attempt": 1} | changes)


def attempt_charge(**changes: Any) -> AttemptCharge:
    return AttemptCharge(**PAYMENT | {"attempt": 1} | changes)


def refund_payment(**changes: Any) -> RefundPayment:
    return RefundPayment(**{"order_id": "o-1", "reason": "cancelled", "attempt": 1} | changes)


def fulfil_order(**changes: Any) -> FulfilOrder:
    return FulfilOrder(**ORDER | {"lines": lines(bolt=2), "attempt": 1, "expires_at": FAR_OFF} | changes)


def release_stock(**changes: Any) -> ReleaseStock:
    fields = {"order_id": "o-1", "warehouse_id": "w-1", "reason": "cancelled", "attempt": 1}
    return ReleaseStock(**fields | changes)


def receive_stock(**changes: Any) -> ReceiveStock:
    return ReceiveStock(**{"warehouse_id": "w-1", "sku": "bolt", "quantity": 10} | changes)


def schedule_shipment(**changes: Any) -> ScheduleShipment:
    return ScheduleShipment(**ORDER | {"expires_at": FAR_OFF} | changes)


def cancel_shipment(**changes: Any) -> CancelShipment:
    return CancelShipment(**{"order_id": "o-1", "reason": "cancelled", "attempt": 1} | changes)
