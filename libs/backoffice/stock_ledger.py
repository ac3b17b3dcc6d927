"""The ledger of stock, read backwards a page at a time: what moved, when, and for which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.catalogue import INVENTORY_LEDGER
from ensemble.clock import moment_of
from ensemble.operations import Entry, Invalid, Position, Result, Session
from ensemble.partitioning import partition_of

Offsets = Mapping[tuple[str, int], int]
_STEP: Final = 500
_MOST_STEPS: Final = 40
"""So far is looked back for facts that match: 20,000 records of each partition."""
_PLACE: Final = re.compile(r"(\d{1,6}):(\d{1,18})")


class LedgerEntry(Result):
    """A fact of the ledger. `order_id` is the order that it is for, if it is for one; `message_id` what caused it."""

    position: Position
    at: datetime | None
    warehouse: str
    sequence: int | None
    fact: str
    sku: str | None
    quantity: int | None
    order_id: str | None
    message_id: str | None
    problem: str | None


class LedgerPage(Result):
    """Some facts, the latest first, and what the next page is asked for with; nothing if there is none."""

    entries: tuple[LedgerEntry, ...]
    next: str | None


@dataclass(frozen=True)
class LedgerFilter:
    """Which facts: those that all of these take. Of a warehouse its partition alone is read."""

    warehouse: str | None = None
    sku: str | None = None
    order_id: str | None = None

    def takes(self, entry: LedgerEntry) -> bool:
        """Return whether a fact matches."""
        pairs = ((self.warehouse, entry.warehouse), (self.sku, entry.sku), (self.order_id, entry.order_id))
        return all(expected in {None, actual} for expected, actual in pairs)


def read_ledger(session: Session, which: LedgerFilter, limit: int, cursor: str | None = None) -> LedgerPage:
    """Return the latest facts that match, or those before a cursor, `limit` at most. Some pages may be short.

    Raises Invalid for a cursor that is none.
    """
    client = session.client
    if INVENTORY_LEDGER.name not in client.topics():
        return LedgerPage(entries=(), next=None)
    places = client.places([INVENTORY_LEDGER.name])
    if which.warehouse is not None:
        places = [places[partition_of(which.warehouse.encode(), len(places))]]
    starts = client.starts(places)
    ends = client.ends(places)
    if cursor is not None:
        ends = {place: min(offset, ends[place]) for place, offset in _parse(cursor, places).items()}
    entries: list[LedgerEntry] = []
    for _ in range(_MOST_STEPS):
        spans = {place: range(max(starts[place], end - _STEP), end) for place, end in ends.items()}
        spans = {place: span for place, span in spans.items() if span}
        if not spans or len(entries) >= limit:
            break
        entries += filter(which.takes, map(_entry, map(session.decode, client.read_spans(spans))))
        ends = {place: spans[place].start if place in spans else end for place, end in ends.items()}
    return _page(entries, ends, starts, limit)


def _page(entries: list[LedgerEntry], ends: Offsets, starts: Offsets, limit: int) -> LedgerPage:
    entries.sort(key=_age, reverse=True)
    next_ends = dict(ends)
    for entry in entries[limit:]:
        place = entry.position.topic, entry.position.partition
        next_ends[place] = max(next_ends[place], entry.position.offset + 1)
    has_more = any(end > starts[place] for place, end in next_ends.items())
    text = ",".join(f"{partition}:{end}" for (_, partition), end in sorted(next_ends.items()))
    return LedgerPage(entries=tuple(entries[:limit]), next=text if has_more else None)


def _age(entry: LedgerEntry) -> tuple[float, int, int]:
    at = entry.at.timestamp() if entry.at else 0.0
    return at, entry.position.partition, entry.position.offset


def _parse(cursor: str, places: list[tuple[str, int]]) -> Offsets:
    parsed = {int(match[1]): int(match[2]) for match in map(_PLACE.fullmatch, cursor.split(",")) if match}
    if set(parsed) != {partition for _, partition in places}:
        raise Invalid(f"{cursor!r} is no place to go on from", hint="give the `next` of a page", field="cursor")
    return {(topic, partition): parsed[partition] for topic, partition in places}


def _entry(entry: Entry) -> LedgerEntry:
    record, fields = entry.record, entry.fields
    return LedgerEntry(
        position=Position(topic=record.topic, partition=record.partition, offset=record.offset),
        at=moment_of(record.timestamp),
        warehouse=str(fields.get("warehouse_id", entry.key)),
        sequence=fields.get("sequence"),
        fact=entry.type,
        sku=fields.get("sku"),
        quantity=fields.get("quantity"),
        order_id=fields.get("order_id"),
        message_id=fields.get("receipt_id") or entry.causation or None,
        problem=entry.problem or None,
    )
