"""Sets aside what a stopped service has not read of a topic: dead letters, redriven once the topic is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ensemble.operations.consumer_offsets import LATEST, OffsetMove, OffsetPlan, Target, carry_out_with, plan_offsets
from ensemble.operations.intent import Intent
from ensemble.operations.record_skip import letter_of
from ensemble.operations.service_topics import DEAD_LETTER
from ensemble.operations.session import Session
from ensemble.partitioning import partition_of

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord

SET_ASIDE: Final = "SetAsideByOperator"
"""The error that the dead letters name."""
_STALL_S: Final = 30.0
_MOST_RECORDS: Final = 500
_MOST_BYTES: Final = 8_000_000
"""A transaction is open for a few seconds at most."""


def plan_set_aside(session: Session, service: str, topic: str) -> OffsetPlan:
    """Return the partitions of this input with records that the service has not read.

    Raises Invalid like `plan_offsets`.
    """
    plan = plan_offsets(session, Target(service, LATEST, topic))
    return plan.model_copy(update={"items": tuple(move for move in plan.items if move.unread)})


def set_aside(session: Session, plan: OffsetPlan, intent: Intent) -> int:
    """Write a dead letter of each record and move the offsets behind it; return how many letters that were.

    A part of them and their offset are one transaction, so whoever was interrupted plans anew and goes on. Each letter
    lies where its key belongs, whichever partition the record lay in. Raises like `carry_out_with`.
    """
    plan.require_current()
    mover = _Mover(session, plan, intent, session.client.topics()[plan.service + DEAD_LETTER])
    return sum(mover.move(item) for item in plan.items)


@dataclass(frozen=True)
class _Mover:
    """Carries out a plan, one partition after the other."""

    session: Session
    plan: OffsetPlan
    intent: Intent
    partitions: int

    def move(self, item: OffsetMove) -> int:
        """Return how many records were set aside."""
        count, unread = 0, item.unread
        for part in _parts(self.session.client.read_range(item.place, unread.start, unread.stop, _STALL_S)):
            self._commit(item, part[-1].offset + 1, part)
            count += len(part)
        self._commit(item, item.log_end, [])
        return count

    def _commit(self, item: OffsetMove, offset: int, records: Sequence[ReceivedRecord]) -> None:
        step = {"items": (item.model_copy(update={"offset": offset}),), "as_of": datetime.now(UTC)}
        letters = [
            letter_of(self.plan.service, record, self.intent, error=SET_ASIDE, partition=self._home_of(record))
            for record in records
        ]
        carry_out_with(self.session, self.plan.model_copy(update=step), self.intent, letters)

    def _home_of(self, record: ReceivedRecord) -> int:
        if record.key is None:
            return record.partition % self.partitions
        return partition_of(record.key, self.partitions)


def _parts(records: Iterable[ReceivedRecord]) -> Iterator[Sequence[ReceivedRecord]]:
    """Yield the records, as many at once as one transaction should hold."""
    part: list[ReceivedRecord] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.value or b"")
        if len(part) == _MOST_RECORDS or size > _MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
