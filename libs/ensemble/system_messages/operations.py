"""Operators' commands to a service, on `<service>.control`, and its answers, on `<service>.operations`.

Every command says which operator asks for it and why; the same `operation_id` again changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from ensemble.messages.fields import AvroEnum, Int32, Int64, Millis
from ensemble.messages.message import Command, Event
from ensemble.messages.records import MAX_KEY_BYTES
from ensemble.system_messages.state import SCHEMAS, RecordHeader

MAX_NAME: Final = 300
Name = Annotated[str, Field(max_length=MAX_NAME)]
Scope = Annotated[Literal["service", "step", "command"], AvroEnum("PauseScope")]
"""What a pause is wide enough for: a whole service, a step of a saga, or a command type."""


class Operation(Command):
    """The fields that all operators' commands share."""

    operation_id: Name
    """Names the operation; the same again changes nothing."""
    requested_by: Annotated[str, Field(max_length=500)]
    """Who."""
    reason: Annotated[str, Field(max_length=2_000)]
    """Why."""
    at: Millis
    """When it was asked for."""


class PauseWork(Operation, schemas=SCHEMAS):
    """Stops new work of a kind, in this partition."""

    scope: Scope
    """A whole service, a step of a saga, or a type of command."""
    name: Name
    """Its name."""


class ResumeWork(Operation, schemas=SCHEMAS):
    """Ends a pause, in this partition."""

    scope: Scope
    """A whole service, a step of a saga, or a type of command."""
    name: Name
    """Its name."""


class RecordOperation(Operation):
    """Names one dead-lettered or parked record: where it was consumed from, and how often it was redriven."""

    parking_key: Annotated[str, Field(max_length=4 * MAX_KEY_BYTES)]
    """The key that it was, or would be, parked under."""
    topic: Name
    """Where the record was consumed from."""
    partition: Int32
    """Its partition there."""
    offset: Int64
    """Its offset there; -1 for a timer."""
    generation: Int32
    """How often it had been redriven before it was given up."""

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the record was consumed from."""
        return self.topic, self.partition, self.offset


class RedriveRecord(RecordOperation, schemas=SCHEMAS):
    """Has a record tried again, as it was or edited."""

    key: bytes | None
    """The record's key."""
    value: bytes | None
    """The record's value, byte by byte."""
    headers: tuple[RecordHeader, ...]
    """The record's own headers."""
    edited: bytes | None = None
    """The value to take instead; null: as it was."""
    redriven_from: Name = ""
    """The dead letter, as topic/partition/offset; empty: none was written."""


class DiscardRecord(RecordOperation, schemas=SCHEMAS):
    """Discards a record: what waits behind it goes on."""

    key: bytes | None
    """The record's key."""


class SetOffset(Operation, schemas=SCHEMAS):
    """Says that the group's offset of a partition was set, in the transaction that has set it."""

    topic: Name
    """The input whose offset was set."""
    partition: Int32
    """Its partition."""
    before: Int64 | None
    """The offset that was committed before; null if there was none."""
    offset: Int64
    """The offset that the service reads on from."""


class OperationDone(Event, schemas=SCHEMAS):
    """One partition has carried a command out, or refused it for a reason."""

    operation_id: str
    """The operator's command."""
    service: str
    """Who answers."""
    partition: Int32
    """For which of its partitions."""
    operation: str
    """The command's type."""
    outcome: Annotated[Literal["done", "nothing_to_do", "refused"], AvroEnum("OperationOutcome")]
    """How it went."""
    words: str = ""
    """In words."""
    at: Millis
    """When."""


class IncidentOpened(Event, schemas=SCHEMAS):
    """A handler failed so often for one cause that its service stops trying it, except for a probe now and then."""

    incident_id: str
    """Names the incident."""
    service: str
    """Whose."""
    handler: str
    """The handler that fails."""
    cause: str
    """The error that all failures share."""
    failures: Int32
    """How often in a row."""
    at: Millis
    """When."""


class IncidentClosed(Event, schemas=SCHEMAS):
    """The handler works again."""

    incident_id: str
    """Names the incident."""
    service: str
    """Whose."""
    handler: str
    """The handler that fails."""
    cause: str
    """The error that all failures share."""
    since: Millis
    """When it was opened."""
    at: Millis
    """When."""


IN_FLIGHT: Final = "it is in flight; wait until its handler comes back, or discard it"
"""Why a redrive is refused whose record is being tried right now."""
OPERATORS_IDS: Final = "ensemble-cli-"
"""What the transactional ids of operators begin with."""
COMMANDS: Final = (PauseWork, ResumeWork, RedriveRecord, DiscardRecord, SetOffset)
"""What operators may command a service, on its `<service>.control`."""
EVENTS: Final = (OperationDone, IncidentOpened, IncidentClosed)
"""What a service tells operators, on its `<service>.operations`."""
