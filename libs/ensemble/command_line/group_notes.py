"""Notes on groups of dead letters: kept on a topic, by whom and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ensemble.clock import rfc3339
from ensemble.command_line.connection import sources
from ensemble.command_line.entries import entry_of
from ensemble.command_line.operators import Operator
from ensemble.command_line.publishing import headers_of
from ensemble.messages import encoder_for, schemas_of
from ensemble.service import NOTES
from ensemble.system_messages import GroupNote

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


def read_notes(access: ClusterClient) -> dict[str, dict[str, Any]]:
    """Return the notes by group."""
    if NOTES.name not in access.topics():
        return {}
    by_group: dict[str, dict[str, Any]] = {}
    for record in access.read(access.places([NOTES.name])):
        entry = entry_of(record)
        by_group.pop(entry.key, None)
        if entry.type == "GroupNote":
            at = rfc3339(entry.fields["at"])
            by_group[entry.key] = {"text": entry.fields["note"], "by": entry.fields["requested_by"], "at": at}
    return by_group


def put_note(access: ClusterClient, group: str, operator: Operator) -> None:
    """Write the operator's note, which replaces the previous one. The topic must exist."""
    access.places([NOTES.name])
    operation = operator.operation()
    note = GroupNote(note=operation.pop("reason"), **operation)
    value = encoder_for(GroupNote, sources().source_for(NOTES.name, schemas_of(GroupNote)))(note)
    access.publish(NOTES.name, group.encode(), value, headers_of(note, operation["operation_id"]))
