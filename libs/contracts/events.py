"""Events: each tells anyone that something has happened. Grouped by owner."""

from __future__ import annotations

from contracts.kinds import Event
from contracts.terms import (
    Attempt,
    Count,
    Currency,
    CustomerId,
    Disposition,
    Id,
    Lines,
    MessageId,
    Money,
    Name,
    Names,
    OrderId,
    PaymentToken,
    Quantity,
    Reason,
    Sequence,
    ShippingSpeed,
    Sku,
    WarehouseId,
)
from ensemble.messages import Millis


class OrderPlaced(Event):
    """An order was placed, through the order service or straight from outside."""

    order_id: OrderId
    customer_id: CustomerId
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: WarehouseId
    shipping_speed: ShippingSpeed = "standard"
    placed_at: Millis
    """When the order was placed."""


class OrderCompleted(Event):
    """The order is paid, reserved and scheduled for shipping. Nothing follows."""

    order_id: OrderId


class OrderCancelled(Event):
    """The order was undone. Nothing follows."""

    order_id: OrderId
    reason: Reason


class PaymentConfirmed(Event):
    """What was due is captured. Without a charge id, nothing was due."""

    order_id: OrderId
    amount: Money
    currency: Currency
    charge_id: str | None = None
    """The provider's charge; null: nothing was due."""


class PaymentDeclined(Event):
    """Nothing was captured, and nothing will be under this order."""

    order_id: OrderId
    reason: str
    """Why, in words."""


class PaymentRefunded(Event):
    """Nothing of the customer's money is held any more. Amount 0: nothing had been captured."""

    order_id: OrderId
    amount: Money
    """Minor units given back; 0: nothing had been captured."""


class ReservationConfirmed(Event):
    """All lines of the order are held for it."""

    order_id: OrderId
    warehouse_id: WarehouseId


class ReservationRejected(Event):
    """No line of the order is held, and none will be."""

    order_id: OrderId
    warehouse_id: WarehouseId
    reason: str
    """Why, in words."""


class ReservationReleased(Event):
    """Nothing is held for the order any more, and nothing will be."""

    order_id: OrderId
    warehouse_id: WarehouseId


class StockReceived(Event):
    """Ledger: pieces arrived."""

    warehouse_id: WarehouseId
    """Where the pieces arrived."""
    sequence: Sequence
    sku: Sku
    quantity: Quantity
    receipt_id: MessageId
    """The message that brought it, so that a repetition is known."""


class StockReserved(Event):
    """Ledger: pieces on hand are held for an order."""

    warehouse_id: WarehouseId
    sequence: Sequence
    order_id: OrderId
    sku: Sku
    quantity: Quantity


class StockReleased(Event):
    """Ledger: pieces held for an order are on hand again."""

    warehouse_id: WarehouseId
    sequence: Sequence
    order_id: OrderId
    sku: Sku
    quantity: Quantity


class StockDispatched(Event):
    """Ledger: pieces held for an order left the warehouse."""

    warehouse_id: WarehouseId
    sequence: Sequence
    order_id: OrderId
    sku: Sku
    quantity: Quantity


class ReservationClosed(Event):
    """Ledger: nothing is held for the order and nothing ever will be."""

    warehouse_id: WarehouseId
    sequence: Sequence
    order_id: OrderId
    reason: str
    """Why, in words."""


class ShipmentScheduled(Event):
    """The order's shipment is planned."""

    order_id: OrderId
    shipment_id: Id
    """The planned shipment."""
    shipping_speed: ShippingSpeed


class ShipmentCancelled(Event):
    """Nothing ships for the order, now or later. Without a shipment id, nothing had been planned."""

    order_id: OrderId
    shipment_id: Id | None = None
    """The planned shipment; null: none had been planned."""


class OrderPaused(Event):
    """No command is sent for the order until it is resumed; answers are recorded.

    `paused_by` is `operator NAME`, `policy`, or the wider pause: `step NAME`, `command TYPE`, `service NAME`.
    """

    order_id: OrderId
    paused_by: str
    """`operator NAME`, `policy`, or the wider pause: `step NAME`, `command TYPE`, `service NAME`."""
    reason: str
    """Why, in words."""
    step: str | None = None
    """The step under way; null: none."""


class OrderResumed(Event):
    """The order goes on; its deadline has moved by the length of the pause."""

    order_id: OrderId
    resumed_by: str
    """`operator NAME`."""
    reason: str
    """Why, in words."""
    paused_ms: Count
    """How long it was paused, in milliseconds."""


class OrderCompensationFailed(Event):
    """An undo was given up: what these steps owe is for a person to settle."""

    order_id: OrderId
    owed: Names
    """Names of the steps."""
    reason: str
    """Why the order was being cancelled."""


class CommandFailed(Event):
    """A service has used up its attempts at a command: the outcome is unknown.

    `disposition` says where the command is: in the dead letters, or kept by the service (`pause`).
    `compensate`: the saga is to turn back at once.
    """

    order_id: OrderId
    command: Name
    """Type name of the command."""
    command_id: MessageId
    """Message id of the command."""
    service: Name
    """The service that gave up."""
    error: Name
    """Class of the last error."""
    message: Reason
    """Words of the last error."""
    attempts: Attempt
    """How often it was tried."""
    command_attempt: Attempt = 0
    """Which attempt of a saga's step the command was; 0: it belonged to none."""
    disposition: Disposition = "dead_letter"
    """What the service did with it; `pause`: it is kept there, no dead letter; `compensate`: the saga is to turn back
    at once.
    """
