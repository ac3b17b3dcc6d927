"""What commands print as JSON of failures, pauses, runs and set-up: models, so that it has a schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ensemble.operations import PermissionSummary

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Fields = dict[str, Any]


class Document(BaseModel):
    """A row or a document of a command's result. It has exactly these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeadLetterRow(Document):
    """A dead letter, as `dead-letters list` prints it."""

    place: str = Field(description="TOPIC/PARTITION/OFFSET, as other commands take it.")
    service: str
    failed_at: Time | None
    type: str
    key: str
    status: Literal["parked", "retrying", "skipped", "redriven", "discarded", "closed", "gone"]
    behind: int = Field(description="Records of its key that wait behind it.")
    error: str
    message: str
    attempts: int | None
    stage: str
    group: str
    redriven: int
    by: str | None
    why: str | None
    decided_at: Time | None


class GroupNote(Document):
    """What somebody has noted about a group of dead letters."""

    text: str
    by: str
    at: Time | None


class DeadLetterGroupRow(Document):
    """Dead letters of one cause."""

    group: str
    service: str
    handler: str
    error: str
    message: str
    count: int
    open: int
    oldest: Time | None
    newest: Time | None
    note: GroupNote | None


class NotedGroup(Document):
    """A group of dead letters with the note that was put."""

    group: str
    count: int
    note: str
    by: str


class RedriveOutcomeRow(Document):
    """What became of a record that was redriven or discarded."""

    place: str
    type: str | None
    key: str | None
    outcome: str
    words: str | None
    operation_id: str | None


class RedrivePreviewRow(Document):
    """What would be done with a record."""

    place: str
    service: str | None
    type: str | None
    key: str | None
    error: str | None
    behind: int | None
    would: str


class RehearsalRow(Document):
    """What redriving a record would do."""

    place: str
    type: str | None
    key: str | None
    reads_today: str | None
    handler: str | None
    happened: str
    would: str
    puts_out: list[str]
    changes: list[str]
    stops_at: list[str]
    fails_with: str | None
    left_parked: int | None


class ParkedKeyRow(Document):
    """A key whose records wait, as `parked list` prints it."""

    service: str
    key: str
    status: Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"]
    depth: int = Field(description="Records that wait, the first one included.")
    since: Time
    age_ms: int
    head: str
    attempts: int
    next_try: Time | None
    waits_for: str | None
    error: str | None
    message: str | None
    handler: str | None
    policy: str | None
    partition: int


class ParkedRecordRow(Document):
    """A record that waits under a key."""

    came_from: str
    type: str
    id: str
    parked_at: Time
    edited: bool
    fields: Fields | None
    unreadable_because: str | None


class ParkedKeyDocument(ParkedKeyRow):
    """A key and its records, in the order in which they will be handled."""

    records: list[ParkedRecordRow]


class IncidentRow(Document):
    """An outage as its service has reported it."""

    incident: str
    service: str
    handler: str
    cause: str
    failures: int | None
    opened: Time
    closed: Time | None
    lasted_ms: int


class PauseRow(Document):
    """A pause of a step, a command type or a service."""

    scope: Literal["step", "command", "service"]
    name: str
    since: Time | None
    by: str
    reason: str
    known_to: dict[str, str]
    everywhere: bool


class PauseReach(Document):
    """The partitions of a service that would be told of a pause."""

    service: str
    partitions: list[int]


class PausePreview(Document):
    """What would be told of a pause, or of its end."""

    what: str
    services: list[PauseReach]


class PauseAnswer(Document):
    """How many partitions of a service have acknowledged a pause, or its end."""

    service: str
    acknowledged: int
    partitions: int
    missing: list[int]
    words: str | None


class PauseOutcome(Document):
    """What became of a pause, or of its end."""

    what: str
    services: list[PauseAnswer]


class SubmittedRow(Document):
    """What was submitted and not waited for."""

    name: str
    outcome: Literal["submitted"] = "submitted"


class SettingRow(Document):
    """A setting in force."""

    variable: str
    value: Any
    source: str


class ProfileRow(Document):
    """A profile of the user."""

    profile: str
    cluster: str
    current: bool


class RunRow(Document):
    """A command that acts in waves on this machine."""

    id: str
    what: str
    cluster: str
    by: str
    reason: str
    pid: int
    started_at: Time
    total: int
    succeeded: int
    failed: int
    state: Literal["running", "stopped", "finished", "interrupted"]


class TopicRow(Document):
    """A topic of the catalogue, compared with the cluster's."""

    topic: str
    owner: str
    key: str | None
    partitions: int
    cleanup: str
    retention: str
    status: str
    advice: str | None


class PermissionRow(PermissionSummary):
    """A permission that a service needs."""

    model_config = ConfigDict(extra="forbid")
