"""Results of operators' questions as the rows and documents that commands print."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from ensemble.clock import epoch_ms, rfc3339
from ensemble.command_line.documents import (
    DeadLetterGroupRow,
    DeadLetterRow,
    GroupNote,
    IncidentRow,
    PauseRow,
    PermissionRow,
    TopicRow,
)
from ensemble.command_line.record_documents import DeadLetterDocument
from ensemble.operations import (
    DeadLetterDetails,
    DeadLetterEntry,
    DeadLetterSummary,
    GroupSummary,
    Incident,
    PauseSummary,
    PermissionSummary,
    Session,
    TopicSummary,
    describe_dead_letter,
)

_SHOWN_BYTES: Final = 2_000
Row = dict[str, Any]


def time_text(moment: datetime | None) -> str | None:
    """Return a time as rows have it: in UTC, to the millisecond."""
    return None if moment is None else rfc3339(epoch_ms(moment))


def dead_letter_row(letter: DeadLetterSummary) -> Row:
    """Return a dead letter as one row."""
    return DeadLetterRow(
        place=str(letter.position), service=letter.service, failed_at=time_text(letter.failed_at), type=letter.type,
        key=letter.key, status=letter.status, behind=letter.waiting, error=letter.error, message=letter.message,
        attempts=letter.attempts, stage=letter.stage, group=letter.group, redriven=letter.generation,
        by=letter.decided_by, why=letter.decided_because, decided_at=time_text(letter.decided_at),
    ).model_dump()  # fmt: skip


def dead_letter_document(letter: DeadLetterDetails) -> Row:
    """Return everything about a dead letter; its bytes only if they cannot be read."""
    return DeadLetterDocument(
        **dead_letter_row(letter),
        came_from=str(letter.origin),
        parking_key=letter.parking_key,
        handler=letter.handler,
        policy=letter.policy or None,
        disposition=letter.disposition or None,
        redriven_from=list(letter.redriven_from) or None,
        sender=letter.sender,
        id=letter.message_id,
        written_as=letter.written_as,
        reads_today=letter.reads_today,
        fields=dict(letter.fields) or None,
        unreadable_because=letter.unreadable_because or None,
        bytes=letter.value[:_SHOWN_BYTES].hex() if letter.unreadable_because else None,
        headers=dict(letter.headers),
    ).model_dump()


def export_documents(session: Session, letters: Iterable[DeadLetterEntry]) -> list[Row]:
    """Return everything about each dead letter, the original value as hexadecimal digits."""
    details = (describe_dead_letter(session, letter) for letter in letters)
    return [{**dead_letter_document(each), "bytes": each.value.hex()} for each in details]


def group_row(group: GroupSummary) -> Row:
    """Return a group of dead letters as one row."""
    note = group.note and GroupNote(text=group.note.text, by=group.note.by, at=time_text(group.note.at))
    times = {"oldest": time_text(group.oldest), "newest": time_text(group.newest)}
    return DeadLetterGroupRow(**{**dict(group), **times, "note": note}).model_dump()


def incident_row(incident: Incident, at: int) -> Row:
    """Return an incident as one row; one that is open lasts until `at`."""
    began = at if incident.opened_at is None else epoch_ms(incident.opened_at)
    return IncidentRow(
        incident=incident.incident_id, service=incident.service, handler=incident.handler, cause=incident.cause,
        failures=incident.failures, opened=rfc3339(began), closed=time_text(incident.closed_at),
        lasted_ms=(at if incident.closed_at is None else epoch_ms(incident.closed_at)) - began,
    ).model_dump()  # fmt: skip


def pause_row(pause: PauseSummary) -> Row:
    """Return a pause as one row."""
    return PauseRow(
        scope=pause.scope, name=pause.name, since=time_text(pause.since), by=pause.requested_by, reason=pause.reason,
        known_to={each.service: f"{each.acknowledged} of {each.partitions}" for each in pause.services},
        everywhere=pause.everywhere,
    ).model_dump()  # fmt: skip


def topic_row(topic: TopicSummary) -> Row:
    """Return a topic as one row."""
    return TopicRow(
        topic=topic.topic, owner=topic.owner, key=topic.key, partitions=topic.partitions, cleanup=topic.cleanup,
        retention="latest per key" if topic.cleanup == "compact" else _duration(topic.retention),
        status=f"wrong: {topic.detail}" if topic.status == "wrong" else topic.status, advice=topic.advice or None,
    ).model_dump()  # fmt: skip


def _duration(time: timedelta | None) -> str:
    if time is None:
        return "for ever"
    return f"{time.days} days" if time.days else f"{time.total_seconds():g} s"


def permission_row(permission: PermissionSummary) -> Row:
    """Return a permission as one row, without a state if the cluster was not asked."""
    return PermissionRow(**dict(permission)).model_dump(exclude_none=True)
