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
    """All lines are reserved. Empty `facts` means that they had been reserved before."""

    facts: tuple[StockReserved, ...]


@dataclass(frozen=True)
class Refused:
    """No line is reserved, now or later. Empty `facts` means that this had been decided before."""

    reason: str
    facts: tuple[ReservationClosed, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """The change is recorded. Empty `facts` means that it had been recorded before."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Impossible:
    """The command can never be carried out."""

    reason: str


@dataclass(frozen=True)
class Warehouse:
    """One warehouse after `sequence` facts."""

    key: str
    sequence: int = 0
    stock: Mapping[str, StockLevel] = field(default_factory=dict)
    reservations: Mapping[str, Reservation] = field(default_factory=dict)

    def reserve(self, command: FulfilOrder, now: int) -> Reserved | Refused:
        """Reserve all lines or none. An earlier decision on the same order stays."""
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
        """Release the order's reservation and refuse a later one; valid also before anything was reserved."""
        match self.reservations.get(command.order_id):
            case None:
                return Recorded((self._closing_fact(command.order_id, command.reason),))
            case Reservation(status="reserved", lines=lines):
                return Recorded(self._line_facts(StockReleased, command.order_id, lines))
            case Reservation(status="dispatched"):
                return Impossible(f"order_id: the stock of {command.order_id} has left warehouse {self.key}")
            case _:
                return Recorded(())

    def dispatch(self, command: DispatchStock) -> Recorded | Impossible:
        """Book out what is reserved for the order."""
        match self.reservations.get(command.order_id):
            case Reservation(status="reserved", lines=lines):
                return Recorded(self._line_facts(StockDispatched, command.order_id, lines))
            case Reservation(status="dispatched"):
                return Recorded(())
            case _:
                return Impossible(f"order_id: warehouse {self.key} holds nothing for {command.order_id}")

    def receive(self, command: ReceiveStock, receipt_id: str) -> Recorded | Impossible:
        """Book in pieces that have arrived."""
        level = self._level(command.sku)
        total = level.on_hand + level.reserved + level.dispatched + command.quantity
        if total > MOST_STOCK:
            return Impossible(
                f"quantity: warehouse {self.key} would have received {total} of {command.sku}, more than {MOST_STOCK}"
            )
        return Recorded((StockReceived(**dict(command), sequence=self.sequence + 1, receipt_id=receipt_id),))

    def evolve(self, fact: Fact) -> Changes:
        """Return the entries that the fact changes."""
        match fact:
            case StockReceived():
                return self._move(fact, on_hand=fact.quantity)
            case StockReserved():
                return self._move(fact, on_hand=-fact.quantity, reserved=fact.quantity) | self._add_reserved_line(fact)
            case StockReleased():
                levels = self._move(fact, on_hand=fact.quantity, reserved=-fact.quantity)
                return levels | self._drop_reserved_line(fact, "released")
            case StockDispatched():
                levels = self._move(fact, reserved=-fact.quantity, dispatched=fact.quantity)
                return levels | self._drop_reserved_line(fact, "dispatched")
            case ReservationClosed():
                return self._reservation(fact.order_id, status="closed", reason=fact.reason)

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _shortages(self, lines: Iterable[OrderLine]) -> str:
        """Describe what is missing, or return an empty text. Lines of one sku count together."""
        needed: Counter[str] = Counter()
        for line in lines:
            needed[line.sku] += line.quantity
        return "; ".join(shortage for sku, count in needed.items() if (shortage := self._shortage(sku, count)))

    def _shortage(self, sku: str, needed: int) -> str:
        level = self.stock.get(sku)
        if level is None:
            return f"warehouse {self.key} has never received {sku}: {needed} needed, 0 available"
        return f"{sku}: {needed} needed, {level.on_hand} available" if needed > level.on_hand else ""

    def _refuse(self, order_id: str, reason: str) -> Refused:
        return Refused(reason, (self._closing_fact(order_id, reason),))

    def _closing_fact(self, order_id: str, reason: str) -> ReservationClosed:
        return ReservationClosed(warehouse_id=self.key, sequence=self.sequence + 1, order_id=order_id, reason=reason)

    def _line_facts(self, kind: type[F], order_id: str, lines: Iterable[Line]) -> tuple[F, ...]:
        """Return one fact for each line, numbered on from the last fact."""
        return tuple(
            kind(warehouse_id=self.key, sequence=number, order_id=order_id, sku=line.sku, quantity=line.quantity)
            for number, line in enumerate(lines, start=self.sequence + 1)
        )

    # -- evolving ---------------------------------------------------------------------------------------------------

    def _move(self, fact: StockReceived | F, on_hand: int = 0, reserved: int = 0, dispatched: int = 0) -> Changes:
        level = self._level(fact.sku)
        after = StockLevel(
            warehouse_id=self.key,
            sku=fact.sku,
            on_hand=level.on_hand + on_hand,
            reserved=level.reserved + reserved,
            dispatched=level.dispatched + dispatched,
        )
        return {("stock", fact.sku): after}

    def _add_reserved_line(self, fact: StockReserved) -> Changes:
        reservation = self.reservations.get(fact.order_id)
        lines = (*(reservation.lines if reservation else ()), ReservedLine(sku=fact.sku, quantity=fact.quantity))
        return self._reservation(fact.order_id, status="reserved", lines=lines)

    def _drop_reserved_line(self, fact: StockReleased | StockDispatched, status: str) -> Changes:
        """End a reservation line by line, in the order in which the lines were reserved."""
        lines = self.reservations[fact.order_id].lines[1:]
        return self._reservation(fact.order_id, status=status, lines=lines)

    def _reservation(self, order_id: str, **fields: Any) -> Changes:
        return {("reservations", order_id): Reservation(warehouse_id=self.key, order_id=order_id, **fields)}

    def _level(self, sku: str) -> StockLevel:
        return self.stock.get(sku) or StockLevel(warehouse_id=self.key, sku=sku)


def rebuild_state(warehouse_id: str, facts: Iterable[Fact]) -> Warehouse:
    """Rebuild a warehouse from its ledger: the fold of all its facts, in order.

    The runtime does the same, from the latest snapshot on, whenever a partition is assigned.
    """
    entries: dict[str, dict[str, Any]] = {"stock": {}, "reservations": {}}
    warehouse = Warehouse(warehouse_id, 0, **entries)
    for fact in facts:
        for (name, entry), state in warehouse.evolve(fact).items():
            entries[name][entry] = state
        warehouse = Warehouse(warehouse_id, fact.sequence, **entries)
    return warehouse
