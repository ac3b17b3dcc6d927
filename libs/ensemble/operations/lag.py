"""How far each service is behind its inputs: questions to the brokers, and of what waits the first records alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from ensemble.clock import moment_of
from ensemble.kafka.client import CommittedOffset, ReceivedRecord, TopicPlace
from ensemble.operations.values import Position, Result

T = TypeVar("T")
_LOOK: Final = 20
"""So many offsets from the committed one on hold the next record: markers of transactions lie between records."""
_MOST_PLACES: Final = 100


class LagSource(Protocol):
    """What is asked of a cluster: a `ClusterClient` answers it."""

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]: ...
    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...
    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...
    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Any = None) -> Iterator[ReceivedRecord]: ...


class PartitionLag(Result):
    """How far a group is behind one partition. `lost` records were removed before the group has read them."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int
    behind: int = 0
    lost: int = 0
    oldest_unread: datetime | None = None
    """When the record that the group reads next was written; None if nothing waits, or it was not looked for."""

    @property
    def position(self) -> Position:
        """Where the group reads on."""
        return Position(topic=self.topic, partition=self.partition, offset=self.committed)


def read_lag(cluster: LagSource, groups: Sequence[str]) -> tuple[PartitionLag, ...]:
    """Return the lag of these groups by partition, the largest first. No topic is read.

    `behind` counts offsets: the markers of transactions are among them. Partitions without a committed offset are left
    out.
    """
    committed = dict(zip(groups, ask_all(cluster.committed_by, groups), strict=True))
    places = sorted({place for offsets in committed.values() for place in offsets})
    starts, ends = cluster.starts(places), cluster.ends(places)
    lags = [
        _lag(PartitionLag(group=group, topic=topic, partition=partition, committed=offset.offset, end=0), starts, ends)
        for group, offsets in committed.items()
        for (topic, partition), offset in offsets.items()
    ]
    return tuple(sorted(lags, key=lambda lag: (-lag.behind, lag.group, lag.topic, lag.partition)))


def look_at_unread(cluster: LagSource, lags: Sequence[PartitionLag]) -> tuple[PartitionLag, ...]:
    """Return the same lags, with the time of the record that each group reads next.

    At most twenty offsets of each of the hundred largest lags are read. What turns out to be nothing but markers of
    transactions is not behind.
    """
    waiting = [lag for lag in lags if lag.behind][:_MOST_PLACES]
    spans = [{(lag.topic, lag.partition): range(lag.committed, min(lag.committed + _LOOK, lag.end))} for lag in waiting]
    records = list(cluster.read_spans(*_merge(spans)))
    return (*(_with_next(lag, records) for lag in waiting), *lags[len(waiting) :])


def ask_all(question: Callable[[str], T], groups: Sequence[str]) -> list[T]:
    """Return the answers about all groups, asked at once: each may take a consumer of its own."""
    with ThreadPoolExecutor(max(len(groups), 1)) as threads:
        return list(threads.map(question, groups))


def _lag(lag: PartitionLag, starts: Mapping[TopicPlace, int], ends: Mapping[TopicPlace, int]) -> PartitionLag:
    place = lag.topic, lag.partition
    behind = max(ends[place] - max(lag.committed, starts[place]), 0)
    return lag.model_copy(update={"end": ends[place], "behind": behind, "lost": max(starts[place] - lag.committed, 0)})


def _merge(spans: Iterable[dict[TopicPlace, range]]) -> list[dict[TopicPlace, range]]:
    """Return rounds that each have a partition once: several groups may read the same topic."""
    rounds: list[dict[TopicPlace, range]] = []
    for span in spans:
        free = next((each for each in rounds if not each.keys() & span.keys()), None)
        if free is None:
            rounds.append(dict(span))
        else:
            free.update(span)
    return rounds


def _with_next(lag: PartitionLag, records: Sequence[ReceivedRecord]) -> PartitionLag:
    unread = [r for r in records if (r.topic, r.partition) == (lag.topic, lag.partition) and r.offset >= lag.committed]
    if unread:
        return lag.model_copy(update={"oldest_unread": moment_of(min(unread, key=_offset_of).timestamp)})
    return lag.model_copy(update={"behind": 0}) if lag.end - lag.committed <= _LOOK else lag


def _offset_of(record: ReceivedRecord) -> int:
    return record.offset
