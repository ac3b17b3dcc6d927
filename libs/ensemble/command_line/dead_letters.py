"""Dead letters: what was given up, by whom, why, and what became of it; the bytes as far as they can be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ensemble.clock import rfc3339
from ensemble.command_line import services
from ensemble.command_line.connection import progress
from ensemble.command_line.dead_letter import DeadLetterEntry, fate_of
from ensemble.command_line.dead_letter_filter import DeadLetterFilter, Group, group_by_cause
from ensemble.command_line.entries import entry_of
from ensemble.command_line.errors import Mistake
from ensemble.command_line.group_notes import read_notes
from ensemble.command_line.parking_stores import LiveParkingStores
from ensemble.command_line.readability import describe_readability
from ensemble.command_line.selection import application
from ensemble.escaping import escape_cell

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_SHOWN_BYTES: Final = 2_000


def find_dead_letters(access: ClusterClient, selection: DeadLetterFilter) -> list[DeadLetterEntry]:
    """Return the dead letters that match, newest first."""
    names = services.service_names(access, selection.service)
    records = access.read(access.places([name + services.DEAD_LETTER for name in names]), progress("dead letters"))
    with LiveParkingStores(access, names) as stores:
        letters = [_with_fate(DeadLetterEntry(entry_of(record)), stores) for record in records]
    _check_names(selection, letters)
    meant = [letter for letter in letters if selection.takes(letter)]
    return sorted(meant, key=lambda letter: letter.entry.record.timestamp, reverse=True)


def _check_names(selection: DeadLetterFilter, letters: Sequence[DeadLetterEntry]) -> None:
    """Raise Mistake for a group or type that no dead letter has: the filter would silently match nothing."""
    if selection.group is not None and all(letter.group != selection.group for letter in letters):
        raise Mistake(f"--group: no group {selection.group!r}; see `ensemble dead-letters group --all`")
    types = {kind.__name__ for kind in application().catalogue.message_types()} | {letter.type for letter in letters}
    if selection.type is not None and selection.type not in types:
        raise Mistake(f"--type: no message type {selection.type!r}; types are {', '.join(sorted(types))}")


def list_dead_letters(access: ClusterClient, selection: DeadLetterFilter, limit: int) -> list[dict[str, Any]]:
    """Return the newest dead letters, one row each."""
    return [summary(letter) for letter in find_dead_letters(access, selection)[:limit]]


def groups(access: ClusterClient, selection: DeadLetterFilter) -> list[dict[str, Any]]:
    """Return the groups by cause, one row each."""
    noted = read_notes(access)
    rows = [group.document(noted.get(group.id)) for group in group_by_cause(find_dead_letters(access, selection))]
    return [{**row, "oldest": rfc3339(row["oldest"]), "newest": rfc3339(row["newest"])} for row in rows]


def group_of(access: ClusterClient, name: str) -> Group:
    """Return the group called `name`, whatever became of its dead letters. Raises Mistake if there is none."""
    for group in group_by_cause(find_dead_letters(access, DeadLetterFilter(open_only=False))):
        if group.id == name:
            return group
    raise Mistake(f"GROUP: no group {name!r}; see `ensemble dead-letters group --all`")


def dead_letter_at(access: ClusterClient, place: str) -> DeadLetterEntry:
    """Return the dead letter at TOPIC/PARTITION/OFFSET. Raises Mistake if there is none."""
    topic, partition, offset = _parsed(place)
    if (count := access.topics().get(topic, 0)) <= partition:
        raise Mistake(f"DEAD_LETTER: {topic} has no partition {partition}" if count else _no_such(topic, access))
    place_of = (topic, partition)
    if access.starts([place_of])[place_of] <= offset < access.ends([place_of])[place_of]:
        for record in access.read_spans({place_of: range(offset, offset + 1)}):
            letter = DeadLetterEntry(entry_of(record))
            with LiveParkingStores(access, [letter.service]) as stores:
                return _with_fate(letter, stores)
    raise Mistake(f"DEAD_LETTER: no record at {place}; see `ensemble dead-letters list`")


def select_dead_letters(
    access: ClusterClient, places: Sequence[str], selection: DeadLetterFilter
) -> list[DeadLetterEntry]:
    """Return the dead letters at these places, or else those that match. Raises Mistake without either."""
    if places and not selection.is_everything:
        raise Mistake("DEAD_LETTER and filters exclude each other; give one of them")
    if places:
        return [dead_letter_at(access, place) for place in dict.fromkeys(places)]
    if selection.is_everything:
        raise Mistake("DEAD_LETTER: give places as `ensemble dead-letters list` shows them, --group, or another filter")
    return find_dead_letters(access, selection)


def summary(letter: DeadLetterEntry) -> dict[str, Any]:
    """Return the dead letter as one row."""
    return {
        "place": letter.place,
        "service": letter.service,
        "failed_at": rfc3339(letter.failed_at),
        "type": letter.type,
        "key": letter.key,
        "status": letter.fate.status,
        "behind": letter.fate.behind,
        "error": letter.error,
        "message": letter.message,
        "attempts": letter.attempts,
        "stage": letter.dead_letter.stage,
        "group": letter.group,
        "redriven": letter.generation,
        "by": letter.fate.by or None,
        "why": letter.fate.why or None,
        "decided_at": None if letter.fate.at is None else rfc3339(letter.fate.at),
    }


def describe(letter: DeadLetterEntry) -> dict[str, Any]:
    """Return everything about a dead letter, decoded by its own schema and by the current classes."""
    entry, value = letter.entry, letter.entry.record.value or b""
    return {
        **summary(letter),
        "came_from": "/".join(map(str, letter.dead_letter.origin)),
        "parking_key": letter.dead_letter.parking_name,
        "handler": letter.handler,
        "policy": letter.dead_letter.policy or None,
        "disposition": letter.dead_letter.disposition or None,
        "redriven_from": letter.dead_letter.lineage or None,
        "sender": entry.sender,
        "id": entry.id,
        **describe_readability(letter),
        "fields": dict(entry.fields) or None,
        "unreadable_because": entry.problem or None,
        "bytes": value[:_SHOWN_BYTES].hex() if entry.problem else None,
        "headers": {name: text.decode(errors="replace") for name, text in entry.record.headers.items()},
    }


def export_rows(letters: Iterable[DeadLetterEntry]) -> list[dict[str, Any]]:
    """Return everything about each dead letter, the original value as hexadecimal digits."""
    return [{**describe(letter), "bytes": (letter.entry.record.value or b"").hex()} for letter in letters]


def as_csv(letters: Iterable[DeadLetterEntry]) -> str:
    """Return one line for each dead letter, without structured columns. No spreadsheet takes a cell for a formula."""
    rows = [{**summary(letter), "bytes": (letter.entry.record.value or b"").hex()} for letter in letters]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    return escape_cell(value) if isinstance(value, str) else value


def _with_fate(letter: DeadLetterEntry, stores: LiveParkingStores) -> DeadLetterEntry:
    return replace(letter, fate=fate_of(letter, stores.store(letter.service, letter.partition)))


def _parsed(place: str) -> tuple[str, int, int]:
    parts = place.split("/")
    is_place = len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal()  # noqa: PLR2004  topic, partition, offset
    if not is_place or not parts[0].endswith(services.DEAD_LETTER):
        raise Mistake(
            f"DEAD_LETTER: {place!r} is no place of a dead letter, such as payment.dead-letter/2/0; "
            "`ensemble dead-letters list` shows them"
        )
    return parts[0], int(parts[1]), int(parts[2])


def _no_such(topic: str, access: ClusterClient) -> str:
    names = ", ".join(services.services_with(access, services.DEAD_LETTER))
    return f"DEAD_LETTER: there is no topic {topic}; services with dead letters are {names or 'none'}"
