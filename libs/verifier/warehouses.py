"""Stock, from an own fold of the ledger: nothing appears or disappears, and inventory's own snapshots say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from verifier.facts import Level, Message, Violation

_CHECK: Final = "stock"
_MOVES: Final[Mapping[str, tuple[int, int, int]]] = {
    "StockReceived": (1, 0, 0),
    "StockReserved": (-1, 1, 0),
    "StockReleased": (1, -1, 0),
    "StockDispatched": (0, -1, 1),
}
"""What one piece does to on hand, reserved and dispatched."""


@dataclass
class Warehouse:
    """One warehouse, fact by fact, and what inventory says of it after `claimed_sequence` facts."""

    levels: dict[str, Level] = field(default_factory=dict)
    sequence: int = 0
    claimed_levels: dict[str, Level] = field(default_factory=dict)
    claimed_sequence: int = 0


class Warehouses:
    """All warehouses. The snapshots are to be claimed before the facts are taken."""

    def __init__(self) -> None:
        self._warehouses: dict[str, Warehouse] = {}

    def __len__(self) -> int:
        return sum(1 for warehouse in self._warehouses.values() if warehouse.sequence)

    def claim_level(self, warehouse_id: str, sku: str, level: Level) -> None:
        """Note what inventory's own snapshot says of one sku."""
        self._of(warehouse_id).claimed_levels[sku] = level

    def claim_sequence(self, warehouse_id: str, sequence: int) -> None:
        """Note after how many facts the snapshot was taken."""
        self._of(warehouse_id).claimed_sequence = sequence

    def _of(self, warehouse_id: str) -> Warehouse:
        return self._warehouses.setdefault(warehouse_id, Warehouse())

    def take(self, fact: Message, fields: Mapping[str, Any]) -> Iterator[Violation]:
        """Book the next fact of a warehouse, and return what is wrong with it."""
        name = fields["warehouse_id"]
        warehouse, sequence = self._of(name), fields["sequence"]
        if sequence != warehouse.sequence + 1:
            yield Violation(_CHECK, name, f"{fact} has sequence {sequence} after {warehouse.sequence}")
        warehouse.sequence = sequence
        if fact.type in _MOVES:
            for reason in _moved(warehouse, fact, fields):
                yield Violation(_CHECK, f"{name}/{fields['sku']}", reason)
        if warehouse.claimed_sequence == sequence:
            yield from _compare(name, warehouse)


def _moved(warehouse: Warehouse, fact: Message, fields: Mapping[str, Any]) -> Iterator[str]:
    sku, quantity = fields["sku"], fields["quantity"]
    before = warehouse.levels.get(sku, Level())
    after = Level(*(was + sign * quantity for was, sign in zip(before, _MOVES[fact.type], strict=True)))
    warehouse.levels[sku] = after
    for name, pieces in after._asdict().items():
        if pieces < 0 and pieces < getattr(before, name):
            yield f"{fact} leaves {pieces} pieces {name.replace('_', ' ')}"


def _compare(name: str, warehouse: Warehouse) -> Iterator[Violation]:
    for sku in warehouse.levels.keys() | warehouse.claimed_levels.keys():
        ours, theirs = warehouse.levels.get(sku, Level()), warehouse.claimed_levels.get(sku, Level())
        if ours != theirs:
            reason = f"after {warehouse.sequence} facts the ledger says {ours}; inventory's own snapshot {theirs}"
            yield Violation(_CHECK, f"{name}/{sku}", reason)
