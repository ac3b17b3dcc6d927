"""The runtime's own state: timers, seen ids, snapshot positions, parked records, pauses, resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from ensemble.messages.fields import AvroEnum, Int32, Int64, Millis
from ensemble.messages.message import NestedRecord, State
from ensemble.messages.records import Headers, RecordPlace, StoredRecord
from ensemble.messages.schema_set import SchemaSet

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas", "ensemble")
"""The schemas of what the runtime itself writes."""


class Timer(State, schemas=SCHEMAS):
    """A durable timer. Its key is `<key>/<name>`; it is gone (a tombstone) once fired or cancelled."""

    due_at: Millis
    """When it falls due."""
    payload: str = ""
    """Whatever its owner wants back."""
    correlation_id: str = ""
    """Correlation id of the message that set it."""
    trace: str = ""
    """Trace id of the message that set it, 32 hex digits."""


class SeenMessage(State, schemas=SCHEMAS):
    """A message that was handled. Its key says which: the window makes it."""

    at: Millis
    """When it was taken in."""


class LedgerPosition(State, schemas=SCHEMAS):
    """A snapshot of a key holds all its facts up to `sequence`; later ones lie at or behind `offset` of the ledger."""

    sequence: Int64
    """Sequence number of the last fact in the snapshot."""
    offset: Int64
    """Offset in the ledger to read on from."""


ParkedStatus = Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"]
"""What the records of a parked key wait for."""


class RecordHeader(NestedRecord):
    """One header of a consumed record."""

    name: str
    value: bytes | None


@dataclass(frozen=True)
class AttemptFailure:
    """A failed attempt, as a parked key remembers it."""

    error: str
    reason: str
    handler: str
    policy: str
    at: Millis


class ParkedKey(State, schemas=SCHEMAS):
    """Why a parking key is parked, and until when. Its key is `key/<parking key>`."""

    status: Annotated[ParkedStatus, AvroEnum("ParkedStatus")]
    """Retrying: at `due_at`. Dead-lettered, paused: until somebody says so. In flight: a call is under way. Outage:
    until its handler works again.
    """
    first: Int64
    """Number of the head, the record that has to succeed first."""
    next: Int64
    """Number that the next record to wait here gets."""
    since: Millis
    """When the key was parked."""
    due_at: Millis | None = None
    """When the head is tried again; null: not by itself."""
    attempts: Int32 = 0
    """How often the head was tried."""
    first_failed_at: Millis | None = None
    """When the head failed first."""
    last_failed_at: Millis | None = None
    """When the head failed last."""
    error: str = ""
    """Type of the last error."""
    words: str = ""
    """What the last error said."""
    handler: str = ""
    """The handler that the head is for."""
    policy: str = ""
    """The policy that ruled the last attempt, and where it came from."""
    blocked_on: str = ""
    """What has to end before the head is tried: a pause, or an outage of a handler."""
    dead_letter: bool = False
    """Whether the head lies in the dead letters as well."""

    def after_failure(self, failure: AttemptFailure) -> ParkedKey:
        """Return the entry after one more failed attempt of its head, neither due nor blocked."""
        return self.model_copy(
            update={
                "status": "retrying",
                "attempts": self.attempts + 1,
                "first_failed_at": self.first_failed_at or failure.at,
                "last_failed_at": failure.at,
                "error": failure.error,
                "words": failure.reason,
                "handler": failure.handler,
                "policy": failure.policy,
                "due_at": None,
                "blocked_on": "",
            }
        )

    def with_blocker(self, status: ParkedStatus, blocker: str) -> ParkedKey:
        """Return the entry as it waits for a pause or an outage to end."""
        return self.model_copy(update={"status": status, "blocked_on": blocker, "due_at": None})

    def with_head_in_flight(self) -> ParkedKey:
        """Return the entry while its head is in the hands of an async handler."""
        return self.model_copy(update={"status": "in_flight", "blocked_on": "", "due_at": None})

    def with_dead_letter(self) -> ParkedKey:
        """Return the entry of a head that was given up and has a dead letter."""
        return self.model_copy(update={"status": "dead_lettered", "dead_letter": True})

    def with_due_at(self, at: Millis) -> ParkedKey:
        """Return the entry with its head due at `at`, whatever it waited for."""
        return self.model_copy(update={"status": "retrying", "blocked_on": "", "due_at": at})

    def with_circuit_closed(self, due_at: Millis) -> ParkedKey:
        """Return the entry with its head due once its handler's circuit has closed.

        Its attempts stay, but the time of the outage counts towards no budget.
        """
        free = {"status": "retrying", "due_at": due_at, "blocked_on": "", "first_failed_at": None}
        return self.model_copy(update=free)

    def with_new_attempts(self, now: Millis) -> ParkedKey:
        """Return the entry with its head due now, as if it had never failed."""
        fresh = {"status": "retrying", "due_at": now, "blocked_on": "", "attempts": 0, "first_failed_at": None}
        return self.model_copy(update=fresh)


class ParkedRecord(State, schemas=SCHEMAS):
    """A record that waits, with its original bytes. Its key is `record/<parking key>/<number>`."""

    topic: str
    """Where it was consumed from."""
    partition: Int32
    """Its partition there."""
    offset: Int64
    """Its offset there; -1 for a timer."""
    key: bytes | None
    """Its key."""
    value: bytes | None
    """Its value, byte by byte."""
    headers: tuple[RecordHeader, ...]
    """Its headers."""
    message: str
    """The type of its message."""
    message_id: str
    """The id of its message."""
    parked_at: Millis
    """When it was parked."""
    original: bytes | None = None
    """Its value before somebody edited it; null: nobody did."""

    @property
    def place(self) -> RecordPlace:
        """Where the record was consumed from."""
        return self.topic, self.partition, self.offset

    def as_record(self) -> StoredRecord:
        """Return the parked record in the shape of a consumed one."""
        headers: Headers = [(header.name, header.value) for header in self.headers]
        return StoredRecord(*self.place, self.key, self.value, headers, self.original)


class Pause(State, schemas=SCHEMAS):
    """A pause by an operator. Its key is `pause/<scope>/<name>`."""

    operation_id: str
    """The operator's command."""
    requested_by: str
    """Who."""
    reason: str
    """Why."""
    at: Millis
    """Since when."""


class Resolution(State, schemas=SCHEMAS):
    """What became of a dead letter.

    Its key is `mark/<topic>/<partition>/<offset>/<generation>/<parking key>`.
    """

    how: Annotated[Literal["redriven", "discarded", "closed"], AvroEnum("ResolvedHow")]
    """Redriven: it succeeded, or was taken in anew. Closed: an undo made it moot."""
    operation_id: str
    """The operator's command; empty: nobody's."""
    requested_by: str
    """Who."""
    reason: str
    """Why."""
    at: Millis
    """When."""


PARKING_TYPES: Final[tuple[type[State], ...]] = (ParkedKey, ParkedRecord, Pause, Resolution, SeenMessage)
"""The states of one `<service>.parked-changelog`."""
