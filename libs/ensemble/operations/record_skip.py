"""Passing one record that a service cannot get past: a dead letter of it where it can be read, and the next offset."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ensemble.errors import EnsembleError
from ensemble.messages import RecordPlace, StoredRecord, why_oversized
from ensemble.operations.consumer_offsets import OffsetMove, OffsetPlan, Target, carry_out_with, plan_offsets
from ensemble.operations.errors import Invalid
from ensemble.operations.intent import Intent
from ensemble.operations.outgoing import now
from ensemble.operations.service_topics import DEAD_LETTER
from ensemble.operations.session import Session
from ensemble.partitioning import home_of
from ensemble.system_messages import FailureReport, dead_letter_of

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord
    from ensemble.state import Output

_SKIPPED: Final = "SkippedByOperator"
_READ_S: Final = 10.0
SkippedFate = Literal["dead_lettered", "excerpt", "unreadable"]
"""Dead-lettered as a whole, as an excerpt since it is too large, or not at all since nobody can read it."""


@dataclass(frozen=True)
class SkippedRecord:
    """One record of one input, and the offsets around it."""

    plan: OffsetPlan
    record: ReceivedRecord | None
    """None: it cannot be read, or lies there no more."""

    @property
    def move(self) -> OffsetMove:
        return self.plan.items[0]

    @property
    def fate(self) -> SkippedFate:
        """What becomes of the record."""
        if self.record is None:
            return "unreadable"
        return "excerpt" if why_excerpt(self.record) else "dead_lettered"

    def describe_fate(self) -> str:
        """Return what becomes of the record, in words."""
        if self.record is None:
            return "cannot be read: no dead letter"
        oversized = why_excerpt(self.record)
        return f"an excerpt is dead-lettered: {oversized}" if oversized else "is dead-lettered"


def plan_skip(session: Session, service: str, place: RecordPlace) -> SkippedRecord:
    """Return what would be passed. Raises Invalid unless that is exactly the record at `place`."""
    topic, partition, offset = place
    try:
        plan = plan_offsets(session, Target(service, str(offset + 1), topic, partition))
    except Invalid as error:
        if error.field == "to":  # which names the offset behind the record, and a request for a skip has not
            raise Invalid(f"there is no record at {topic}/{partition}/{offset}", field="offset") from None
        raise
    before = plan.items[0].committed
    if before is None or before > offset:
        stands = "has committed no offset" if before is None else f"has read on to {before}"
        raise Invalid(f"group {service} {stands} there, so there is nothing to skip at {offset}", field="offset")
    records = _read(session, (topic, partition), max(before, plan.items[0].log_start), offset + 1)
    if unread := [record.offset for record in records if record.offset < offset]:
        raise Invalid(
            f"{len(unread)} records before {offset} are unread, the first at {unread[0]}",
            hint="skip that one, or set the group's offsets past them all",
            field="offset",
        )
    return SkippedRecord(plan, next((record for record in records if record.offset == offset), None))


def skip_record(session: Session, skipped: SkippedRecord, intent: Intent) -> None:
    """Pass the record: its dead letter, what is kept about it, and the offset together, or nothing.

    The letter lies in the record's partition, or where its key belongs if the dead letters have no such partition.
    """
    record, service = skipped.record, skipped.plan.service
    letters = []
    if record is not None:
        partition, partitions = record.partition, count_letter_partitions(session, service)
        if partition >= partitions:
            partition = home_of(record.key, partition, partitions)
        letters.append(letter_of(service, record, intent, error=_SKIPPED, partition=partition))
    carry_out_with(session, skipped.plan, intent, letters)


def count_letter_partitions(session: Session, service: str) -> int:
    """Return how many partitions the service's dead letters have. Raises Unavailable if there is no such topic."""
    return len(session.client.places([service + DEAD_LETTER], "WRITE"))


def why_excerpt(record: ReceivedRecord) -> str:
    """Return why a dead letter of the record holds an excerpt only, or "" if it holds all."""
    return why_oversized(_stored(record))


def letter_of(service: str, record: ReceivedRecord, intent: Intent, *, error: str, partition: int) -> Output:
    """Return the record as a dead letter, of this error, that says who has passed it, and why."""
    report = FailureReport(
        source=(record.topic, record.partition, record.offset),
        exception=error,
        message=f"skipped by {intent.actor.name}: {intent.reason}",
        stacktrace="",
        service=service,
        handler="",
        stage="decode",
        attempts=0,
        policy="operator",
        disposition="skip",
        parking_key=record.key or b"",
        failed_at=now(),
    )
    key, value, headers = dead_letter_of(_stored(record), report)
    return service + DEAD_LETTER, value, key, headers, partition


def _stored(record: ReceivedRecord) -> StoredRecord:
    return StoredRecord(*record[:3], record.key, record.value, list(record.pairs))


def _read(session: Session, place: tuple[str, int], start: int, end: int) -> list[ReceivedRecord]:
    """Return the committed records from `start` on and before `end`; those that can be read within a few seconds."""
    records: list[ReceivedRecord] = []
    with contextlib.suppress(EnsembleError):
        records.extend(session.client.read_range(place, start, end, _READ_S))  # what came before an error stays
    return records
