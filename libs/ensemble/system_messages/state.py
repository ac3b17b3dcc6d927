"""The runtime's own state: timers, seen ids, snapshot positions, parked records, pauses, resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ensemble.messages.fields import Int32, Int64, Millis
from ensemble.messages.message import NestedRecord, State
from ensemble.messages.records import Headers, RecordPlace, StoredRecord
from ensemble.messages.schema_set import SchemaSet

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas")
"""The schemas of what the runtime itself writes."""


class Timer(State, schemas=SCHEMAS):
    """A durable timer. Its key is `<key>/<name>`; it is gone (a tombstone) once fired or cancelled."""

    due_at: Millis
    payload: str = ""
    correlation_id: str = ""
    trace: str = ""


class SeenMessage(State, schemas=SCHEMAS):
    """A message that was handled. Its key says which: the window makes it."""

    at: Millis


class LedgerPosition(State, schemas=SCHEMAS):
    """A snapshot of a key holds all its facts up to `sequence`; later ones lie at or behind `offset` of the ledger."""

    sequence: Int64
    offset: Int64


ParkedStatus = Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"]


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

    status: ParkedStatus
    first: Int64
    next: Int64
    since: Millis
    due_at: Millis | None = None
    attempts: Int32 = 0
    first_failed_at: Millis | None = None
    last_failed_at: Millis | None = None
    error: str = ""
    words: str = ""
    handler: str = ""
    policy: str = ""
    blocked_on: str = ""
    dead_letter: bool = False

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
    partition: Int32
    offset: Int64
    key: bytes | None
    value: bytes | None
    headers: tuple[RecordHeader, ...]
    message: str
    message_id: str
    parked_at: Millis
    original: bytes | None = None

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
    requested_by: str
    reason: str
    at: Millis


class Resolution(State, schemas=SCHEMAS):
    """What became of a dead letter.

    Its key is `mark/<topic>/<partition>/<offset>/<generation>/<parking key>`.
    """

    how: Literal["redriven", "discarded", "closed"]
    operation_id: str
    requested_by: str
    reason: str
    at: Millis


PARKING_TYPES: Final[tuple[type[State], ...]] = (ParkedKey, ParkedRecord, Pause, Resolution, SeenMessage)
"""The states of one `<service>.parked-changelog`."""
