"""Dead letters: the record's own bytes and headers, untouched, and behind them where it came from and why it failed.

The names, the writer and the reader of these headers are all here; so are the commands about a dead letter's record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Self

from ensemble.clock import rfc3339
from ensemble.messages.fields import MAX_INT32, MAX_INT64
from ensemble.messages.records import (
    MAX_KEY_BYTES,
    ConsumedRecord,
    Headers,
    RecordPlace,
    header_size,
    place_of,
    why_oversized,
)
from ensemble.system_messages.operations import DiscardRecord, RedriveRecord
from ensemble.system_messages.state import RecordHeader

Header = tuple[str, bytes | None]

EXCEPTION: Final = "__streams.errors.exception"
"""The first header that a dead letter adds. Kafka Streams (KIP-1034) has the same six, so its tools read ours."""
MESSAGE: Final = "__streams.errors.message"
"""The header with what the error said."""
STACKTRACE: Final = "__streams.errors.stacktrace"
TOPIC: Final = "__streams.errors.topic"
"""The header with the topic that the record was consumed from."""
PARTITION: Final = "__streams.errors.partition"
OFFSET: Final = "__streams.errors.offset"
SERVICE: Final = "ensemble.service"
HANDLER: Final = "ensemble.handler"
STAGE: Final = "ensemble.stage"
ATTEMPTS: Final = "ensemble.attempts"
POLICY: Final = "ensemble.policy"
DISPOSITION: Final = "ensemble.disposition"
PARKING_KEY: Final = "ensemble.parking-key"
"""The header with the key that the record is, or was, parked under."""
FAILED_AT: Final = "ensemble.failed-at"
REDRIVEN_FROM: Final = "ensemble.redriven-from"
"""The header that a redrive adds: the dead letter that it came from, as topic/partition/offset."""

VALUE_LENGTH: Final = "ensemble.value-length"
"""The bytes of the record's value, if the dead letter holds only an excerpt of the record."""
VALUE_SHA256: Final = "ensemble.value-sha256"
"""The hash of the record's value, in hexadecimal digits, if the dead letter holds only an excerpt of the record."""
HEADERS_DROPPED: Final = "ensemble.headers-dropped"
"""How many of the record's headers the excerpt has not."""

_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka takes for the name of a topic."""
_INTEGER: Final = re.compile(r"[0-9]{1,19}")
_REPORT: Final = frozenset(
    {EXCEPTION, MESSAGE, STACKTRACE, TOPIC, PARTITION, OFFSET, SERVICE, HANDLER, STAGE, ATTEMPTS}
    | {POLICY, DISPOSITION, PARKING_KEY, FAILED_AT, VALUE_LENGTH, VALUE_SHA256, HEADERS_DROPPED}
)
TEXT_LIMIT: Final = 4_000
"""Characters of a message or stack trace that are kept."""
_IDENTITY: Final = (
    "ce_id",
    "ce_source",
    "ce_type",
    "content-type",
    "ce_correlationid",
    "ce_causationid",
    "traceparent",
)
"""The headers that say which message a record is, and of which story."""
_EXCERPT_BYTES: Final = 64_000
"""What an excerpt keeps of a value, and of all headers together."""


@dataclass(frozen=True, kw_only=True)
class FailureReport:
    """What a dead letter says of its record's failure."""

    source: RecordPlace
    """Where the record was consumed from."""
    exception: str
    message: str
    stacktrace: str
    service: str
    handler: str
    stage: str
    """`decode`, `handle` or `timer`."""
    attempts: int
    policy: str
    disposition: str
    parking_key: bytes
    failed_at: int

    def headers_of(self, record: ConsumedRecord) -> Headers:
        """Return the headers of the dead letter: the record's own, then this report.

        The report of an earlier failure, which a dead letter that was copied back by hand carries, is replaced.
        """
        return [*(pair for pair in record.headers() or () if pair[0] not in _REPORT), *self.headers()]

    def headers(self) -> Headers:
        """Return the headers to write behind the record's own, in this order."""
        topic, partition, offset = self.source
        return [
            (EXCEPTION, self.exception),
            (MESSAGE, printable(self.message[:TEXT_LIMIT])),
            (STACKTRACE, printable(self.stacktrace[-TEXT_LIMIT:])),
            (TOPIC, topic),
            (PARTITION, str(partition)),
            (OFFSET, str(offset)),
            (SERVICE, self.service),
            (HANDLER, self.handler),
            (STAGE, self.stage),
            (ATTEMPTS, str(self.attempts)),
            (POLICY, self.policy),
            (DISPOSITION, self.disposition),
            (PARKING_KEY, self.parking_key[:MAX_KEY_BYTES]),
            (FAILED_AT, rfc3339(self.failed_at)),
        ]


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it was read: the record behind it, its failure, and where the dead letter lies.

    A header that is missing, or says what cannot be, reads as an empty text: others than this runtime may write to the
    topic.
    """

    place: RecordPlace
    key: bytes | None
    value: bytes | None
    pairs: Sequence[Header]
    """All its headers, the record's own first."""

    @classmethod
    def of(cls, record: ConsumedRecord) -> Self:
        """Return the dead letter in a record that was consumed from a dead-letter topic."""
        return cls(place_of(record), record.key(), record.value(), tuple(record.headers() or ()))

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """The record's own headers, without those that the dead letter adds."""
        starts = [number for number, (name, _) in enumerate(self.pairs) if name == EXCEPTION]
        return tuple(self.pairs[: starts[-1]] if starts else self.pairs)

    @property
    def is_whole(self) -> bool:
        """Whether the whole record is here. Of one that is too large for that, the dead letter holds an excerpt."""
        return VALUE_LENGTH not in self._last

    @cached_property
    def lineage(self) -> tuple[str, ...]:
        """The dead letters that the record was redriven from, the first one first."""
        return tuple((value or b"").decode(errors="replace") for name, value in self.headers if name == REDRIVEN_FROM)

    @property
    def origin(self) -> RecordPlace:
        """Where the record was consumed from. A record without that lies where its dead letter lies."""
        topic = self.text(TOPIC)
        partition = _number(self.text(PARTITION), self.place[1], MAX_INT32)
        return topic if _TOPIC_NAME.fullmatch(topic) else "", partition, _number(self.text(OFFSET), -1, MAX_INT64)

    @property
    def parking_key(self) -> bytes:
        """The key that the record is, or was, parked under."""
        return (self._last.get(PARKING_KEY) or self.key or b"")[:MAX_KEY_BYTES]

    @property
    def parking_name(self) -> str:
        """The parking key as operators' commands spell it."""
        return self.parking_key.decode(errors="backslashreplace")

    @property
    def exception(self) -> str:
        """The class of the error."""
        return self.text(EXCEPTION)

    @property
    def message(self) -> str:
        """What the error said."""
        return self.text(MESSAGE)

    @property
    def handler(self) -> str:
        """The handlers that failed, as `Role.method`."""
        return self.text(HANDLER)

    @property
    def stage(self) -> str:
        """Where it failed: `decode`, `handle` or `timer`."""
        return self.text(STAGE)

    @property
    def attempts(self) -> int | None:
        """The number of attempts at the record; None if the dead letter does not say."""
        number = _number(self.text(ATTEMPTS), -1, MAX_INT32)
        return number if number >= 0 else None

    @property
    def policy(self) -> str:
        """Where the values of the retry policy came from."""
        return self.text(POLICY)

    @property
    def disposition(self) -> str:
        """What the policy has done with the record."""
        return self.text(DISPOSITION)

    @property
    def failed_at(self) -> int | None:
        """When the record was given up, epoch milliseconds."""
        try:
            return round(datetime.fromisoformat(self.text(FAILED_AT)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None

    def text(self, name: str) -> str:
        """Return the last header of this name as text."""
        return (self._last.get(name) or b"").decode(errors="replace")

    @cached_property
    def _last(self) -> dict[str, bytes | None]:
        return dict(self.pairs)

    def record_fields(self) -> dict[str, Any]:
        """Return the fields by which an operator's command names the record."""
        topic, partition, offset = self.origin
        place = {"topic": topic, "partition": partition, "offset": offset}
        return {"parking_key": self.parking_name, **place, "generation": len(self.lineage), "key": self.key}


def dead_letter_of(record: ConsumedRecord, report: FailureReport) -> tuple[bytes | None, bytes | None, Headers]:
    """Return key, value and headers of a record's dead letter: an excerpt if the record is too large to be whole."""
    key, value, headers = record.key(), record.value(), report.headers_of(record)
    if not why_oversized(record):
        return key, value, headers
    own = len(headers) - len(report.headers())
    excerpt = list(_first_headers(headers[:own]))
    added = [
        *headers[own:],
        (VALUE_LENGTH, str(len(value or b""))),
        (VALUE_SHA256, sha256(value or b"").hexdigest()),
        (HEADERS_DROPPED, str(own - len(excerpt))),
    ]
    return key and key[:MAX_KEY_BYTES], value and value[:_EXCERPT_BYTES], [*excerpt, *added]


def _first_headers(headers: Sequence[Header]) -> Iterator[Header]:
    """Yield each header that the excerpt still has room for, those first that say which message it is."""
    room = _EXCERPT_BYTES
    for name, value in _identity_first(headers):
        if (size := header_size(name, value)) <= room:
            room -= size
            yield name, value


def _identity_first(headers: Sequence[Header]) -> Iterator[Header]:
    last = dict(headers)  # of several of one name the last one counts, for all who read a record
    yield from ((name, last[name]) for name in _IDENTITY if name in last)
    yield from (header for header in headers if header[0] == REDRIVEN_FROM)
    yield from (header for header in headers if header[0] not in _IDENTITY and header[0] != REDRIVEN_FROM)


@dataclass(frozen=True)
class OperatorRequest:
    """Who asks for an operation, when and why."""

    operation_id: str
    requested_by: str
    reason: str
    at: int


def redrive(letter: DeadLetter, request: OperatorRequest, edited: bytes | None = None) -> RedriveRecord:
    """Build the command that tries the record behind this dead letter again, with an `edited` value if there is one.

    Raises ValueError for an excerpt of a record without an edited value: the record is not here.
    """
    if edited is None and not letter.is_whole:
        length = letter.text(VALUE_LENGTH)
        raise ValueError(f"the dead letter holds only the beginning of its record, whose value takes {length} bytes")
    headers = tuple(RecordHeader(name=name, value=value) for name, value in letter.headers)
    content = {"value": letter.value, "headers": headers, "edited": edited}
    redriven_from = "/".join(map(str, letter.place))
    return RedriveRecord(**vars(request), **letter.record_fields(), **content, redriven_from=redriven_from)


def discard(letter: DeadLetter, request: OperatorRequest) -> DiscardRecord:
    """Build the command that discards the record behind this dead letter."""
    return DiscardRecord(**vars(request), **letter.record_fields())


def generation_of(record: ConsumedRecord) -> int:
    """Return how often an operator has had the record tried again after it was given up."""
    return sum(name == REDRIVEN_FROM for name, _ in record.headers() or ())


def lineage_of(headers: Iterable[RecordHeader]) -> tuple[RecordHeader, ...]:
    """Return the headers that redrives have added."""
    return tuple(header for header in headers if header.name == REDRIVEN_FROM)


def printable(text: str) -> str:
    """Escape lone surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="backslashreplace").decode()


def text_of(error: BaseException) -> str:
    """Return what an error says, printable, whatever becomes of asking it."""
    try:
        return printable(str(error))
    except Exception:  # noqa: BLE001  the text of an error may never add a failure
        return f"{type(error).__name__} without a readable text"


def _number(text: str, otherwise: int, most: int) -> int:
    """Return the number that a header says, unless it says none that fits: others may write to the topic."""
    number = int(text) if _INTEGER.fullmatch(text) else otherwise
    return number if 0 <= number <= most else otherwise
