"""Events: each tells anyone that something has happened. Grouped by owner."""

from __future__ import annotations

from contracts.kinds import Event
from contracts.terms import (
    Attempt,
    Count,
    Currency,
    Disposition,
    Id,
    Lines,
    MessageId,
    Money,
    Name,
    Names,
    PaymentToken,
    Quantity,
    Reason,
    ShippingSpeed,
    Sku,
)
from ensemble.messages import Millis


class OrderPlaced(Event):
    """An order was placed, through the order service or straight from outside."""

    order_id: Id
    customer_id: Id
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: Id
    shipping_speed: ShippingSpeed = "standard"
    placed_at: Millis


class OrderCompleted(Event):
    """The order is paid, reserved and scheduled for shipping. Nothing follows."""

    order_id: Id


class OrderCancelled(Event):
    """The order was undone. Nothing follows."""

    order_id: Id
    reason: Reason


class PaymentConfirmed(Event):
    """What was due is captured. Without a charge id, nothing was due."""

    order_id: Id
    amount: Money
    currency: Currency
    charge_id: str | None = None


class PaymentDeclined(Event):
    """Nothing was captured, and nothing will be under this order."""

    order_id: Id
    reason: str


class PaymentRefunded(Event):
    """Nothing of the customer's money is held any more. Amount 0: nothing had been captured."""

    order_id: Id
    amount: Money


class ReservationConfirmed(Event):
    """All lines of the order are held for it."""

    order_id: Id
    warehouse_id: Id


class ReservationRejected(Event):
    """No line of the order is held, and none will be."""

    order_id: Id
    warehouse_id: Id
    reason: str


class ReservationReleased(Event):
    """Nothing is held for the order any more, and nothing will be."""

    order_id: Id
    warehouse_id: Id


class StockReceived(Event):
    """Ledger: pieces arrived."""

    warehouse_id: Id
    sequence: Count
    sku: Sku
    quantity: Quantity
    receipt_id: MessageId


class StockReserved(Event):
    """Ledger: pieces on hand are held for an order."""

    warehouse_id: Id
    sequence: Count
    order_id: Id
    sku: Sku
    quantity: Quantity


class StockReleased(Event):
    """Ledger: pieces held for an order are on hand again."""

    warehouse_id: Id
    sequence: Count
    order_id: Id
    sku: Sku
    quantity: Quantity


class StockDispatched(Event):
    """Ledger: pieces held for an order left the warehouse."""

    warehouse_id: Id
    sequence: Count
    order_id: Id
    sku: Sku
    quantity: Quantity


class ReservationClosed(Event):
    """Ledger: nothing is held for the order and nothing ever will be."""

    warehouse_id: Id
    sequence: Count
    order_id: Id
    reason: str


class ShipmentScheduled(Event):
    """The order's shipment is planned."""

    order_id: Id
    shipment_id: Id
    shipping_speed: ShippingSpeed


class ShipmentCancelled(Event):
    """Nothing ships for the order, now or later. Without a shipment id, nothing had been planned."""

    order_id: Id
    shipment_id: Id | None = None


class OrderPaused(Event):
    """No command is sent for the order until it is resumed; answers are recorded.

    `paused_by` is `operator NAME`, `policy`, or the wider pause: `step NAME`, `command TYPE`, `service NAME`.
    """

    order_id: Id
    paused_by: str
    reason: str
    step: str | None = None


class OrderResumed(Event):
    """The order goes on; its deadline has moved by the length of the pause."""

    order_id: Id
    resumed_by: str
    reason: str
    paused_ms: Count


class OrderCompensationFailed(Event):
    """An undo was given up: what these steps owe is for a person to settle."""

    order_id: Id
    owed: Names
    reason: str


class CommandFailed(Event):
    """A service has used up its attempts at a command: the outcome is unknown.

    `disposition` says where the command is: in the dead letters, or kept by the service (`pause`).
    `compensate`: the saga is to turn back at once.
    """

    order_id: Id
    command: Name
    command_id: MessageId
    service: Name
    error: Name
    message: Reason
    attempts: Attempt
    command_attempt: Attempt = 0
    disposition: Disposition = "dead_letter"
