"""What commands print as JSON of single records, and of what a plan would do with a group's offsets."""

from __future__ import annotations

from pydantic import Field

from ensemble.command_line.documents import DeadLetterRow, Document, Fields, Time
from ensemble.operations import SkippedFate


class RecordDocument(Document):
    """A record as `tail` prints it, one a line."""

    topic: str
    partition: int
    offset: int
    time: Time
    key: str
    type: str
    kind: str
    sender: str
    id: str
    causation_id: str | None
    correlation_id: str | None
    trace_id: str | None
    fields: Fields
    problem: str | None = None
    """Why the record cannot be read; there only if it cannot."""


class DeadLetterDocument(DeadLetterRow):
    """Everything about a dead letter."""

    came_from: str
    parking_key: str | None
    handler: str | None
    policy: str | None
    disposition: str | None
    redriven_from: list[str] | None
    sender: str
    id: str
    written_as: str | None
    reads_today: str
    fields: Fields | None
    unreadable_because: str | None
    bytes: str | None
    headers: dict[str, str]


class OffsetMoveRow(Document):
    """An offset of a group, before and after."""

    topic: str
    partition: int
    committed: int | None
    offset: int
    log_start: int
    log_end: int
    effect: str
    removed: int = Field(description="Offsets that retention has removed unread.")
    passed: int = Field(description="Offsets that are never read.")
    read_again: int


class SkippedRecordRow(OffsetMoveRow):
    """The same for one record that is passed, and what becomes of it."""

    record: str
    fate: SkippedFate
