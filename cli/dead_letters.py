"""Dead letters: what was given up, by whom, and why; the original bytes as far as they can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.connection import progress
from cli.entries import Entry, entry_of
from cli.mistakes import Mistake
from cli.orders import dead_letter_topics

if TYPE_CHECKING:
    from ensemble.kafka.outside import Access

_SHOWN_BYTES = 2_000
_ERROR, _OWN = "__streams.errors.", "ensemble."


def listed(access: Access, service: str | None, limit: int) -> list[dict[str, Any]]:
    """The latest dead letters, newest first."""
    topics = dead_letter_topics(access)
    if service is not None:
        topics = [_topic_of(service, topics)]
    records = access.read(access.places(topics), progress("dead letters"))
    entries = sorted(map(entry_of, records), key=lambda entry: entry.record.timestamp)
    return [summary(entry) for entry in entries[: -limit - 1 : -1]]


def one(access: Access, place: str) -> dict[str, Any]:
    """The dead letter that lies at TOPIC/PARTITION/OFFSET; a Mistake when there is none."""
    topic, partition, offset = _parsed(place)
    if (topic, partition) not in access.places([topic]):
        raise Mistake(f"DEAD_LETTER: {topic} has no partition {partition}")
    for record in access.read([(topic, partition)], progress(topic)):
        if record.offset == offset:
            return whole(entry_of(record))
    raise Mistake(f"DEAD_LETTER: nothing lies at {place}; `ensemble dead-letters list` shows what there is")


def summary(entry: Entry) -> dict[str, Any]:
    """One row."""
    return {
        "place": entry.place,
        "service": _header(entry, _OWN + "service"),
        "failed_at": _header(entry, _OWN + "failed-at"),
        "type": entry.type,
        "key": entry.key,
        "error": _header(entry, _ERROR + "exception"),
        "message": _header(entry, _ERROR + "message"),
        "attempts": _header(entry, _OWN + "attempts"),
        "stage": _header(entry, _OWN + "stage"),
    }


def whole(entry: Entry) -> dict[str, Any]:
    """Everything about it."""
    came_from = "/".join(_header(entry, _ERROR + name) for name in ("topic", "partition", "offset"))
    value = entry.record.value or b""
    return {
        **summary(entry),
        "came_from": came_from,
        "handler": _header(entry, _OWN + "handler"),
        "sender": entry.sender,
        "id": entry.id,
        "fields": dict(entry.fields) or None,
        "unreadable_because": entry.problem or None,
        "bytes": value[:_SHOWN_BYTES].hex() if entry.problem else None,
        "headers": {name: text.decode(errors="replace") for name, text in entry.record.headers.items()},
    }


def _topic_of(service: str, topics: list[str]) -> str:
    if f"{service}.dead-letter" not in topics:
        names = ", ".join(topic.removesuffix(".dead-letter") for topic in topics) or "none: `ensemble topics apply`"
        raise Mistake(f"--service {service}: no such service has dead letters; there are {names}")
    return f"{service}.dead-letter"


def _parsed(place: str) -> tuple[str, int, int]:
    parts = place.split("/")
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):  # noqa: PLR2004  topic, partition, offset
        raise Mistake(
            f"DEAD_LETTER: {place!r} is no place; it is TOPIC/PARTITION/OFFSET as `ensemble dead-letters list` shows it"
        )
    return parts[0], int(parts[1]), int(parts[2])


def _header(entry: Entry, name: str) -> str:
    return entry.record.headers.get(name, b"").decode(errors="replace")
