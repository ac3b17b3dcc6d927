"""What an operator tells a service about one of its dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ensemble.dead_letter import redrives_of
from ensemble.effects import Record
from ensemble.operations import DiscardRecord, RedriveRecord
from ensemble.runtime_state import RecordHeader

_FIRST_OF_OURS: Final = "__streams.errors.exception"


@dataclass(frozen=True)
class Asked:
    """Who wants what done, when and why."""

    operation_id: str
    requested_by: str
    reason: str
    at: int


def redrive(letter: Record, asked: Asked, edited: bytes | None = None) -> RedriveRecord:
    """Have the record behind this dead letter tried again, with another value if one is given."""
    headers = tuple(RecordHeader(name=name, value=value) for name, value in original_headers(letter))
    origin = f"{letter.topic()}/{letter.partition()}/{letter.offset()}"
    more = {"value": letter.value(), "headers": headers, "edited": edited, "redriven_from": origin}
    return RedriveRecord(**vars(asked), **_named(letter), **more)


def discard(letter: Record, asked: Asked) -> DiscardRecord:
    """Have the record behind this dead letter done without."""
    return DiscardRecord(**vars(asked), **_named(letter))


def original_headers(letter: Record) -> list[tuple[str, Any]]:
    """The record's own headers, without what was added when it was given up."""
    headers = list(letter.headers() or ())
    names = [name for name, _ in headers]
    return headers[: names.index(_FIRST_OF_OURS)] if _FIRST_OF_OURS in names else headers


def _named(letter: Record) -> dict[str, Any]:
    said = {name: value.decode() for name, value in letter.headers() or () if value and name.startswith(("__", "ens"))}
    return {
        "parking_key": said.get("ensemble.parking-key", ""),
        "topic": said["__streams.errors.topic"],
        "partition": int(said["__streams.errors.partition"]),
        "offset": int(said["__streams.errors.offset"]),
        "generation": redrives_of(letter),
        "key": letter.key(),
    }
