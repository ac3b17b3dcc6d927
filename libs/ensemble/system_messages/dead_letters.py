"""Dead letters as an operator decides on them: what each says of its record, and the commands to its service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from ensemble.messages.records import ConsumedRecord, RecordPlace
from ensemble.system_messages.operations import DiscardRecord, RedriveRecord
from ensemble.system_messages.state import RecordHeader

Header = tuple[str, bytes | None]
_ERROR: Final = "__streams.errors."
_FIRST_OF_OURS: Final = _ERROR + "exception"

REDRIVEN_FROM: Final = "ensemble.redriven-from"
"""The header that a redrive adds: the dead letter that it came from, as topic/partition/offset."""


@dataclass(frozen=True)
class OperatorRequest:
    """Who wants what done, when and why."""

    operation_id: str
    requested_by: str
    reason: str
    at: int


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: the record that was given up, and where its dead letter lies."""

    place: RecordPlace
    key: bytes | None
    value: bytes | None
    pairs: Sequence[Header]
    """All its headers, the record's own first."""

    @classmethod
    def of(cls, record: ConsumedRecord) -> Self:
        place = (record.topic() or "", record.partition() or 0, record.offset() or 0)
        return cls(place, record.key(), record.value(), tuple(record.headers() or ()))

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """The record's own, without those that the dead letter adds."""
        added = [number for number, (name, _) in enumerate(self.pairs) if name == _FIRST_OF_OURS]
        return tuple(self.pairs[: added[-1]] if added else self.pairs)

    @cached_property
    def lineage(self) -> tuple[str, ...]:
        """The dead letters that it was redriven from, the first one first."""
        return tuple((value or b"").decode(errors="replace") for name, value in self.headers if name == REDRIVEN_FROM)

    @property
    def origin(self) -> RecordPlace:
        """Where the record was consumed from. A record without that lies where its dead letter lies."""
        topic, partition, offset = (self._said(_ERROR + name).decode() for name in ("topic", "partition", "offset"))
        return topic, _number(partition, self.place[1]), _number(offset, -1)

    @property
    def parking_key(self) -> bytes:
        """The key that it is, or was, parked under."""
        return self._said("ensemble.parking-key") or self.key or b""

    @property
    def parking_name(self) -> str:
        """The same as operators' commands spell it."""
        return self.parking_key.decode(errors="backslashreplace")

    @cached_property
    def _last(self) -> dict[str, bytes | None]:
        return dict(self.pairs)

    def _said(self, name: str) -> bytes:
        return self._last.get(name) or b""

    def named(self) -> dict[str, Any]:
        """The fields by which a command names the record."""
        topic, partition, offset = self.origin
        place = {"topic": topic, "partition": partition, "offset": offset}
        return {"parking_key": self.parking_name, **place, "generation": len(self.lineage), "key": self.key}


def redrive(letter: DeadLetter, asked: OperatorRequest, edited: bytes | None = None) -> RedriveRecord:
    """Have the record behind this dead letter tried again, with another value if one is given."""
    headers = tuple(RecordHeader(name=name, value=value) for name, value in letter.headers)
    more = {"value": letter.value, "headers": headers, "edited": edited}
    return RedriveRecord(**vars(asked), **letter.named(), **more, redriven_from="/".join(map(str, letter.place)))


def discard(letter: DeadLetter, asked: OperatorRequest) -> DiscardRecord:
    """Have the record behind this dead letter done without."""
    return DiscardRecord(**vars(asked), **letter.named())


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.lstrip("-").isdigit() else otherwise


def redrives_of(record: ConsumedRecord) -> int:
    """How often an operator has had it tried again after it was given up."""
    return sum(name == REDRIVEN_FROM for name, _ in record.headers() or ())


def lineage_of(headers: Iterable[RecordHeader]) -> tuple[RecordHeader, ...]:
    """The headers that redrives have added."""
    return tuple(header for header in headers if header.name == REDRIVEN_FROM)
