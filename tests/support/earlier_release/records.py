"""The recorded files, read."""

from __future__ import annotations

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from contracts import AttemptCharge, CommandFailed, Payment, PaymentRefunded
from ensemble.messages import Message
from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.messages.records import RecordPlace, StoredRecord

DIRECTORY = Path(__file__).parent
COMPACTED = ("-changelog", ".order-state", ".notes")
"""What the names of compacted topics end with."""
_STACK_TRACE = "__streams.errors.stacktrace"
_ADDED_FIELDS: dict[type[Message], set[str]] = {AttemptCharge: {"attempt"}}
"""What later releases have added, with a default, to messages of that release."""
_FAILURES = decoders_for(CommandFailed)
_REFUNDS = {**decoders_for(PaymentRefunded), **decoders_for(Payment)}
CAPTURED = {"o-owed": 12_500, "o-none": 249_750}
"""What was captured for orders whose refunds were recorded with another amount, which later releases refuse."""
_READERS = {prefix: (kind, read) for kind in _ADDED_FIELDS for prefix, read in decoders_for(kind).items()}


@dataclass(frozen=True)
class Step:
    """One batch of a service, or records published from outside (then without a service)."""

    number: int
    writes: list[StoredRecord]
    service: str = ""
    do: str = "publish"
    reads: list[RecordPlace] = field(default_factory=list)
    seconds: float = 0


def records() -> list[StoredRecord]:
    """Return all records that there were at the handover, in the order in which they were written."""
    return [_record(row) for row in _rows("records")]


@cache
def state() -> dict[str, Any]:
    """Return what the earlier release made of the records."""
    state: dict[str, Any] = next(_rows("state", "json"))
    return state


def continuation() -> list[Step]:
    """Return what happened after the handover."""
    return [_step(number, row) for number, row in enumerate(_rows("continuation"))]


def by_topic(written: Iterable[StoredRecord]) -> dict[str, Any]:
    """Return the records of each partition as comparable values.

    A compacted topic's as values by key, since one transaction may write its keys in any order. Stack traces are left
    out: they name files and lines. So is what was added since: fields, and the failure of a payment's step.
    """
    topics: dict[str, Any] = {}
    for record in written:
        if _tells_of_payment(record.raw_value):
            continue
        place = f"{record.at_topic}/{record.at_partition}"
        if record.at_topic.endswith(COMPACTED):
            topics.setdefault(place, defaultdict(list))[record.raw_key].append(record.raw_value)
        else:
            value = _without_added_fields(record.raw_value)
            topics.setdefault(place, []).append((record.raw_key, _comparable_headers(record), value))
    return topics


def _tells_of_payment(value: bytes | None) -> bool:
    """Return whether `value` says that a payment failed: that release told it of AttemptCharge, or not at all."""
    failure = _FAILURES[value[:5]](value) if value is not None and value[:5] in _FAILURES else None
    return isinstance(failure, CommandFailed) and failure.command in {"ProcessPayment", "AttemptCharge"}


def _without_added_fields(value: bytes | None) -> object:
    if value is None or value[:5] not in _READERS:
        return value
    kind, read = _READERS[value[:5]]
    return kind, read(value).model_dump(exclude=_ADDED_FIELDS[kind])


def _comparable_headers(record: StoredRecord) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in record.headers() if name != _STACK_TRACE]


def _rows(name: str, suffix: str = "jsonl") -> Iterator[Any]:
    with gzip.open(DIRECTORY / f"{name}.{suffix}.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _step(number: int, row: Mapping[str, Any]) -> Step:
    reads = [(topic, partition, offset) for topic, partition, offset in row.get("reads", ())]
    writes = [_record(record) for record in row["writes"]]
    return Step(number, writes, row.get("service", ""), row["do"], reads, row.get("seconds", 0))


def _record(row: Mapping[str, Any]) -> StoredRecord:
    value = None if row["value"] is None else base64.b64decode(row["value"])
    headers = [(name, None if text is None else text.encode()) for name, text in row["headers"]]
    return StoredRecord(row["topic"], row["partition"], row["offset"], row["key"].encode(), _amended(value), headers)


def _amended(value: bytes | None) -> bytes | None:
    """Return what the record would say if the recorded provider had given back all that it captured."""
    if value is None or value[:5] not in _REFUNDS:
        return value
    message = _REFUNDS[value[:5]](value)
    match message:
        case PaymentRefunded(order_id=order_id) | Payment(order_id=order_id, status="refunded") if order_id in CAPTURED:
            return encoder_for(type(message))(message.model_copy(update={"amount": CAPTURED[order_id]}))
        case _:
            return value
