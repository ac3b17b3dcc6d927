"""Compares what a service writes with what the earlier release wrote, apart from changes that are meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from contracts import OrderState
from contracts.catalogue import ORDER_STATE
from ensemble.messages.codec import decoders_for
from ensemble.messages.records import StoredRecord
from tests.support.earlier_release.records import by_topic

_ID: Final = re.compile(rb"[0-9a-f]{32}|(?<=-)[0-9a-f]{16}(?=-)")
_STATES: Final = decoders_for(OrderState)


class Comparison:
    """What one service wrote, beside what it was expected to write.

    Three things may differ. Derived ids: each of the earlier release stands for one of this release, always the same,
    since key and source of the input are part of them now. And the orchestrator reduces an order that ended long ago,
    which the earlier release forgot. And it does not move the timer of a deadline back: those are left out, for the
    state has the deadline, and what follows from it is compared. So is the window of seen messages: its records have
    another form.
    """

    def __init__(self) -> None:
        self._ids: dict[bytes, bytes] = {}

    def differences(self, expected: Iterable[StoredRecord], written: Iterable[StoredRecord]) -> list[str]:
        """Return each pair of values that differ, with their place."""
        before, after = dict(_values(expected)), dict(_values(map(_forgotten, written)))
        missing = [f"{place}: only one release writes it" for place in before.keys() ^ after.keys()]
        pairs = ((place, before[place], after[place]) for place in before.keys() & after.keys())
        return missing + [f"{place}: {old!r} became {new!r}" for place, old, new in pairs if not self._agree(old, new)]

    def _agree(self, old: bytes, new: bytes) -> bool:
        if _ID.sub(b"#", old) != _ID.sub(b"#", new):
            return False
        pairs = zip(_ID.findall(old), _ID.findall(new), strict=True)
        return all(was == now or self._ids.setdefault(was, now) == now for was, now in pairs)


def _forgotten(record: StoredRecord) -> StoredRecord:
    """Return a reduced order as the earlier release wrote it: deleted."""
    if record.at_topic != ORDER_STATE.name or record.raw_value is None:
        return record
    state = _STATES[record.raw_value[:5]](record.raw_value)
    if state.status not in {"completed", "cancelled"} or state.forget_at is not None:
        return record
    return StoredRecord(record.at_topic, record.at_partition, record.at_offset, record.raw_key, None)


def _values(records: Iterable[StoredRecord]) -> Iterator[tuple[str, bytes]]:
    for place, content in by_topic(records).items():
        if ".seen-changelog/" in place:
            continue
        rows: Any = content.items() if isinstance(content, dict) else enumerate(content)
        for key, row in rows:
            if place.startswith("orchestrator.timers-changelog/") and key.endswith(b"/deadline"):
                continue
            yield f"{place} {key!r}", repr(row).encode()
