"""Dead letters: what was given up, by whom, why, and what became of it; the bytes as far as they can be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from ensemble.clock import epoch_ms, moment_of
from ensemble.operations import service_topics
from ensemble.operations.dead_letter import DeadLetterEntry, Fate, fate_of
from ensemble.operations.dead_letter_filter import DeadLetterFilter, Group, group_by_cause
from ensemble.operations.errors import Invalid, NotFound
from ensemble.operations.failures import DeadLetterGroup, DeadLetterSummary, Failures, FailuresProjection
from ensemble.operations.group_notes import NoteOnGroup, read_notes
from ensemble.operations.parking_stores import LiveParkingStores
from ensemble.operations.positions import read_positions
from ensemble.operations.readability import describe_readability
from ensemble.operations.records import parse_position
from ensemble.operations.session import Session
from ensemble.operations.values import Position
from ensemble.operations.view import View


def find_dead_letters(session: Session, selection: DeadLetterFilter, view: View | None = None) -> list[DeadLetterEntry]:
    """Return the dead letters that match, newest first, with their bytes.

    Which match says a view with the failures, or else the topics; those records alone are read.
    """
    with failures_of(session, selection, view) as failures:
        summaries = failures.list(selection)
    records = read_positions(session, [summary.position for summary in summaries])
    entries = {entry.place: entry for entry in map(session.decode, records)}
    return [
        DeadLetterEntry(entries[str(summary.position)], _fate(summary))
        for summary in summaries
        if str(summary.position) in entries
    ]


def _fate(summary: DeadLetterSummary) -> Fate:
    by, why, at = summary.decided_by or "", summary.decided_because or "", summary.decided_at
    return Fate(summary.status, summary.waiting, by, why, None if at is None else epoch_ms(at))


def check_filter(
    session: Session, selection: DeadLetterFilter, groups: Collection[str], types: Collection[str]
) -> None:
    """Raise NotFound for a group, or a type, that neither these have nor the catalogue."""
    if selection.group is not None and selection.group not in groups:
        raise NotFound(f"no group {selection.group!r}", field="group_filter")
    types = {kind.__name__ for kind in session.application.catalogue.message_types()} | set(types)
    if selection.type is not None and selection.type not in types:
        raise NotFound(
            f"no message type {selection.type!r}", hint=f"types are {', '.join(sorted(types))}", field="type_filter"
        )


class GroupSummary(DeadLetterGroup):
    """The dead letters of one cause, with the note that an operator has left."""

    note: NoteOnGroup | None


class DeadLetterDetails(DeadLetterSummary):
    """Everything about a dead letter, decoded by its own schema and by the current classes."""

    policy: str
    disposition: str
    redriven_from: tuple[str, ...]
    """Where it was a dead letter before, and was redriven from."""
    sender: str
    message_id: str
    written_as: str | None
    """Name and version of the schema that it was written with."""
    reads_today: str
    """Yes, or why the current class cannot read it."""
    fields: Mapping[str, Any]
    unreadable_because: str
    value: bytes
    """As it was given up."""
    headers: Mapping[str, str]


def list_dead_letters(
    session: Session, selection: DeadLetterFilter, limit: int, view: View | None = None
) -> tuple[DeadLetterSummary, ...]:
    """Return the newest dead letters, from a view with the failures, or else from the topics."""
    with failures_of(session, selection, view) as failures:
        return failures.list(selection, limit)


def list_groups(session: Session, selection: DeadLetterFilter, view: View | None = None) -> tuple[GroupSummary, ...]:
    """Return the groups by cause, like `list_dead_letters`."""
    with failures_of(session, selection, view) as failures:
        causes = failures.groups(selection)
    notes = read_notes(session)
    return tuple(GroupSummary(**cause.model_dump(), note=notes.get(cause.group)) for cause in causes)


@contextmanager
def failures_of(session: Session, selection: DeadLetterFilter, view: View | None) -> Iterator[Failures]:
    """Give the failures of a view. Raises NotFound for a service, group or type that there is not."""
    service_topics.service_names(session, selection.service)
    with session.view(FailuresProjection(session.decoder), what="dead letters", view=view) as synced:
        failures = Failures(synced)
        check_filter(session, selection, failures.causes(), failures.types())
        yield failures


def find_group(session: Session, name: str) -> Group:
    """Return the group called `name`, whatever became of its dead letters. Raises NotFound if there is none."""
    for group in group_by_cause(find_dead_letters(session, DeadLetterFilter(open_only=False))):
        if group.id == name:
            return group
    raise NotFound(f"no group {name!r}", field="group")


def find_dead_letter(session: Session, place: str) -> DeadLetterEntry:
    """Return the dead letter at TOPIC/PARTITION/OFFSET. Raises NotFound if there is none."""
    position = position_of(place)
    topic, partition, offset = position.topic, position.partition, position.offset
    if (count := session.client.topics().get(topic, 0)) <= partition:
        raise NotFound(
            f"{topic} has no partition {partition}" if count else _no_such(topic, session), field="dead_letter"
        )
    place_of = (topic, partition)
    if session.client.starts([place_of])[place_of] <= offset < session.client.ends([place_of])[place_of]:
        for record in session.client.read_spans({place_of: range(offset, offset + 1)}):
            letter = DeadLetterEntry(session.decode(record))
            with LiveParkingStores(session, [letter.service]) as stores:
                return _with_fate(letter, stores)
    raise NotFound(f"no record at {place}", field="dead_letter")


def summary_of(letter: DeadLetterEntry) -> DeadLetterSummary:
    """Return the dead letter as a view has it."""
    record, fate = letter.entry.record, letter.fate
    topic, partition, offset = letter.dead_letter.origin
    return DeadLetterSummary(
        position=Position(topic=record.topic, partition=record.partition, offset=record.offset),
        service=letter.service, origin=Position(topic=topic, partition=partition, offset=offset), type=letter.type,
        key=letter.key, parking_key=letter.dead_letter.parking_name, failed_at=moment_of(letter.failed_at),
        status=fate.status, waiting=fate.behind, error=letter.error, message=letter.message, handler=letter.handler,
        stage=letter.dead_letter.stage, attempts=letter.attempts, generation=letter.generation, group=letter.group,
        decided_by=fate.by or None, decided_because=fate.why or None, decided_at=moment_of(fate.at),
    )  # fmt: skip


def describe_dead_letter(session: Session, letter: DeadLetterEntry) -> DeadLetterDetails:
    """Return everything about a dead letter."""
    entry = letter.entry
    return DeadLetterDetails(
        **dict(summary_of(letter)),
        policy=letter.dead_letter.policy,
        disposition=letter.dead_letter.disposition,
        redriven_from=letter.dead_letter.lineage,
        sender=entry.sender,
        message_id=entry.id,
        **describe_readability(session, letter),
        fields=dict(entry.fields),
        unreadable_because=entry.problem or "",
        value=entry.record.value or b"",
        headers={name: text.decode(errors="replace") for name, text in entry.record.headers.items()},
    )


def _with_fate(letter: DeadLetterEntry, stores: LiveParkingStores) -> DeadLetterEntry:
    return replace(letter, fate=fate_of(letter, stores.store(letter.service, letter.partition)))


def position_of(place: str) -> Position:
    """Return the position TOPIC/PARTITION/OFFSET. Raises Invalid unless it may be one of a dead letter."""
    with suppress(Invalid):
        position = parse_position(place)
        if position.topic.endswith(service_topics.DEAD_LETTER):
            return position
    raise Invalid(f"{place!r} is no place of a dead letter, such as payment.dead-letter/2/0", field="dead_letter")


def _no_such(topic: str, session: Session) -> str:
    names = ", ".join(service_topics.services_with(session, service_topics.DEAD_LETTER))
    return f"there is no topic {topic}; services with dead letters are {names or 'none'}"
