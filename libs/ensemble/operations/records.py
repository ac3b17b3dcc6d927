"""One record at its position: decoded, with all headers, from whatever topic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ensemble.clock import moment_of
from ensemble.operations.entries import Entry
from ensemble.operations.errors import Invalid, NotFound
from ensemble.operations.session import Session
from ensemble.operations.values import MOST_OFFSET_DIGITS, Position, Result

_SHOWN_BYTES: Final = 2_000
_PARTS: Final = 3
_NUMBER: Final = re.compile(rf"[0-9]{{1,{MOST_OFFSET_DIGITS}}}")


class RecordHeader(Result):
    """One header; `hex` holds the bytes of one that is no text."""

    name: str
    value: str | None
    hex: str | None = None


class RecordDetails(Result):
    """A record. Of one that cannot be decoded `problem` says why, and `bytes` how it begins, in hexadecimal digits."""

    position: Position
    written_at: datetime | None
    key: str | None
    type: str
    kind: str
    sender: str
    message_id: str
    causation_id: str | None
    correlation_id: str | None
    trace_id: str | None
    size: int
    """Of its value, in bytes."""
    fields: Mapping[str, Any]
    problem: str | None
    bytes: str | None
    headers: tuple[RecordHeader, ...]


def parse_position(text: str, field: str = "position") -> Position:
    """Return the position that `TOPIC/PARTITION/OFFSET` names. Raises Invalid about `field` if it is none."""
    parts = text.rsplit("/", 2)
    if len(parts) != _PARTS or not parts[0] or not all(map(_NUMBER.fullmatch, parts[1:])):
        raise Invalid(f"{text!r} is no position of a record", hint="give TOPIC/PARTITION/OFFSET", field=field)
    return Position(topic=parts[0], partition=int(parts[1]), offset=int(parts[2]))


def get_record(session: Session, position: Position) -> RecordDetails:
    """Return the record at a position. Raises NotFound that says which offsets there are, if there is none."""
    counts, client = session.client.topics(), session.client
    topic, place, offset = position.topic, (position.topic, position.partition), position.offset
    if topic not in counts:
        raise NotFound(f"no topic {topic!r}", hint="`topics list` shows those of the application", field="position")
    if position.partition >= counts[topic]:
        raise NotFound(f"{topic} has partitions 0 to {counts[topic] - 1}", field="position")
    start, end = client.starts([place])[place], client.ends([place])[place]
    if not start <= offset < end:
        extent = f"has offsets {start} to {end - 1}" if start < end else "is empty"
        raise NotFound(f"no record at {position}: {topic}[{position.partition}] {extent}", field="position")
    for record in client.read_spans({place: range(offset, offset + 1)}):
        return _details(position, session.decode(record))
    reason = "it is the marker of a transaction, was aborted, or was removed by compaction"
    raise NotFound(f"no record at {position}: {reason}", field="position")


def _details(position: Position, entry: Entry) -> RecordDetails:
    record = entry.record
    return RecordDetails(
        position=position,
        written_at=moment_of(record.timestamp),
        key=None if record.key is None else entry.key,
        type=entry.type,
        kind=entry.kind,
        sender=entry.sender,
        message_id=entry.id,
        causation_id=entry.causation or None,
        correlation_id=entry.correlation or None,
        trace_id=entry.trace or None,
        size=len(record.value or b""),
        fields=dict(entry.fields),
        problem=entry.problem or None,
        bytes=(record.value or b"")[:_SHOWN_BYTES].hex() if entry.problem else None,
        headers=tuple(_header(name, value) for name, value in record.pairs),
    )


def _header(name: str, value: bytes | None) -> RecordHeader:
    try:
        return RecordHeader(name=name, value=None if value is None else value.decode())
    except UnicodeDecodeError:
        return RecordHeader(name=name, value=None, hex=(value or b"").hex())
