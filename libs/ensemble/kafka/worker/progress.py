"""Counts batches that came to no end, and decides what the next one may hold. Pure bookkeeping, without Kafka.

After a failure batches are smaller. A record that is to blame, because a batch failed that held it alone or its handler
took too long, is tried alone once more; then it is given up. What no record is to blame for ends the process after a
while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeVar

from ensemble.errors import FatalError
from ensemble.kafka.records import TopicPlace, describe_place, topic_place_of
from ensemble.messages.records import ConsumedRecord
from ensemble.program import command

R = TypeVar("R", bound=ConsumedRecord)

TIMERS: Final = ""
"""The topic of a place that stands for a partition's timers and retries: a batch without records."""
STUCK_COUNT: Final = 3
"""So many batches without progress are more than a rebalance or a restarted broker costs."""
_BLAMED_COUNT: Final = 2
_BLAMED_S: Final = 5.0
"""A topic's limit may have been set by mistake, and be mended at once."""
_MOST_COUNT: Final = 20
_LONGEST_S: Final = 60.0
_SHRINK: Final = 4
_GROW: Final = 2


class Culprit(NamedTuple):
    """A record that is to blame for a failure."""

    place: TopicPlace
    offset: int
    reason: str


@dataclass(frozen=True)
class FailedBatch:
    """A batch whose transaction did not commit, or not before others had its partitions."""

    starts: Mapping[TopicPlace, int]
    """The first offset of each place that the batch would have moved."""
    reason: str
    culprit: Culprit | None = None
    is_outage: bool = False
    """Whether brokers are away. That is waited out: the next process would fare no better."""


@dataclass
class _Stall:
    offset: int
    since: float
    reason: str
    count: int = 0
    outages: int = 0
    last_outage_at: float = 0.0


@dataclass(frozen=True)
class _Suspect:
    offset: int
    since: float
    count: int
    reason: str


class BatchProgress:
    """What batches of this process may hold, after those that failed."""

    def __init__(self, batch_records: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self.limit, self._now = batch_records, batch_records, now
        self._stalls: dict[TopicPlace, _Stall] = {}
        self._suspects: dict[TopicPlace, _Suspect] = {}
        self._is_suspects_turn = True

    # -- what became of batches -----------------------------------------------------------------------------------

    def fail(self, batch: FailedBatch) -> None:
        """Note a batch without progress. Raises FatalError if the same offsets have made none for too long."""
        self.limit = max(1, self.limit // _SHRINK)
        for place, offset in batch.starts.items():
            stall = self._stalls.get(place)
            if stall is None or stall.offset != offset:
                self._stalls[place] = stall = _Stall(offset, self._now(), batch.reason)
            stall.count, stall.reason = stall.count + 1, batch.reason
            if batch.is_outage:
                stall.outages, stall.last_outage_at = stall.count, self._now()
        if batch.culprit is not None:
            self._blame(batch.culprit)
        self._check()

    def commit(self, moved: Mapping[TopicPlace, int]) -> None:
        """Note that these places have moved on to these offsets, if any have."""
        if not moved:
            return
        self.limit = min(self._most, self.limit * _GROW)
        for place in moved:
            self._stalls.pop(place, None)
        suspects = self._suspects.items()
        self._suspects = {place: suspect for place, suspect in suspects if moved.get(place, 0) <= suspect.offset}

    def _blame(self, culprit: Culprit) -> None:
        suspect = self._suspects.get(culprit.place)
        if suspect is None or suspect.offset != culprit.offset:
            suspect = _Suspect(culprit.offset, self._now(), 0, "")
        self._suspects[culprit.place] = replace(suspect, count=suspect.count + 1, reason=culprit.reason)

    def _check(self) -> None:
        for place, stall in self._stalls.items():
            count, since = stall.count - stall.outages, max(stall.since, stall.last_outage_at)
            if count > _MOST_COUNT and self._now() - since > _LONGEST_S:
                raise FatalError(
                    f"{count} batches in a row came to no end at {_at(place, stall.offset)}: {stall.reason}. "
                    "No record is known to be to blame: mend that, and start again. The log has the reasons of all; "
                    f"should it be a record after all, `{command('records skip')}` goes past it"
                )

    # -- what the next batch holds --------------------------------------------------------------------------------

    @property
    def is_calm(self) -> bool:
        """Whether no batch has failed of late."""
        return not self._suspects and self.limit == self._most

    @property
    def poll_limit(self) -> int:
        """How many records to poll: more than a batch takes while a suspect waits for its turn."""
        return self._most if self._suspects else self.limit

    def select(self, records: Sequence[R]) -> Sequence[R]:
        """Return the records that the next batch takes: a suspect alone, in turn with all that are before or beside."""
        if not self._suspects:
            return records[: self.limit]
        firsts = {topic_place_of(record): record.offset() for record in reversed(records)}
        suspects = [
            record
            for record in records
            if self._is_suspect(record) and record.offset() == firsts[topic_place_of(record)]
        ]
        others = [record for record in records if not self._is_behind_suspect(record)]
        if suspects and (self._is_suspects_turn or not others):
            self._is_suspects_turn = False
            return suspects[:1]
        self._is_suspects_turn = True
        return others[: self.limit]

    def is_alone(self, records: Sequence[ConsumedRecord]) -> bool:
        """Return whether this record is to be handled with nothing beside it, neither timers nor retries."""
        return len(records) == 1 and (self.limit == 1 or self._is_suspect(records[0]))

    def why_given_up(self, record: ConsumedRecord) -> str:
        """Return why a record is not tried again, because it has failed alone as well; an empty text if it is."""
        suspect = self._suspects[topic_place_of(record)] if self._is_suspect(record) else None
        if suspect is None or suspect.count < _BLAMED_COUNT or self._now() - suspect.since < _BLAMED_S:
            return ""
        return suspect.reason

    def _is_suspect(self, record: ConsumedRecord) -> bool:
        suspect = self._suspects.get(topic_place_of(record)) if self._suspects else None
        return suspect is not None and record.offset() == suspect.offset

    def _is_behind_suspect(self, record: ConsumedRecord) -> bool:
        suspect = self._suspects.get(topic_place_of(record))
        return suspect is not None and (record.offset() or 0) >= suspect.offset

    # -- what operators hear --------------------------------------------------------------------------------------

    def describe(self, partitions: Collection[int]) -> str:
        """Return where batches of these partitions are stuck and since when, or an empty text."""
        stalls = self._stuck(partitions)
        return "; ".join(
            f"stuck at {_at(place, stall.offset)} for {self._now() - stall.since:.0f} s: {stall.reason}"
            for place, stall in stalls.items()
        )

    def stuck_s(self, partitions: Collection[int]) -> float:
        """Return for how long the batches of one of these partitions have made no progress."""
        return max((self._now() - stall.since for stall in self._stuck(partitions).values()), default=0.0)

    def worst_count(self) -> int:
        """Return how many batches in a row have failed at the same offsets."""
        return max((stall.count for stall in self._stalls.values()), default=0)

    def _stuck(self, partitions: Collection[int]) -> dict[TopicPlace, _Stall]:
        stalls = list(self._stalls.items())  # another thread may ask
        return {place: stall for place, stall in stalls if stall.count >= STUCK_COUNT and place[1] in partitions}


def _at(place: TopicPlace, offset: int) -> str:
    topic, partition = place
    return describe_place(topic, partition, offset) if topic else f"the timers and retries of partition {partition}"
