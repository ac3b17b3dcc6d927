"""Whose turn it is in a flow, and what it takes: of processes that have so many records waiting."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest

from ensemble.messages.records import StoredRecord
from ensemble.testing import FlowError, Interleavings
from ensemble.testing.schedules import InTurn, Seeded, time_after


class Waiting:
    """A process with records that wait in two partitions."""

    def __init__(self, name: str, *counts: int, is_due: bool = False) -> None:
        self.name, self.is_due, self.topics, self.read_from = name, is_due, self, dict[Any, int]()
        self._places = {(name, partition): number for partition, number in enumerate(counts) if number}

    def readable(self) -> list[tuple[str, int]]:
        return list(self._places)

    def position(self, place: tuple[str, int]) -> int:
        return self.read_from.get(place, 0)

    def read(self, place: tuple[str, int], offset: int, limit: int | None = None) -> Any:
        most = self._places[place] if limit is None else min(self._places[place], offset + limit)
        return ((number, StoredRecord(*place, number, b"k", b"v")) for number in range(offset, most))

    def poll(self) -> list[StoredRecord]:
        return [record for place in self._places for _, record in self.read(place, 0)]


def at(records: Any) -> list[tuple[str, int, int]]:
    return [(record.at_topic, record.at_partition, record.at_offset) for record in records]


def test_services_take_turns_and_each_takes_all_there_is() -> None:
    schedule, busy = InTurn(), [Waiting("a", 1), Waiting("b", 2, 1), Waiting("c", 1)]
    turns: list[Any] = [schedule.choose(busy, int) for _ in range(3)]  # type: ignore[arg-type]  # doubles
    assert [process.name for process, _ in turns] == ["a", "b", "c"]
    assert at(turns[1][1]) == [("b", 0, 0), ("b", 0, 1), ("b", 1, 0)]
    again: list[Any] = [schedule.choose(each, int)[0] for each in (busy[1:], busy, busy)]  # type: ignore[arg-type]
    assert [process.name for process in again] == ["b", "a", "c"], "who has waited longest comes first"


def test_a_seed_mixes_partitions_but_reads_each_in_order() -> None:
    sizes: Counter[int] = Counter()
    starts: set[tuple[str, int]] = set()
    for seed in range(200):
        process: Any = Waiting("a", 3, 3)
        _, batch = Seeded(seed).choose([process], int)
        sizes[len(batch)] += 1
        starts.add((batch[0].at_topic, batch[0].at_partition))
        for partition in (0, 1):
            offsets = [record.at_offset for record in batch if record.at_partition == partition]
            assert offsets == list(range(len(offsets)))
    assert set(sizes) == {1, 2, 5, 6}
    assert sizes[1] > max(sizes[2], sizes[5], sizes[6]), "most batches are short"
    assert starts == {("a", 0), ("a", 1)}


def test_a_seed_reads_on_where_a_process_stands_and_gives_every_process_its_turn() -> None:
    names = set()
    for seed in range(30):
        busy: Any = [Waiting("a", 4), Waiting("b", 4)]
        for each in busy:
            each.read_from = {(each.name, 0): 2}
        process, batch = Seeded(seed).choose(busy, int)
        names.add(process.name)  # type: ignore[attr-defined]  # a double
        assert batch[0].at_offset == 2
    assert names == {"a", "b"}


def choices_of(orders: Interleavings, *widths: int) -> list[tuple[int, ...]]:
    """Follow all orders of choices of these widths, each of a situation of its own."""
    situations = count()
    met = []
    for _ in orders:
        for width in widths:
            process: Any = Waiting("a", *[1] * width)
            orders.choose([process], lambda: next(situations))
        met.append(orders.choices)
    return met


def test_every_order_of_choices_is_met_once() -> None:
    orders = Interleavings()
    assert choices_of(orders, 2, 3) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert (orders.count, orders.are_complete) == (6, True)


@pytest.mark.parametrize(("limit", "is_complete"), [(5, False), (6, True), (7, True)])
def test_orders_are_complete_if_none_is_left(limit: int, *, is_complete: bool) -> None:
    orders = Interleavings(limit)
    assert len(choices_of(orders, 2, 3)) == min(limit, 6)
    assert orders.are_complete is is_complete


def test_timers_retries_and_calls_have_a_turn_without_records() -> None:
    orders, process = Interleavings(only=(1,)), Waiting("a", 1, is_due=True)
    busy: Any = [process]
    [records] = [orders.choose(busy, int)[1] for _ in orders]
    assert records == []
    assert not orders.are_complete


def test_what_is_repeated_has_to_be_the_same_scenario() -> None:
    orders = Interleavings(only=(2,))
    busy: Any = [Waiting("a", 1, 1)]
    for _ in orders:
        with pytest.raises(
            FlowError, match=r"^choice 1 was one of more than 2 before: the scenario differs each time$"
        ):
            orders.choose(busy, int)


@pytest.mark.parametrize(("seconds", "time"), [(0, 7), (0.0004, 7), (0.0006, 8), (1.5, 1507)])
def test_a_time_is_so_many_milliseconds_later(seconds: float, time: int) -> None:
    assert time_after(7, seconds) == time


@pytest.mark.parametrize("seconds", [-0.001, float("inf"), float("nan")])
def test_no_time_is_before_now_or_never(seconds: float) -> None:
    with pytest.raises(FlowError, match=rf"^time moves on: {seconds} is no number of seconds to move it by$"):
        time_after(7, seconds)
