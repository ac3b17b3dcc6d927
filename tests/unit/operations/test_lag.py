"""Lag is what lies between a group's committed offset and the end, without what the topic has lost."""

from __future__ import annotations

from collections.abc import Collection

from ensemble.kafka.client import CommittedOffset, TopicPlace
from ensemble.operations.lag import read_lag

PLACES = [("shop.events", 0), ("shop.events", 1), ("shop.commands", 0)]


class Cluster:
    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        return dict(zip(PLACES, map(CommittedOffset, (5, 1, 9)), strict=True)) if group == "shop" else {}

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 9)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 3)


def test_the_largest_lag_comes_first_and_what_is_lost_is_told() -> None:
    lags = read_lag(Cluster(), ["shop", "other"])
    assert [(lag.topic, lag.partition, lag.behind, lag.lost) for lag in lags] == [
        ("shop.events", 1, 6, 2),
        ("shop.events", 0, 4, 0),
        ("shop.commands", 0, 0, 0),
    ]
