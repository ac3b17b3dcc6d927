"""What failed: dead letters and their causes, parked keys, incidents; and what operators had done about it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, ConfigDict

from backoffice.order_document import hide_secrets
from ensemble.escaping import refuse_controls
from ensemble.operations import (
    Actor,
    Audit,
    AuditEntry,
    AuditFilter,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterSummary,
    Failures,
    Incident,
    Intent,
    Invalid,
    NoteOnGroup,
    NotFound,
    ParkedKeySummary,
    ParkedStatus,
    Position,
    Reason,
    Result,
    WorkPause,
    describe_dead_letter,
    find_dead_letter,
    put_note,
    read_notes,
)
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import (
    Cursor,
    Limit,
    Offset,
    PartitionNumber,
    RoomWithView,
    ServiceName,
    Since,
    Text,
    TopicName,
    problems,
    require_kafka,
    since_ms,
)
from services.control_room.control_room import VIA, Room

router = APIRouter(tags=["failures"], responses=problems(HTTPStatus.NOT_FOUND))

OpenOnly = Annotated[bool, Query(description="Only what an operator may still decide on.")]


class DeadLetterPage(Result):
    """Some dead letters, and what the next page is asked for with; nothing if there is none."""

    dead_letters: tuple[DeadLetterSummary, ...]
    next: str | None


class DeadLetterRecord(Result):
    """What a dead letter holds, as far as it can be read: `reads_today` says whether its service could read it."""

    position: Position
    type: str
    came_from: str
    policy: str | None
    disposition: str | None
    redriven_from: tuple[str, ...] | None
    sender: str
    id: str
    written_as: str | None
    reads_today: str
    fields: dict[str, Any] | None
    unreadable_because: str | None
    headers: dict[str, str]


@router.get("/dead-letters")
def list_dead_letters(  # noqa: PLR0913  one for each part of the filter
    room: RoomWithView,
    *,
    service: ServiceName = None,
    type: Text = None,  # noqa: A002  as the field of a dead letter is called
    error: Text = None,
    group: Text = None,
    key: Text = None,
    since: Since = None,
    open_only: OpenOnly = True,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeadLetterPage:
    """Return the dead letters that match, the newest first."""
    which = DeadLetterFilter(
        service=service,
        type=type,
        error=error,
        group=group,
        key=key,
        since=since_ms(since, "since") or None,
        open_only=open_only,
    )
    start = _parse_cursor(cursor)
    letters = Failures(room.view).list(which, limit + 1, start)
    return DeadLetterPage(dead_letters=letters[:limit], next=str(start + limit) if len(letters) > limit else None)


@router.get("/dead-letters/groups")
def group_dead_letters(
    room: RoomWithView, *, service: ServiceName = None, open_only: OpenOnly = True
) -> tuple[DeadLetterGroup, ...]:
    """Return the causes of dead letters, the one with most first."""
    return Failures(room.view).groups(DeadLetterFilter(service=service, open_only=open_only))


class Note(Result):
    """What an operator has noted about the dead letters of one cause."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[Reason, AfterValidator(refuse_controls)]


@router.get("/dead-letters/notes")
def list_notes(room: Room) -> dict[str, NoteOnGroup]:
    """Return the latest note of each group, and who has written it when."""
    require_kafka(room)
    return read_notes(room.session)


@router.put("/dead-letters/groups/{group}/note", status_code=HTTPStatus.NO_CONTENT)
def put_group_note(
    room: RoomWithView, person: ActingPerson, group: Annotated[str, Path(max_length=64)], note: Note
) -> None:
    """Note something about the dead letters of one cause, in place of what was noted before."""
    require_kafka(room)
    if group not in Failures(room.view).causes():
        raise NotFound(f"no group {group!r}", hint="the list of groups shows all", field="group")
    put_note(room.session, group, Intent(actor=Actor(name=person.name, via=VIA), reason=note.text))


@router.get("/dead-letters/{topic}/{partition}/{offset}")
def get_dead_letter(
    room: RoomWithView,
    topic: TopicName,
    partition: PartitionNumber,
    offset: Offset,
) -> DeadLetterSummary:
    """Return the dead letter at a place."""
    return Failures(room.view).get(Position(topic=topic, partition=partition, offset=offset))


@router.get("/dead-letters/{topic}/{partition}/{offset}/record")
def get_record(room: RoomWithView, topic: TopicName, partition: PartitionNumber, offset: Offset) -> DeadLetterRecord:
    """Return what a dead letter holds: the fields, of which an edit takes all, and the headers. Secrets are hidden."""
    require_kafka(room)
    position = Position(topic=topic, partition=partition, offset=offset)
    details = describe_dead_letter(room.session, find_dead_letter(room.session, str(position)))
    return DeadLetterRecord(
        position=position, type=details.type, came_from=str(details.origin), policy=details.policy or None,
        disposition=details.disposition or None, redriven_from=details.redriven_from or None, sender=details.sender,
        id=details.message_id, written_as=details.written_as, reads_today=details.reads_today,
        fields=hide_secrets(details.fields) or None, unreadable_because=details.unreadable_because or None,
        headers=dict(details.headers),
    )  # fmt: skip


@router.get("/parked-keys")
def list_parked_keys(
    room: RoomWithView,
    *,
    service: ServiceName = None,
    status: Annotated[ParkedStatus | None, Query()] = None,
    key: Text = None,
) -> tuple[ParkedKeySummary, ...]:
    """Return the keys whose records wait behind one that failed, the oldest first."""
    return Failures(room.view).parked(service, status, key)


@router.get("/pauses")
def list_pauses(room: RoomWithView) -> tuple[WorkPause, ...]:
    """Return every pause of a step, a command type or a service, with how many partitions know it."""
    return Audit(room.view).pauses()


@router.get("/incidents")
def list_incidents(
    room: RoomWithView, *, service: ServiceName = None, open_only: OpenOnly = True
) -> tuple[Incident, ...]:
    """Return the outages of handlers, the newest first."""
    return Audit(room.view).incidents(service, open_only=open_only)


@router.get("/audit")
def list_audit(
    room: RoomWithView,
    *,
    service: ServiceName = None,
    by: Text = None,
    target: Text = None,
    since: Since = None,
    limit: Limit = 100,
) -> tuple[AuditEntry, ...]:
    """Return what operators have had done, the newest first."""
    which = AuditFilter(since=since_ms(since, "since"), requested_by=by, service=service, target=target)
    return Audit(room.view).list(limit, which)


def _parse_cursor(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 15:  # noqa: PLR2004  more than any topic holds
        raise Invalid(f"{text!r} is no place to go on from", hint="give the `next` of a page", field="cursor")
    return int(text)
