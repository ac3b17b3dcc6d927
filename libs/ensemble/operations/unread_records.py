"""Sets aside what a stopped service has not read of a topic: dead letters, redriven once the topic is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NoReturn

from ensemble.operations.consumer_offsets import LATEST, OffsetPlan, Target, carry_out_with, plan_offsets
from ensemble.operations.errors import NotPossible
from ensemble.operations.intent import Intent
from ensemble.operations.record_skip import count_letter_partitions, letter_of, why_excerpt
from ensemble.operations.session import Session
from ensemble.partitioning import home_of
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord, TopicPlace
    from ensemble.state import Output

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

    A part of them and their offsets are one transaction, so whoever was interrupted plans anew and goes on. Each letter
    lies where its key belongs, whichever partition the record lay in. They are written in the order of the times that
    the records carry, and those of one partition in its order: added partitions have a key's records in two of them.

    Raises NotPossible at a record whose letter would be an excerpt, with all before it set aside, and else like
    `carry_out_with`.
    """
    plan.require_current()
    mover = _Mover(session, plan, intent, count_letter_partitions(session, plan.service))
    return sum(mover.move(part, is_last=is_last) for part, is_last in _parts(mover.unread()))


class _Mover:
    """Carries out a plan, part by part. It knows how far the group is."""

    def __init__(self, session: Session, plan: OffsetPlan, intent: Intent, partitions: int) -> None:
        self._session, self._plan, self._intent, self._partitions = session, plan, intent, partitions
        self._moves = {move.place: move for move in plan.items}

    def unread(self) -> Iterator[ReceivedRecord]:
        """Yield the records of all partitions in the order of their times; of each one a batch is in memory."""
        read = self._session.client.read_range
        partitions = [read(move.place, move.unread.start, move.unread.stop, _STALL_S) for move in self._plan.items]
        return merge(*partitions, key=attrgetter("timestamp", "partition", "offset"))

    def move(self, records: Sequence[ReceivedRecord], *, is_last: bool) -> int:
        """Set these records aside, and return how many they are. Behind the last ones come markers alone.

        Raises NotPossible for one that no dead letter holds whole: it comes alone.
        """
        if records and (reason := why_excerpt(records[0])):
            self._refuse(records[0], reason)
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        if is_last:
            ends = {move.place: move.log_end for move in self._moves.values() if (move.committed or 0) < move.log_end}
        if ends:
            self._commit(ends, records)
        return len(records)

    def _commit(self, ends: Mapping[TopicPlace, int], records: Sequence[ReceivedRecord]) -> None:
        items = tuple(self._moves[place].model_copy(update={"offset": end}) for place, end in ends.items())
        step = self._plan.model_copy(update={"items": items, "as_of": datetime.now(UTC)})
        carry_out_with(self._session, step, self._intent, [self._letter_of(record) for record in records])
        self._moves |= {item.place: item.model_copy(update={"committed": item.offset}) for item in items}

    def _refuse(self, record: ReceivedRecord, reason: str) -> NoReturn:
        topic, partition, offset = record[:3]
        if self._moves[topic, partition].committed is None:
            self._commit({(topic, partition): offset}, [])  # or nobody could skip it
        get = command(f"records get {topic}/{partition}/{offset}")
        skip = command(f"records skip {topic} {partition} {offset} --service {self._plan.service}")
        raise NotPossible(
            f"{topic}/{partition}/{offset} would be lost with the topic, since a dead letter takes only a part of it: "
            f"{reason}",
            hint=f"all before it is set aside; keep what `{get}` shows, pass it by `{skip}`, then set aside the others",
        )

    def _letter_of(self, record: ReceivedRecord) -> Output:
        home = home_of(record.key, record.partition, self._partitions)
        return letter_of(self._plan.service, record, self._intent, error=SET_ASIDE, partition=home)


def _parts(records: Iterable[ReceivedRecord]) -> Iterator[tuple[Sequence[ReceivedRecord], bool]]:
    """Yield the records, as many at once as one transaction should hold, and whether they are the last, perhaps none.

    At one that no dead letter holds whole they end: it comes alone.
    """
    part: list[ReceivedRecord] = []
    size = 0
    for record in records:
        is_excerpt = bool(why_excerpt(record))
        if part and (is_excerpt or len(part) == _MOST_RECORDS or size > _MOST_BYTES):
            yield part, False
            part, size = [], 0
        part.append(record)
        size += len(record.value or b"")
        if is_excerpt:
            break
    yield part, True
