"""Lag is what lies between a group's committed offset and the end, without what the topic has lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.kafka.client import CommittedOffset, ReceivedRecord, TopicPlace
from ensemble.operations import Position
from ensemble.operations.lag import PartitionLag, look_at_unread, read_lag

PLACES = [("shop.events", 0), ("shop.events", 1), ("shop.commands", 0)]


class Cluster:
    """Two groups read three partitions that end at 9 and begin at 3; records lie where `written` says."""

    def __init__(self, *written: tuple[str, int, int]) -> None:
        self.written = written
        self.groups: dict[str, tuple[int, ...]] = {"shop": (5, 1, 9), "audit": (5, 9, 9)}
        self.read: list[dict[TopicPlace, range]] = []

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        offsets = self.groups.get(group, ())
        return dict(zip(PLACES, map(CommittedOffset, offsets), strict=False))

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 9)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 3)

    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Any = None) -> Iterator[ReceivedRecord]:
        for spans in rounds:
            self.read.append(dict(spans))
            for topic, partition, offset in self.written:
                if offset in spans.get((topic, partition), ()):
                    yield ReceivedRecord(topic, partition, offset, 1_000 * offset, b"", b"", {}, ())


def test_the_lag_of_a_partition_has_each_of_its_offsets() -> None:
    cluster = Cluster()
    cluster.groups = {"shop": (1,), "audit": (9,)}
    shop, audit = (lag.model_dump() for lag in read_lag(cluster, ["shop", "audit"]))
    place = {"topic": "shop.events", "partition": 0, "end": 9, "oldest_unread": None}
    assert shop == place | {"group": "shop", "committed": 1, "behind": 6, "lost": 2}
    assert audit == place | {"group": "audit", "committed": 9, "behind": 0, "lost": 0}
    assert read_lag(cluster, ["shop"])[0].position == Position(topic="shop.events", partition=0, offset=1)
    assert read_lag(cluster, []) == ()


def test_lags_that_are_equal_are_in_order_of_group_topic_and_partition() -> None:
    cluster = Cluster()
    cluster.groups = {"shop": (5, 5, 5), "audit": (5, 5, 4)}
    lags = read_lag(cluster, ["shop", "audit"])
    assert [(lag.group, lag.topic, lag.partition) for lag in lags] == [
        ("audit", "shop.commands", 0), ("audit", "shop.events", 0), ("audit", "shop.events", 1),
        ("shop", "shop.commands", 0), ("shop", "shop.events", 0), ("shop", "shop.events", 1),
    ]  # fmt: skip


def lag(end: int, partition: int = 0, group: str = "shop") -> PartitionLag:
    return PartitionLag(group=group, topic="shop.events", partition=partition, committed=100, end=end, behind=end - 100)


@pytest.mark.parametrize(("end", "behind"), [(101, 0), (120, 0), (121, 21), (400, 300)])
def test_of_twenty_offsets_without_a_record_nothing_is_said_to_be_behind(end: int, behind: int) -> None:
    cluster = Cluster(("shop.events", 0, 99), ("shop.events", 1, 100), ("shop.commands", 0, 100))
    assert look_at_unread(cluster, [lag(end)]) == (lag(end).model_copy(update={"behind": behind}),)
    assert cluster.read == [{("shop.events", 0): range(100, min(end, 120))}]


def test_a_hundred_partitions_are_looked_at_and_those_that_keep_up_are_not() -> None:
    cluster = Cluster()
    lags = [lag(200, partition) for partition in range(101)]
    assert look_at_unread(cluster, [*lags, lag(100, 200)]) == (*lags, lag(100, 200))
    [spans] = cluster.read
    assert [partition for _, partition in spans] == list(range(100))


def test_each_round_of_reading_has_a_partition_once() -> None:
    cluster = Cluster()
    look_at_unread(cluster, [lag(105), lag(106, group="audit"), lag(107, 1), lag(108, group="third")])
    place, other = ("shop.events", 0), ("shop.events", 1)
    assert cluster.read == [
        {place: range(100, 105), other: range(100, 107)}, {place: range(100, 106)}, {place: range(100, 108)}
    ]  # fmt: skip


def test_the_largest_lag_comes_first_and_what_is_lost_is_told() -> None:
    lags = read_lag(Cluster(), ["shop", "other"])
    assert [(lag.topic, lag.partition, lag.behind, lag.lost) for lag in lags] == [
        ("shop.events", 1, 6, 2),
        ("shop.events", 0, 4, 0),
        ("shop.commands", 0, 0, 0),
    ]


def test_what_waits_is_as_old_as_its_first_record_and_markers_alone_are_not_behind() -> None:
    cluster = Cluster(("shop.events", 1, 4), ("shop.events", 1, 8))
    lags = look_at_unread(cluster, read_lag(cluster, ["shop"]))
    assert [(lag.partition, lag.behind, lag.oldest_unread) for lag in lags if lag.topic == "shop.events"] == [
        (1, 6, moment_of(4_000)),
        (0, 0, None),
    ]


def test_groups_that_read_one_partition_are_each_looked_at_from_their_own_offset() -> None:
    cluster = Cluster(("shop.events", 0, 5), ("shop.events", 0, 7))
    cluster.groups["audit"] = (6, 9, 9)
    lags = look_at_unread(cluster, read_lag(cluster, ["shop", "audit"]))
    assert {lag.group: lag.oldest_unread for lag in lags if (lag.topic, lag.partition) == PLACES[0]} == {
        "shop": moment_of(5_000),
        "audit": moment_of(7_000),
    }
    assert all(len(span) <= 20 for spans in cluster.read for span in spans.values())
