"""State that services keep, as their changelogs hold it. Every field that is no key has a default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.kinds import State
from contracts.terms import (
    Attempt,
    Count,
    Currency,
    Flag,
    Id,
    MessageId,
    Money,
    Names,
    OrderTerms,
    Quantity,
    ShippingSpeed,
    Sku,
)
from ensemble.messages import Int32, Int64, Millis, NestedRecord
from ensemble.saga import SagaProgress

SagaStatus = Literal[
    "placeholder", "payment_pending", "fulfilled", "completed", "compensating", "cancelled", "compensation_failed"
]
CurrencyOrNone = Annotated[str, Field(pattern=r"^([A-Z]{3})?$")]
"""Empty while no amount is known."""


class SeenEvent(NestedRecord):
    """One message or deadline that reached the orchestrator, where it lies, and what it led to.

    A deadline has the topic `timer`, partition and offset -1. `decided` holds the types of the commands sent upon it,
    and `pause` or `resume`. `step` and `attempt` are those that it began, `policy` says where the policy came from
    that ruled the attempt begun or ended. `by` and `why` are an operator's.
    """

    type: str
    message_id: MessageId
    topic: str
    partition: Int32
    offset: Int64
    at: Millis
    decided: Names = ()
    status: str = ""
    step: str = ""
    attempt: Attempt = 0
    policy: str = ""
    late: Flag = False
    by: str = ""
    why: str = ""


class Charge(NestedRecord):
    """What payment said that it has captured."""

    amount: Money
    currency: Currency
    charge_id: str | None = None


class OrderState(State, SagaProgress):
    """Where an order stands in its saga. Any service may read it."""

    order_id: Id
    status: SagaStatus = "placeholder"
    order: OrderTerms | None = None
    seen: Annotated[tuple[SeenEvent, ...], Field(max_length=32)] = ()
    terms_hash: str = ""
    charge: Charge | None = None
    shipment_id: Id | None = None
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


class ReservedLine(NestedRecord):
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
