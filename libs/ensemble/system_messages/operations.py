"""Operators' commands to a service, on `<service>.control`, and its answers, on `<service>.operations`.

Every command says which operator asks for it and why; the same `operation_id` again changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from ensemble.messages.fields import Int32, Int64, Millis
from ensemble.messages.message import Command, Event
from ensemble.messages.records import MAX_KEY_BYTES
from ensemble.system_messages.state import SCHEMAS, RecordHeader

MAX_NAME: Final = 300
Name = Annotated[str, Field(max_length=MAX_NAME)]
Scope = Literal["service", "step", "command"]
"""What a pause is wide enough for: a whole service, a step of a saga, or a command type."""


class Operation(Command):
    """The fields that all operators' commands share."""

    operation_id: Name
    requested_by: Annotated[str, Field(max_length=500)]
    reason: Annotated[str, Field(max_length=2_000)]
    at: Millis


class PauseWork(Operation, schemas=SCHEMAS):
    """Stops new work of a kind, in this partition."""

    scope: Scope
    name: Name


class ResumeWork(Operation, schemas=SCHEMAS):
    """Ends a pause, in this partition."""

    scope: Scope
    name: Name


class RecordOperation(Operation):
    """Names one dead-lettered or parked record: where it was consumed from, and how often it was redriven."""

    parking_key: Annotated[str, Field(max_length=4 * MAX_KEY_BYTES)]
    topic: Name
    partition: Int32
    offset: Int64
    generation: Int32

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the dead letter lies."""
        return self.topic, self.partition, self.offset


class RedriveRecord(RecordOperation, schemas=SCHEMAS):
    """Has a record tried again, as it was or edited."""

    key: bytes | None
    value: bytes | None
    headers: tuple[RecordHeader, ...]
    edited: bytes | None = None
    redriven_from: Name = ""


class DiscardRecord(RecordOperation, schemas=SCHEMAS):
    """Discards a record: what waits behind it goes on."""

    key: bytes | None


class SetOffset(Operation, schemas=SCHEMAS):
    """Says that the group's offset of a partition was set, in the transaction that has set it."""

    topic: Name
    partition: Int32
    before: Int64 | None
    offset: Int64


class OperationDone(Event, schemas=SCHEMAS):
    """One partition has carried a command out, or refused it for a reason."""

    operation_id: str
    service: str
    partition: Int32
    operation: str
    outcome: Literal["done", "nothing_to_do", "refused"]
    words: str = ""
    at: Millis


class IncidentOpened(Event, schemas=SCHEMAS):
    """A handler failed so often for one cause that its service stops trying it, except for a probe now and then."""

    incident_id: str
    service: str
    handler: str
    cause: str
    failures: Int32
    at: Millis


class IncidentClosed(Event, schemas=SCHEMAS):
    """The handler works again."""

    incident_id: str
    service: str
    handler: str
    cause: str
    since: Millis
    at: Millis


IN_FLIGHT: Final = "it is in flight; wait until its handler comes back, or discard it"
"""Why a redrive is refused whose record is being tried right now."""
OPERATORS_IDS: Final = "ensemble-cli-"
"""What the transactional ids of operators begin with."""
COMMANDS: Final = (PauseWork, ResumeWork, RedriveRecord, DiscardRecord, SetOffset)
"""What operators may command a service, on its `<service>.control`."""
EVENTS: Final = (OperationDone, IncidentOpened, IncidentClosed)
"""What a service tells operators, on its `<service>.operations`."""
