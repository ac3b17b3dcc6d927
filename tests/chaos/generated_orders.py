"""Orders of every kind, and what outsiders publish for them, good and bad. All of it follows from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from contracts import PlaceOrder, ReceiveStock, RequestCancellation
from ensemble.clock import SystemClock
from ensemble.messages import Envelope, Message, type_headers
from tests.support.order_messages import lines, order_placed

WAREHOUSES: Final = ("w-1", "w-2", "w-3")
SCARCE: Final = 100
"""Pieces of `gem` in each warehouse: fewer than are wanted."""
POISONED_CHARGE: Final = "tok_error"
"""The provider fails at every attempt, so the charge parks its order."""
BY_COMMAND: Final = 0.3
WITHOUT_HEADERS: Final = 0.3
AGAIN: Final = 0.05
MOST_TIMES: Final = 5
POISON: Final = 0.01
"""The share of orders in whose way unreadable bytes lie."""
OPEN_TO_ALL: Final = ("orders.commands", "orders.events", "payments.commands", "orchestrator.commands")


@dataclass(frozen=True)
class Kind:
    """One kind of order, how often it comes, and how it has to end; None: that depends on who is faster."""

    weight: int
    ends: str | None
    terms: dict[str, Any]
    is_cancelled: bool = False


KINDS: Final = (
    Kind(45, "completed", {}),
    Kind(10, "completed", {"shipping_speed": "express"}),
    Kind(6, "cancelled", {"payment_token": "tok_declined"}),
    Kind(6, "cancelled", {"payment_token": "tok_declined", "shipping_speed": "express"}),
    Kind(6, "cancelled", {"lines": lines(bolt=1, nut=999_999)}),
    Kind(3, "cancelled", {"lines": lines(unicorn=1), "shipping_speed": "express"}),
    Kind(8, None, {"lines": lines(bolt=1, gem=2)}),
    Kind(6, None, {}, is_cancelled=True),
    Kind(4, None, {"shipping_speed": "express"}, is_cancelled=True),
    Kind(3, "completed", {"payment_token": "tok_fail_once"}),
    Kind(2, "completed", {"lines": tuple(line.model_copy(update={"unit_price": 0}) for line in lines(nut=3))}),
    Kind(1, "completed", {"payment_token": "tok_late"}),
    Kind(1, "cancelled", {"payment_token": POISONED_CHARGE}),
)

ANY: Final = Kind(0, None, {})
"""An order that may end in either way."""


@dataclass(frozen=True)
class Publication:
    """A message that an outsider publishes so many seconds after the beginning."""

    at_s: float
    message: Message
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Garbage:
    """Bytes that are no message, under an order's key."""

    at_s: float
    topic: str
    value: bytes


@dataclass(frozen=True)
class Order:
    """One order: what is published for it, and how it has to end."""

    order_id: str
    kind: Kind
    publications: tuple[Publication, ...]
    garbage: tuple[Garbage, ...] = ()

    @property
    def is_poisoned(self) -> bool:
        return self.kind.terms.get("payment_token") == POISONED_CHARGE


def generate_orders(seed: int, orders: int, per_second: float) -> list[Order]:
    """Return the orders of a seed: the same seed gives the same orders."""
    dice = random.Random(seed)
    kinds = dice.choices(KINDS, [kind.weight for kind in KINDS], k=orders)
    return [_order(f"c{seed}-{number}", kind, number / per_second, dice) for number, kind in enumerate(kinds)]


def generate_order(seed: int, number: int) -> Order:
    """Return one more order of a seed, which has to complete; the even ones are express."""
    terms = {"shipping_speed": "express"} if number % 2 == 0 else {}
    return _order(f"c{seed}-{number}", Kind(0, "completed", terms), 0.0, random.Random(f"{seed}/{number}"))


def stock_receipts() -> Iterator[ReceiveStock]:
    """Yield enough stock of everything but gems."""
    for warehouse_id in WAREHOUSES:
        for sku, quantity in (("bolt", 500_000), ("nut", 100_000), ("gem", SCARCE)):
            yield ReceiveStock(warehouse_id=warehouse_id, sku=sku, quantity=quantity)


def _order(order_id: str, kind: Kind, at_s: float, dice: random.Random) -> Order:
    publications = tuple(_publications(order_id, kind, at_s, dice))
    return Order(order_id, kind, publications, tuple(_garbage(at_s, dice)))


def _publications(order_id: str, kind: Kind, at_s: float, dice: random.Random) -> Iterator[Publication]:
    """Yield the order, by command or by event, with or without headers, now and then again; and its cancellation."""
    placed = order_placed(order_id=order_id, **{"warehouse_id": dice.choice(WAREHOUSES), **kind.terms})
    message = PlaceOrder(**placed.model_dump(exclude={"placed_at"})) if dice.random() < BY_COMMAND else placed
    headers = () if dice.random() < WITHOUT_HEADERS else _headers(message, dice)
    yield Publication(at_s, message, headers)
    if dice.random() < AGAIN:
        for _ in range(dice.randint(1, MOST_TIMES)):
            yield Publication(at_s + dice.uniform(0, 3), message, headers)
    if kind.is_cancelled:
        cancellation = RequestCancellation(order_id=order_id, reason="in the middle of it")
        yield Publication(max(0.0, at_s + dice.uniform(-0.1, 0.5)), cancellation, ())


def _garbage(at_s: float, dice: random.Random) -> Iterator[Garbage]:
    if dice.random() < POISON:
        value = dice.randbytes(dice.randint(0, 40))
        yield Garbage(max(0.0, at_s + dice.uniform(-0.5, 2)), dice.choice(OPEN_TO_ALL), b"\xff" + value)


def _headers(message: Message, dice: random.Random) -> tuple[tuple[str, bytes], ...]:
    message_id, trace = _token(dice), _token(dice)
    envelope = Envelope(message_id, traceparent=f"00-{trace}-{message_id[:16]}-01")
    return (*type_headers(type(message), b"/cli"), *envelope.headers_at(SystemClock().now()))


def _token(dice: random.Random) -> str:
    return f"{dice.getrandbits(128):032x}"
