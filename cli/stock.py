"""Stock as the ledger tells it: folded anew from the facts, not asked of the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backoffice.stock import MOVES, Stock, StockProjection
from contracts.catalogue import INVENTORY_LEDGER
from ensemble.clock import rfc3339
from ensemble.command_line.connection import entry_of, progress, sources
from ensemble.command_line.view import synced_view
from ensemble.operations import Entry
from ensemble.partitioning import partition_of

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

Shelf = tuple[str, str]
"""Warehouse and sku."""


@dataclass
class Level:
    """One sku in one warehouse."""

    received: int = 0
    on_hand: int = 0
    reserved: int = 0
    dispatched: int = 0

    @property
    def is_sound(self) -> bool:
        """Return whether no count is negative and none is lost."""
        counts = (self.on_hand, self.reserved, self.dispatched)
        return min(counts) >= 0 and self.received == sum(counts)


@dataclass
class Ledger:
    """The facts in their order, folded so far."""

    levels: dict[Shelf, Level] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    def take(self, entry: Entry) -> dict[str, Any]:
        """Apply a fact, and return the stock after it and what is wrong with it."""
        fields = entry.fields
        warehouse = str(fields.get("warehouse_id", entry.key))
        wrong = [entry.problem] if entry.problem else self._gap(warehouse, fields.get("sequence"))
        level = self._moved(entry, (warehouse, str(fields.get("sku", ""))))
        if level is not None and not level.is_sound:
            wrong.append(f"{fields['sku']} does not add up: {level}")
        return {
            "time": rfc3339(entry.record.timestamp),
            "warehouse": warehouse,
            "sequence": fields.get("sequence"),
            "fact": entry.type,
            "sku": fields.get("sku"),
            "quantity": fields.get("quantity"),
            "order": fields.get("order_id"),
            "on_hand": level.on_hand if level else None,
            "reserved": level.reserved if level else None,
            "dispatched": level.dispatched if level else None,
            "wrong": "; ".join(wrong) or None,
            "place": entry.place,
        }

    def _gap(self, warehouse: str, sequence: int | None) -> list[str]:
        expected = self.sequences.get(warehouse, 0) + 1
        self.sequences[warehouse] = sequence if sequence is not None else expected
        return [] if sequence == expected else [f"sequence {sequence} where {expected} is due"]

    def _moved(self, entry: Entry, shelf: Shelf) -> Level | None:
        if entry.type not in MOVES:
            return None
        received, on_hand, reserved, dispatched = MOVES[entry.type]
        quantity, level = int(entry.fields["quantity"]), self.levels.setdefault(shelf, Level())
        level.received += received * quantity
        level.on_hand += on_hand * quantity
        level.reserved += reserved * quantity
        level.dispatched += dispatched * quantity
        return level


@dataclass(frozen=True)
class StockFilter:
    """Which shelves are asked for; all unless named."""

    warehouse: str | None = None
    sku: str | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        return self.warehouse in {None, row["warehouse"]} and self.sku in {None, row["sku"]}


def audit(access: ClusterClient, stock_filter: StockFilter) -> list[dict[str, Any]]:
    """Return every fact of the ledger with the stock after it, in the order of its warehouse.

    Of a warehouse that is named, its partition alone is read.
    """
    return [row for row in check_ledger(_facts(access, stock_filter.warehouse)) if stock_filter.takes(row)]


def check_ledger(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the facts with the stock after each, and what is wrong with it."""
    ledger = Ledger()
    for entry in entries:
        yield ledger.take(entry)


def levels(access: ClusterClient, stock_filter: StockFilter, *, use_file: bool = True) -> list[dict[str, Any]]:
    """Return the stock of each warehouse and sku."""
    with synced_view(access, [StockProjection(sources())], "the ledger", use_file=use_file) as view:
        return [level.model_dump() for level in Stock(view).levels(stock_filter.warehouse, stock_filter.sku)]


def _facts(access: ClusterClient, warehouse: str | None) -> Iterator[Entry]:
    """Return the facts partition by partition, which keeps the order of each warehouse."""
    places = access.places([INVENTORY_LEDGER.name])
    if warehouse is not None:
        places = [places[partition_of(warehouse.encode(), len(places))]]
    for place in places:
        yield from map(entry_of, access.read([place], progress("the ledger")))
