"""Records as they were consumed or stored: bytes, headers, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Protocol

Headers = list[tuple[str, Any]]
"""Names and values of a record's headers; a value is bytes, text or None."""
RecordPlace = tuple[str, int, int]
"""Topic, partition and offset that a record was consumed from."""

MAX_INPUT_BYTES: Final = 2_000_000
"""The largest record, key and headers included, that is parked, or dead-lettered whole."""
MAX_KEY_BYTES: Final = 4_096
"""The longest key of a record that is handled or parked: it is also part of the keys of state."""
_HEADER_BYTES: Final = 16
"""What a header takes beside its name and value."""
MAX_ID_BYTES: Final = 128
"""The longest id that is handed on as it is; of one that is longer, or is longer once it is text, its hash."""
_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C: version ff, and ids of zeros alone, are no trace."""


class ConsumedRecord(Protocol):
    """A record that was read from a topic; confluent_kafka's Message has this shape."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...


@dataclass(frozen=True)
class StoredRecord:
    """A `ConsumedRecord` that does not come from the client: parked, rebuilt from a timer, or kept in memory."""

    at_topic: str
    at_partition: int
    at_offset: int
    raw_key: bytes | None
    raw_value: bytes | None
    raw_headers: Headers = field(default_factory=list)
    original: bytes | None = None
    """The value that the record had before an operator edited it."""

    def topic(self) -> str:
        """Return the topic."""
        return self.at_topic

    def partition(self) -> int:
        """Return the partition."""
        return self.at_partition

    def offset(self) -> int:
        """Return the offset."""
        return self.at_offset

    def key(self) -> bytes | None:
        """Return the key."""
        return self.raw_key

    def value(self) -> bytes | None:
        """Return the value; None is a tombstone."""
        return self.raw_value

    def headers(self) -> Headers:
        """Return the headers with their values as bytes, as the client does."""
        return [(name, value.encode() if isinstance(value, str) else value) for name, value in self.raw_headers]


def place_of(record: ConsumedRecord) -> RecordPlace:
    """Return where the record was consumed from."""
    offset = record.offset()
    return record.topic() or "", record.partition() or 0, -1 if offset is None else offset


def why_oversized(record: ConsumedRecord, parking_key: bytes = b"") -> str:
    """Return why `record` can neither be parked under `parking_key` nor dead-lettered whole, or "" if it can be.

    Its size is what it takes uncompressed. A broker's limit is about what it takes compressed.
    """
    longest_key = max(len(record.key() or b""), len(parking_key))
    if longest_key > MAX_KEY_BYTES:
        return f"its key takes {longest_key} bytes, the limit is {MAX_KEY_BYTES}"
    size = size_of(record)
    return f"it takes {size} bytes with its headers, the limit is {MAX_INPUT_BYTES}" if size > MAX_INPUT_BYTES else ""


def size_of(record: ConsumedRecord) -> int:
    """Return how many bytes a record takes: key, value, headers, and the value that it had before an edit."""
    original = record.original if isinstance(record, StoredRecord) else None
    size = len(record.key() or b"") + len(record.value() or b"") + len(original or b"")
    for name, value in record.headers() or ():  # `header_size`, in place: this runs for each header of each record
        size += (len(name) if name.isascii() else len(name.encode())) + _HEADER_BYTES
        if value:
            size += len(value)
    return size


def header_size(name: str, value: bytes | None) -> int:
    """Return how many bytes a header takes at most. It is asked for each header of each record: no copy is made."""
    return (len(name) if name.isascii() else len(name.encode())) + (len(value) if value else 0) + _HEADER_BYTES


def message_id(record: ConsumedRecord, headers: Mapping[str, bytes] | None = None) -> str:
    """Return the record's `ce_id`, or `place_name` if it has none.

    Pass `headers` if they were read before: the client builds them anew at each call.
    """
    raw = (dict(record.headers() or ()) if headers is None else headers).get("ce_id")
    return bounded_id(raw) if raw else place_name(record)


def place_name(record: ConsumedRecord) -> str:
    """Return `topic/partition/offset`, which names a record without an id, or its hash where that is too long."""
    name = f"{record.topic()}/{record.partition()}/{record.offset()}"
    return name if len(name) <= MAX_ID_BYTES else bounded_id(name.encode())


def bounded_id(raw: bytes) -> str:
    r"""Return an id as text that takes MAX_ID_BYTES at most; of a longer one its hash.

    Outputs and states carry it and have room for so much. A byte that is no UTF-8 takes four as text, as in `\xff`.
    """
    if len(raw) <= MAX_ID_BYTES:
        text = str(raw, "utf-8", "backslashreplace")
        if raw.isascii() or len(text.encode()) <= MAX_ID_BYTES:
            return text
    return blake2b(raw, digest_size=16).hexdigest()


def trace_in(headers: Mapping[str, bytes]) -> str:
    """Return the trace that a record says it belongs to, or nothing."""
    parent = headers.get("traceparent")
    match = _TRACEPARENT.match(parent) if parent else None
    return match[1].decode() if match else ""
