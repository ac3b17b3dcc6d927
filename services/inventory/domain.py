"""A warehouse, rebuilt from the facts of its ledger. It decides for whole orders: all lines or none.

Every decision returns an outcome with the facts that make it true; `evolve` alone says what a fact changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from contracts import (
    DispatchStock,
    FulfilOrder,
    OrderLine,
    ReceiveStock,
    ReleaseStock,
    Reservation,
    ReservationClosed,
    ReservedLine,
    State,
    StockDispatched,
    StockLevel,
    StockReceived,
    StockReleased,
    StockReserved,
)

MOST_STOCK = 10**15
"""The most pieces of one sku that a warehouse may ever have received."""

Fact = StockReceived | StockReserved | StockReleased | StockDispatched | ReservationClosed
Line = OrderLine | ReservedLine
Changes = dict[tuple[str, str], State | None]
F = TypeVar("F", StockReserved, StockReleased, StockDispatched)


@dataclass(frozen=True)
class Reserved:
    """All lines are held. No facts: they were held before."""

    facts: tuple[StockReserved, ...]


@dataclass(frozen=True)
class Refused:
    """No line is held and none ever will be. No facts: that was settled before."""

    reason: str
    facts: tuple[ReservationClosed, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """It is so. No facts: it was so before."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Impossible:
    """It can never be done, and nobody's plan has room for that."""

    reason: str


@dataclass(frozen=True)
class Warehouse:
    """One warehouse after `sequence` facts."""

    key: str
    sequence: int = 0
    stock: Mapping[str, StockLevel] = field(default_factory=dict)
    reservations: Mapping[str, Reservation] = field(default_factory=dict)

    def reserve(self, command: FulfilOrder, now: int) -> Reserved | Refused:
        """Hold all lines or none, once; what was decided before is decided."""
        match self.reservations.get(command.order_id):
            case Reservation(status="reserved" | "dispatched"):
                return Reserved(())
            case Reservation(status=status, reason=reason):
                return Refused(reason or status)
        if now >= command.expires_at:
            return self._refuse(command.order_id, "expired before it could be reserved")
        if shortages := self._shortages(command.lines):
            return self._refuse(command.order_id, shortages)
        return Reserved(self._line_facts(StockReserved, command.order_id, command.lines))

    def release(self, command: ReleaseStock) -> Recorded | Impossible:
        """Hold nothing for the order, now or later; also before anything was held."""
        match self.reservations.get(command.order_id):
            case None:
                return Recorded((self._closed(command.order_id, command.reason),))
            case Reservation(status="reserved", lines=lines):
                return Recorded(self._line_facts(StockReleased, command.order_id, lines))
            case Reservation(status="dispatched"):
                return Impossible(f"order_id: the stock of {command.order_id} has left warehouse {self.key}")
            case _:
                return Recorded(())

    def dispatch(self, command: DispatchStock) -> Recorded | Impossible:
        """What is held for the order leaves."""
        match self.reservations.get(command.order_id):
            case Reservation(status="reserved", lines=lines):
                return Recorded(self._line_facts(StockDispatched, command.order_id, lines))
            case Reservation(status="dispatched"):
                return Recorded(())
            case _:
                return Impossible(f"order_id: warehouse {self.key} holds nothing for {command.order_id}")

    def receive(self, command: ReceiveStock, receipt_id: str) -> Recorded | Impossible:
        """Pieces have arrived."""
        level = self._level(command.sku)
        total = level.on_hand + level.reserved + level.dispatched + command.quantity
        if total > MOST_STOCK:
            return Impossible(
                f"quantity: warehouse {self.key} would have received {total} of {command.sku}, more than {MOST_STOCK}"
            )
        return Recorded((StockReceived(**dict(command), sequence=self.sequence + 1, receipt_id=receipt_id),))

    def evolve(self, fact: Fact) -> Changes:
        """The entries that the fact changes."""
        match fact:
            case StockReceived():
                return self._moved(fact, on_hand=fact.quantity)
            case StockReserved():
                return self._moved(fact, on_hand=-fact.quantity, reserved=fact.quantity) | self._held(fact)
            case StockReleased():
                moved = self._moved(fact, on_hand=fact.quantity, reserved=-fact.quantity)
                return moved | self._no_longer_held(fact, "released")
            case StockDispatched():
                moved = self._moved(fact, reserved=-fact.quantity, dispatched=fact.quantity)
                return moved | self._no_longer_held(fact, "dispatched")
            case ReservationClosed():
                return self._reservation(fact.order_id, status="closed", reason=fact.reason)

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _shortages(self, lines: Iterable[OrderLine]) -> str:
        """What is missing, in words; empty when nothing is. Lines of one sku count together."""
        needed: Counter[str] = Counter()
        for line in lines:
            needed[line.sku] += line.quantity
        return "; ".join(words for sku, count in needed.items() if (words := self._shortage(sku, count)))

    def _shortage(self, sku: str, needed: int) -> str:
        level = self.stock.get(sku)
        if level is None:
            return f"warehouse {self.key} has never received {sku}: {needed} needed, 0 available"
        return f"{sku}: {needed} needed, {level.on_hand} available" if needed > level.on_hand else ""

    def _refuse(self, order_id: str, reason: str) -> Refused:
        return Refused(reason, (self._closed(order_id, reason),))

    def _closed(self, order_id: str, reason: str) -> ReservationClosed:
        return ReservationClosed(warehouse_id=self.key, sequence=self.sequence + 1, order_id=order_id, reason=reason)

    def _line_facts(self, kind: type[F], order_id: str, lines: Iterable[Line]) -> tuple[F, ...]:
        """One fact a line, numbered on from the last fact."""
        return tuple(
            kind(warehouse_id=self.key, sequence=number, order_id=order_id, sku=line.sku, quantity=line.quantity)
            for number, line in enumerate(lines, start=self.sequence + 1)
        )

    # -- evolving ---------------------------------------------------------------------------------------------------

    def _moved(self, fact: StockReceived | F, on_hand: int = 0, reserved: int = 0, dispatched: int = 0) -> Changes:
        level = self._level(fact.sku)
        after = StockLevel(
            warehouse_id=self.key,
            sku=fact.sku,
            on_hand=level.on_hand + on_hand,
            reserved=level.reserved + reserved,
            dispatched=level.dispatched + dispatched,
        )
        return {("stock", fact.sku): after}

    def _held(self, fact: StockReserved) -> Changes:
        held = self.reservations.get(fact.order_id)
        lines = (*(held.lines if held else ()), ReservedLine(sku=fact.sku, quantity=fact.quantity))
        return self._reservation(fact.order_id, status="reserved", lines=lines)

    def _no_longer_held(self, fact: StockReleased | StockDispatched, status: str) -> Changes:
        """A reservation ends line by line, in the order in which the lines were reserved."""
        lines = self.reservations[fact.order_id].lines[1:]
        return self._reservation(fact.order_id, status=status, lines=lines)

    def _reservation(self, order_id: str, **said: Any) -> Changes:
        return {("reservations", order_id): Reservation(warehouse_id=self.key, order_id=order_id, **said)}

    def _level(self, sku: str) -> StockLevel:
        return self.stock.get(sku) or StockLevel(warehouse_id=self.key, sku=sku)


def rebuild_state(warehouse_id: str, facts: Iterable[Fact]) -> Warehouse:
    """The warehouse as its ledger tells it: the fold of all its facts, in order.

    This is what the runtime does, from the latest snapshot on, whenever a partition is assigned.
    """
    entries: dict[str, dict[str, Any]] = {"stock": {}, "reservations": {}}
    warehouse = Warehouse(warehouse_id, 0, **entries)
    for fact in facts:
        for (name, entry), state in warehouse.evolve(fact).items():
            entries[name][entry] = state
        warehouse = Warehouse(warehouse_id, fact.sequence, **entries)
    return warehouse
