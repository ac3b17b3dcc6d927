"""Notes on groups of dead letters: kept on a topic, by whom and when."""

from __future__ import annotations

from datetime import datetime

from ensemble.clock import moment_of
from ensemble.messages import encoder_for, schemas_of
from ensemble.operations.intent import Intent
from ensemble.operations.outgoing import headers_of
from ensemble.operations.session import Session
from ensemble.operations.values import Result
from ensemble.service import NOTES
from ensemble.system_messages import GroupNote


class NoteOnGroup(Result):
    """What an operator has noted about a group of dead letters."""

    text: str
    by: str
    at: datetime | None


def read_notes(session: Session) -> dict[str, NoteOnGroup]:
    """Return the notes by group."""
    if NOTES.name not in session.client.topics():
        return {}
    by_group: dict[str, NoteOnGroup] = {}
    for record in session.client.read(session.client.places([NOTES.name])):
        entry = session.decode(record)
        by_group.pop(entry.key, None)
        if entry.type == "GroupNote":
            text, by = entry.fields["note"], entry.fields["requested_by"]
            by_group[entry.key] = NoteOnGroup(text=text, by=by, at=moment_of(entry.fields["at"]))
    return by_group


def put_note(session: Session, group: str, intent: Intent) -> None:
    """Write the operator's note, which replaces the previous one. The topic must exist."""
    session.client.places([NOTES.name])
    operation = intent.operation()
    note = GroupNote(note=operation.pop("reason"), **operation)
    value = encoder_for(GroupNote, session.sources.source_for(NOTES.name, schemas_of(GroupNote)))(note)
    headers = headers_of(note, operation["operation_id"], intent.actor.via)
    session.client.publish(NOTES.name, group.encode(), value, headers)
