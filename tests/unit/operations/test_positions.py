"""Records at positions are read by few seeks: what lies near each other in one go, and nothing else is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from ensemble.command_line.connection import session_on
from ensemble.kafka.client import TopicPlace
from ensemble.operations import Position, read_positions


class FakeRecord:
    """A record as the client selects it."""

    def __init__(self, place: TopicPlace, offset: int) -> None:
        self.place, self.number = place, offset

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.number


class Cluster:
    """Has every record of every span, and remembers the rounds."""

    def __init__(self) -> None:
        self.rounds: list[dict[TopicPlace, range]] = []

    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Callable[[Any], bool]) -> Iterator[Any]:
        self.rounds = [dict(each) for each in rounds]
        records = (FakeRecord(place, offset) for each in rounds for place, span in each.items() for offset in span)
        yield from filter(select, records)


def read(*positions: tuple[str, int, int]) -> tuple[list[tuple[str, int, int]], list[dict[TopicPlace, range]]]:
    cluster: Any = Cluster()
    records: Any = read_positions(
        session_on(cluster), [Position(topic=t, partition=p, offset=o) for t, p, o in positions]
    )
    return [(each.topic(), each.partition(), each.offset()) for each in records], cluster.rounds


@pytest.mark.parametrize(
    ("offsets", "spans"),
    [
        ([], []),
        ([7], [(7, 8)]),
        ([9, 7, 7], [(7, 10)]),
        ([0, 500], [(0, 501)]),
        ([0, 501], [(0, 1), (501, 502)]),
        ([0, 400, 800, 2_000, 2_001], [(0, 801), (2_000, 2_002)]),
    ],
)
def test_offsets_near_each_other_are_one_span(offsets: list[int], spans: list[tuple[int, int]]) -> None:
    records, rounds = read(*(("a", 0, offset) for offset in offsets))
    assert rounds == [{("a", 0): range(*span)} for span in spans]
    assert records == [("a", 0, offset) for offset in sorted(set(offsets))]


def test_each_round_reads_one_span_of_each_partition() -> None:
    records, rounds = read(("a", 0, 1), ("a", 0, 900), ("a", 1, 5), ("b", 0, 900), ("b", 0, 903))
    assert rounds == [
        {("a", 0): range(1, 2), ("a", 1): range(5, 6), ("b", 0): range(900, 904)},
        {("a", 0): range(900, 901)},
    ]
    assert sorted(records) == [("a", 0, 1), ("a", 0, 900), ("a", 1, 5), ("b", 0, 900), ("b", 0, 903)]
