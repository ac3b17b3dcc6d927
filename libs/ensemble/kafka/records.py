"""Records as they lie on a topic, and a guard against headers that the client cannot read."""

from __future__ import annotations

from operator import methodcaller
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Message

from ensemble.messages.records import ConsumedRecord

TopicPlace = tuple[str, int]
"""A topic's partition."""

_headers_of: Final = methodcaller("headers")
"""Python itself does not look for the client's error when it has called a method often; this always does."""


class ReceivedRecord(NamedTuple):
    """One record as it lies on its topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    pairs: tuple[tuple[str, bytes | None], ...] = ()
    """All headers in their order, those included that come more than once."""

    @classmethod
    def of(cls, record: Any) -> Self:
        """Return a record of the client's as it lies on its topic."""
        pairs = tuple(readable(record).headers() or ())
        return cls(
            record.topic(),
            record.partition(),
            record.offset(),
            record.timestamp()[1],
            record.key(),
            record.value(),
            {name: value if value is not None else b"" for name, value in pairs},
            pairs,
        )


class RecordWithoutHeaders:
    """A record whose header names are not UTF-8, without its headers (confluent-kafka workaround).

    The client raises on the first access to such headers and crashes the process on the second.
    """

    def __init__(self, record: Message) -> None:
        self._record = record

    def headers(self) -> list[Any]:
        """Return no headers; a dead letter of this record cannot carry them either."""
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


def describe_place(topic: str | None, partition: int | None, offset: int | None) -> str:
    """Return where a record lies, as messages say it."""
    return f"{topic}[{partition}] offset {offset}"


def topic_place_of(record: ConsumedRecord) -> TopicPlace:
    """Return the topic and partition of a consumed record."""
    return record.topic() or "", record.partition() or 0


def readable(record: Message) -> Any:
    """Return the record itself, or one without headers if reading them would crash the process.

    The client keeps headers that it has read, so this look costs little.
    """
    try:
        _headers_of(record)
    except (SystemError, UnicodeError):
        return RecordWithoutHeaders(record)
    return record
