"""State that services keep, as their changelogs hold it. Every field that is no key has a default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.kinds import State
from contracts.terms import Attempt, Count, Flag, Id, MessageId, Money, OrderTerms, Quantity, ShippingSpeed, Sku
from ensemble.messages import Int32, Int64, Millis, Record

SagaStatus = Literal[
    "placeholder", "payment_pending", "fulfilled", "completed", "compensating", "cancelled", "compensation_failed"
]
CurrencyOrNone = Annotated[str, Field(pattern=r"^([A-Z]{3})?$")]
"""Empty while no amount is known."""

Names = tuple[str, ...]


class SeenEvent(Record):
    """One message that reached the orchestrator, and where it lies."""

    type: str
    message_id: MessageId
    topic: str
    partition: Int32
    offset: Int64
    at: Millis


class OrderState(State):
    """Where an order stands in its saga. Anyone may read it."""

    order_id: Id
    saga: str = ""
    version: Attempt = 0
    status: SagaStatus = "placeholder"
    step: str | None = None
    attempt: Attempt = 0
    begun: Names = ()
    done: Names = ()
    failed: Names = ()
    undone: Names = ()
    expected: Names = ()
    due_at: Millis | None = None
    expires_at: Millis | None = None
    forget_at: Millis | None = None
    reason: str | None = None
    cancel_requested: Flag = False
    paused_reason: str | None = None
    paused_since: Millis | None = None
    owed: Names = ()
    order: OrderTerms | None = None
    seen: Annotated[tuple[SeenEvent, ...], Field(max_length=32)] = ()
    terms_hash: str = ""
    placed_message_id: MessageId | None = None
    updated_at: Millis = 0


class Order(State):
    """An order as its owner keeps it; the fingerprint of the terms tells a repetition from a contradiction.

    Accepted: placed here, but its OrderPlaced was not read back yet. No terms: only the order's end is known so far.
    """

    order_id: Id
    status: Literal["accepted", "placed", "completed", "cancelled"] = "accepted"
    terms_hash: str = ""
    reason: str | None = None


class Payment(State):
    """What became of an order's payment.

    Charging: a charge may be under way. Refunded: no charge may begin any more, and `amount` was given back.
    """

    order_id: Id
    status: Literal["charging", "captured", "declined", "nothing_due", "refunded"] = "charging"
    amount: Money = 0
    currency: CurrencyOrNone = ""
    charge_id: str | None = None
    reason: str | None = None


class Shipment(State):
    """What became of an order's shipment. Awaited: the order is known, nothing is planned yet."""

    order_id: Id
    status: Literal["awaited", "scheduled", "cancelled"] = "awaited"
    shipment_id: Id | None = None
    shipping_speed: ShippingSpeed = "standard"
    packaging: Flag = False


class StockLevel(State):
    """Pieces of one sku in one warehouse."""

    warehouse_id: Id
    sku: Sku
    on_hand: Count = 0
    reserved: Count = 0
    dispatched: Count = 0


class ReservedLine(Record):
    """Pieces of one sku that are held."""

    sku: Sku
    quantity: Quantity


class Reservation(State):
    """What one warehouse holds, or held, for one order."""

    warehouse_id: Id
    order_id: Id
    status: Literal["reserved", "closed", "released", "dispatched"] = "reserved"
    lines: tuple[ReservedLine, ...] = ()
    reason: str | None = None
