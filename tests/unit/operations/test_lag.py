"""Lag is what lies between a group's committed offset and the end, without what the topic has lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ensemble.clock import moment_of
from ensemble.kafka.client import CommittedOffset, ReceivedRecord, TopicPlace
from ensemble.operations.lag import look_at_unread, read_lag

PLACES = [("shop.events", 0), ("shop.events", 1), ("shop.commands", 0)]


class Cluster:
    """Two groups read three partitions that end at 9 and begin at 3; records lie where `written` says."""

    def __init__(self, *written: tuple[str, int, int]) -> None:
        self.written = written
        self.groups = {"shop": (5, 1, 9), "audit": (5, 9, 9)}
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
