"""A crowd of orders of every kind, and somebody who kills services while they run. All of it follows from a seed."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Final

from cli.publishing import cloud_event
from contracts import PlaceOrder, ReceiveStock, RequestCancellation
from ensemble.messages import Message
from tests.end_to_end.system import System
from tests.order_messages import lines, order_placed

WAREHOUSES: Final = ("w-1", "w-2", "w-3")
SCARCE: Final = 100
"""Pieces of `gem` in each warehouse: fewer than are wanted."""
BY_COMMAND: Final = 0.3
WITHOUT_HEADERS: Final = 0.3
TWICE: Final = 0.05
FROZEN_S: Final = 8.0
"""Longer than a session: the group gives the partitions to others meanwhile."""


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
)


@dataclass(frozen=True)
class Publication:
    """A message that somebody publishes so many seconds after the beginning."""

    at_s: float
    message: Message
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Order:
    """One order of the crowd: what is published for it, and how it has to end."""

    order_id: str
    kind: Kind
    publications: tuple[Publication, ...]


@dataclass(frozen=True)
class Trouble:
    """How much of it; from the environment, so that the same can be had again."""

    seed: int
    orders: int
    kills: int
    freezes: int
    broker_kills: int
    per_second: float

    @staticmethod
    def from_environment(orders: int, *, kills: int = 0, freezes: int = 0, broker_kills: int = 0) -> Trouble:
        """ENSEMBLE_CHAOS_SEED, _ORDERS, _KILLS, _FREEZES, _BROKER_KILLS, _RATE; without the first, a fresh seed."""
        given = os.environ.get
        return Trouble(
            seed=int(given("ENSEMBLE_CHAOS_SEED") or secrets.randbelow(10**6)),
            orders=int(given("ENSEMBLE_CHAOS_ORDERS") or orders),
            kills=int(given("ENSEMBLE_CHAOS_KILLS") or kills),
            freezes=int(given("ENSEMBLE_CHAOS_FREEZES") or freezes),
            broker_kills=int(given("ENSEMBLE_CHAOS_BROKER_KILLS") or broker_kills),
            per_second=float(given("ENSEMBLE_CHAOS_RATE") or 60),
        )

    @property
    def lasts_s(self) -> float:
        return self.orders / self.per_second


def crowd(trouble: Trouble) -> list[Order]:
    """The same orders for the same seed."""
    dice = random.Random(trouble.seed)
    kinds = dice.choices(KINDS, [kind.weight for kind in KINDS], k=trouble.orders)
    return [
        Order(order_id, kind, tuple(_publications(order_id, kind, number / trouble.per_second, dice)))
        for number, kind in enumerate(kinds)
        for order_id in [f"c{trouble.seed}-{number}"]
    ]


def stock() -> Iterator[ReceiveStock]:
    """Enough of everything but gems."""
    for warehouse_id in WAREHOUSES:
        for sku, quantity in (("bolt", 500_000), ("nut", 100_000), ("gem", SCARCE)):
            yield ReceiveStock(warehouse_id=warehouse_id, sku=sku, quantity=quantity)


def run(system: System, trouble: Trouble, orders: list[Order]) -> None:
    """Publish at the orders' times, while members are killed and started again, and others freeze for a while."""
    dice = random.Random(trouble.seed + 1)
    began = time.monotonic()
    harm = (
        *_killing(system, trouble, dice),
        *_freezing(system, trouble, dice),
        *_broker_killing(system, trouble, dice),
    )
    for at_s, act in sorted([*_publishing(system, orders), *harm], key=itemgetter(0)):
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        act()
    system.flush()


Plan = Iterator[tuple[float, Callable[[], None]]]
"""What is done so many seconds after the beginning."""


def _publishing(system: System, orders: list[Order]) -> Plan:
    for order in orders:
        for publication in order.publications:
            yield publication.at_s, partial(system.publish_soon, publication.message, publication.headers)


def _killing(system: System, trouble: Trouble, dice: random.Random) -> Plan:
    for _ in range(trouble.kills):
        yield dice.uniform(0, trouble.lasts_s), partial(_crash, system, _somebody(system, dice))


def _freezing(system: System, trouble: Trouble, dice: random.Random) -> Plan:
    for _ in range(trouble.freezes):
        at_s, name = dice.uniform(0, trouble.lasts_s), _somebody(system, dice)
        yield at_s, partial(system.fleet.pause, name)
        yield at_s + FROZEN_S, partial(system.fleet.resume, name)


def _broker_killing(system: System, trouble: Trouble, dice: random.Random) -> Plan:
    for _ in range(trouble.broker_kills):
        yield dice.uniform(0, trouble.lasts_s), partial(_crash_broker, system)


def _crash_broker(system: System) -> None:
    system.broker.kill()
    system.broker.restart()


def _crash(system: System, name: str) -> None:
    system.fleet.kill(name)
    system.fleet.restart(name)


def _somebody(system: System, dice: random.Random) -> str:
    return dice.choice(sorted(system.fleet.members))


def _publications(order_id: str, kind: Kind, at_s: float, dice: random.Random) -> Iterator[Publication]:
    """The order, by command or by event, with or without headers, now and then twice; and its cancellation."""
    placed = order_placed(order_id=order_id, **{"warehouse_id": dice.choice(WAREHOUSES), **kind.terms})
    message = PlaceOrder(**placed.model_dump(exclude={"placed_at"})) if dice.random() < BY_COMMAND else placed
    headers = () if dice.random() < WITHOUT_HEADERS else tuple(cloud_event(message, _token(dice), _token(dice)))
    yield Publication(at_s, message, headers)
    if dice.random() < TWICE:
        yield Publication(at_s + dice.uniform(0, 3), message, headers)
    if kind.is_cancelled:
        cancellation = RequestCancellation(order_id=order_id, reason="in the middle of it")
        yield Publication(max(0.0, at_s + dice.uniform(-0.1, 0.5)), cancellation, ())


def _token(dice: random.Random) -> str:
    return f"{dice.getrandbits(128):032x}"
