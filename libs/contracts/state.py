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
    OrderId,
    OrderTerms,
    Quantity,
    ShippingSpeed,
    Sku,
    WarehouseId,
)
from ensemble.messages import AvroEnum, Int32, Int64, Millis, NestedRecord
from ensemble.saga import SagaProgress

SagaStatus = Annotated[
    Literal[
        "placeholder", "payment_pending", "fulfilled", "completed", "compensating", "cancelled", "compensation_failed"
    ],
    AvroEnum("OrderStatus"),
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
    """Type name of the message."""
    message_id: MessageId
    """Its message id."""
    topic: str
    """Where it lies."""
    partition: Int32
    """Where it lies."""
    offset: Int64
    """Where it lies."""
    at: Millis
    """When it was taken in."""
    decided: Names = ()
    """Types of the commands that were sent upon it; `pause` or `resume` when it did that."""
    status: str = ""
    """The order's status from here on; empty: as before."""
    step: str = ""
    """The step of which it began an attempt; empty: it began none."""
    attempt: Attempt = 0
    """That attempt."""
    policy: str = ""
    """Where the policy came from that ruled the attempt begun or ended."""
    late: Flag = False
    """Whether the order had ended before it came."""
    by: str = ""
    """Who asked for it; empty: no person."""
    why: str = ""
    """That person's words, or why it paused the order."""


class Charge(NestedRecord):
    """What payment said that it has captured."""

    amount: Money
    """Minor units of the currency; 0: nothing was due."""
    currency: Currency
    charge_id: str | None = None
    """The provider's name for it."""


class OrderState(State, SagaProgress):
    """Where an order stands in its saga. Any service may read it."""

    order_id: OrderId
    status: SagaStatus = "placeholder"
    """Where the order stands; `fulfilled`: fulfilment is under way."""
    order: OrderTerms | None = None
    """The terms; null until OrderPlaced came, and once the order has ended."""
    seen: Annotated[tuple[SeenEvent, ...], Field(max_length=32)] = ()
    """The first 16 and the latest 16 messages and deadlines."""
    terms_hash: str = ""
    """Tells a repeated OrderPlaced from a contradicting one, also when the terms are gone."""
    charge: Charge | None = None
    """The charge; null until payment confirmed one."""
    shipment_id: Id | None = None
    """The shipment that was scheduled; null until it was."""
    placed_message_id: MessageId | None = None
    """Message id of the OrderPlaced that counted."""
    updated_at: Millis = 0
    """When this state was written."""


class Order(State):
    """An order as its owner keeps it; the fingerprint of the terms tells a repetition from a contradiction.

    Accepted: placed here, but its OrderPlaced was not read back yet. No terms: only the order's end is known so far.
    """

    order_id: OrderId
    status: Annotated[Literal["accepted", "placed", "completed", "cancelled"], AvroEnum("OrderPhase")] = "accepted"
    """Where it stands. Accepted: placed here, but its OrderPlaced was not read back yet."""
    terms_hash: str = ""
    """Fingerprint of the terms; empty while only the order's end is known."""
    reason: str | None = None
    """Why, in words."""


class Payment(State):
    """What became of an order's payment.

    Charging: a charge may be under way. Refunded: no charge may begin any more, and `amount` was given back.
    """

    order_id: OrderId
    status: Literal["charging", "captured", "declined", "nothing_due", "refunded"] = "charging"
    """Where it stands. Charging: a charge may be under way. Refunded: no charge may begin any more."""
    amount: Money = 0
    """Minor units of the currency: what is due, and once refunded, what was given back."""
    currency: CurrencyOrNone = ""
    """ISO 4217 code; empty while no amount is known."""
    charge_id: str | None = None
    """The provider's charge; null: none is known."""
    reason: str | None = None
    """Why, in words."""


class Shipment(State):
    """What became of an order's shipment. Awaited: the order is known, nothing is planned yet."""

    order_id: OrderId
    status: Literal["awaited", "scheduled", "cancelled"] = "awaited"
    """Where it stands. Awaited: the order is known, nothing is planned yet."""
    shipment_id: Id | None = None
    """The planned shipment; null: never planned."""
    shipping_speed: ShippingSpeed = "standard"
    packaging: Flag = False
    """Whether packing has begun."""


class StockLevel(State):
    """Pieces of one sku in one warehouse."""

    warehouse_id: WarehouseId
    sku: Sku
    on_hand: Count = 0
    """Pieces free to be reserved."""
    reserved: Count = 0
    """Pieces held for orders."""
    dispatched: Count = 0
    """Pieces that have left."""


class ReservedLine(NestedRecord):
    """Pieces of one sku that are held."""

    sku: Sku
    quantity: Quantity


class Reservation(State):
    """What one warehouse holds, or held, for one order."""

    warehouse_id: WarehouseId
    order_id: OrderId
    status: Literal["reserved", "closed", "released", "dispatched"] = "reserved"
    """Where it stands."""
    lines: tuple[ReservedLine, ...] = ()
    """What is held; empty when nothing is."""
    reason: str | None = None
    """Why, in words."""
