"""How far each service is behind its inputs: two questions to the brokers, and no topic is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ensemble.kafka.client import CommittedOffset, TopicPlace
from ensemble.operations.values import Result


class LagSource(Protocol):
    """What is asked of a cluster: a `ClusterClient` answers it."""

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]: ...
    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...
    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...


class PartitionLag(Result):
    """How far a group is behind one partition. `lost` records were removed before the group has read them."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int
    behind: int = 0
    lost: int = 0


def read_lag(cluster: LagSource, groups: Sequence[str]) -> tuple[PartitionLag, ...]:
    """Return the lag of these groups by partition, the largest first.

    `behind` counts offsets: the markers of transactions are among them. Partitions without a committed offset are left
    out.
    """
    committed = {group: cluster.committed_by(group) for group in groups}
    places = sorted({place for offsets in committed.values() for place in offsets})
    starts, ends = cluster.starts(places), cluster.ends(places)
    lags = [
        _lag(PartitionLag(group=group, topic=topic, partition=partition, committed=offset.offset, end=0), starts, ends)
        for group, offsets in committed.items()
        for (topic, partition), offset in offsets.items()
    ]
    return tuple(sorted(lags, key=lambda lag: (-lag.behind, lag.group, lag.topic, lag.partition)))


def _lag(lag: PartitionLag, starts: Mapping[TopicPlace, int], ends: Mapping[TopicPlace, int]) -> PartitionLag:
    place = lag.topic, lag.partition
    behind = max(ends[place] - max(lag.committed, starts[place]), 0)
    return lag.model_copy(update={"end": ends[place], "behind": behind, "lost": max(starts[place] - lag.committed, 0)})
