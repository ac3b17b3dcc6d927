"""Stock, from an own fold of the ledger: nothing appears or disappears, and inventory's own snapshots say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from verifier.facts import Message, Violation

_NAMES: Final = ("on hand", "reserved", "dispatched")
_MOVES: Final[Mapping[str, tuple[int, int, int]]] = {
    "StockReceived": (1, 0, 0),
    "StockReserved": (-1, 1, 0),
    "StockReleased": (1, -1, 0),
    "StockDispatched": (0, -1, 1),
}
"""What one piece does to on hand, reserved and dispatched."""
_NOTHING: Final = (0, 0, 0)

Level = tuple[int, ...]
"""Pieces of one sku in one warehouse: on hand, reserved, dispatched."""


@dataclass
class Warehouse:
    """One warehouse, fact by fact, and what inventory says of it after `claimed_sequence` facts.

    The snapshot is to be claimed before the facts are taken.
    """

    levels: dict[str, Level] = field(default_factory=dict)
    sequence: int = 0
    claimed_levels: dict[str, Level] = field(default_factory=dict)
    claimed_sequence: int = 0

    def take(self, fact: Message, fields: Mapping[str, Any]) -> Iterator[Violation]:
        """Book the next fact, and return what is wrong with it."""
        name, sequence = fields["warehouse_id"], fields["sequence"]
        if sequence != self.sequence + 1:
            yield Violation("stock", name, f"{fact} has sequence {sequence} after {self.sequence}")
        self.sequence = sequence
        if fact.type in _MOVES:
            sku, moves = fields["sku"], _MOVES[fact.type]
            before = self.levels.get(sku, _NOTHING)
            after = tuple(was + sign * fields["quantity"] for was, sign in zip(before, moves, strict=True))
            self.levels[sku] = after
            for what, was, pieces in zip(_NAMES, before, after, strict=True):
                if pieces < 0 and pieces < was:
                    yield Violation("stock", f"{name}/{sku}", f"{fact} leaves {pieces} pieces {what}")
        if self.claimed_sequence == sequence:
            yield from self._compare(name)

    def _compare(self, name: str) -> Iterator[Violation]:
        for sku in self.levels.keys() | self.claimed_levels.keys():
            ours, theirs = (levels.get(sku, _NOTHING) for levels in (self.levels, self.claimed_levels))
            if ours != theirs:
                says = f"the ledger says {_text(ours)}; inventory's own snapshot {_text(theirs)}"
                yield Violation("stock", f"{name}/{sku}", f"after {self.sequence} facts {says}")


def _text(level: Level) -> str:
    return ", ".join(f"{pieces} {name}" for pieces, name in zip(level, _NAMES, strict=True))
