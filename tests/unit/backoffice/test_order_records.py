"""Where one order's records are looked for: in its lifetime, not in the history of all orders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest

from backoffice import MESSAGE_TOPICS, OrderRecords, find_dead_letters, find_records, places_of
from backoffice.order_records import begin_of
from ensemble.kafka.client import TopicPlace
from tests.support.assigned_consumer import Polled

BEGAN = 1_750_000_000_000
RATE = 10
"""Milliseconds from one record of a partition to the next."""
HOUR = 3_600_000


class SteadyLog:
    """Every partition has had a record each `RATE` milliseconds since BEGAN; the first ones may be gone."""

    def __init__(self, hours: float, gone: int = 0) -> None:
        self.end, self.start = int(hours * HOUR / RATE), gone

    def topics(self) -> dict[str, int]:
        return {}

    def places(self, topics: Iterable[str]) -> list[TopicPlace]:
        return [(topic, partition) for topic in topics for partition in range(4)]

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, self.start)

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, self.end)

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, min(max((at - BEGAN) // RATE, self.start), self.end))

    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Any = None) -> Any:
        self.read_rounds, self.select = rounds, select
        return iter(())


def order(status: str, *times: int, topic: str = "timer", offset: int = -1) -> dict[str, Any]:
    seen = [{"at": BEGAN + at, "topic": topic, "partition": 0, "offset": offset} for at in times]
    return {"status": status, "seen": seen, "updated_at": BEGAN + times[-1]}


def offsets(records: OrderRecords) -> list[set[tuple[int, int]]]:
    return [{(span.start, span.stop) for span in spans.values()} for spans in records.rounds]


def test_an_ended_order_lies_between_its_first_and_its_last_event() -> None:
    records = find_records(SteadyLog(hours=100), "o-1", order("completed", HOUR, HOUR + 5_000))
    minute = 60_000 // RATE
    assert offsets(records) == [{(360_000 - minute, 360_500 + minute)}]
    assert records.unread == 0


def test_an_order_under_way_lies_between_its_first_event_and_now() -> None:
    log = SteadyLog(hours=1.01)
    records = find_records(log, "o-1", order("fulfilled", HOUR))
    assert offsets(records) == [{(360_000 - 6_000, log.end)}]
    assert set(records.ends.values()) == {log.end}


def test_an_order_that_lives_on_is_looked_for_around_its_events_and_at_the_ends() -> None:
    log = SteadyLog(hours=100)
    records = find_records(log, "o-1", order("fulfilled", HOUR, HOUR + 30_000, 50 * HOUR))
    assert offsets(records) == [{(354_000, 369_000)}, {(17_994_000, 18_006_000)}, {(35_995_000, 36_000_000)}]
    places = len(records.ends)
    assert records.unread == places * (log.end - 354_000 - 15_000 - 12_000 - 5_000)


def test_moments_that_overlap_are_read_once() -> None:
    log = SteadyLog(hours=100)
    records = find_records(log, "o-1", order("fulfilled", HOUR, 100 * HOUR - 5_000))
    (first, second) = (spans for spans in offsets(records))
    assert first == {(354_000, 366_000)}
    assert second == {(35_993_500, 36_000_000)}, "the ends lie within the moment before"


def test_all_is_read_where_that_is_asked_for_and_nothing_that_is_gone() -> None:
    records = find_records(SteadyLog(hours=100, gone=1_000), "o-1", {}, is_complete=True)
    assert offsets(records) == [{(1_000, 36_000_000)}]


def test_an_unknown_order_is_looked_for_at_the_ends() -> None:
    records = find_records(SteadyLog(hours=100), "o-1", {})
    assert offsets(records) == [{(35_995_000, 36_000_000)}]
    assert records.unread > 0


def test_what_the_orchestrator_saw_is_read_also_where_the_clock_of_its_sender_was_wrong() -> None:
    state = order("completed", HOUR, topic="orders.events", offset=7)
    partition = places_of(SteadyLog(1), ["orders.events"], "o-1")[0][1]
    state["seen"][0]["partition"] = partition
    records = find_records(SteadyLog(hours=2), "o-1", state, topics=["orders.events"])
    assert offsets(records) == [{(7, 366_000)}]


def test_dead_letters_are_looked_for_also_after_the_end() -> None:
    log = SteadyLog(hours=100)
    records = find_dead_letters(log, "o-1", order("completed", HOUR), ["order.dead-letter"])
    assert offsets(records) == [{(354_000, log.end)}]


def test_only_records_that_name_the_order_are_decoded() -> None:
    log = SteadyLog(hours=1)
    list(find_records(log, "o-1", {}).read(log))

    def takes(key: bytes | None, value: bytes | None) -> bool:
        return bool(log.select(Polled(("t", 0, 0), (key, value))))

    assert [takes(b"o-1", None), takes(b"w-1", b"..o-1.."), takes(b"o-2", b"x"), takes(None, None)] == [
        True, True, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("offset", "span"),
    [(353_999, (353_999, 366_000)), (354_000, (354_000, 366_000)), (365_999, (354_000, 366_000)),
     (366_000, (354_000, 366_001)), (719_999, (354_000, 720_000)), (720_000, (354_000, 366_000)),
     (10, (10, 366_000)), (9, (354_000, 366_000))],
)  # fmt: skip
def test_a_place_that_was_seen_widens_the_span_as_far_as_the_log_has_it(offset: int, span: tuple[int, int]) -> None:
    log = SteadyLog(hours=2, gone=10)
    partition = places_of(log, ["orders.events"], "o-1")[0][1]
    state = order("completed", HOUR, topic="orders.events", offset=offset)
    state["seen"][0]["partition"] = partition
    assert offsets(find_records(log, "o-1", state, topics=["orders.events"])) == [{span}]


def test_a_place_that_was_seen_outside_of_the_order_s_life_is_read_by_itself() -> None:
    log = SteadyLog(hours=2)
    state = {**order("completed", -HOUR, topic="orders.events", offset=7), "updated_at": BEGAN - HOUR}
    state["seen"][0]["partition"] = places_of(log, ["orders.events"], "o-1")[0][1]
    assert offsets(find_records(log, "o-1", state, topics=["orders.events"])) == [{(7, 8)}]


@pytest.mark.parametrize(
    ("state", "begin"),
    [
        ({}, None),
        ({"seen": None, "order": None}, None),
        ({"order": {"placed_at": BEGAN}}, BEGAN - 60_000),
        ({"order": {"placed_at": BEGAN}, "seen": [{"at": BEGAN - 1}, {"at": BEGAN + 1}]}, BEGAN - 60_001),
        ({"order": {"placed_at": None}, "seen": [{"at": BEGAN}]}, BEGAN - 60_000),
    ],
)
def test_an_order_begins_a_minute_before_the_first_that_is_known_of_it(
    state: dict[str, Any], begin: int | None
) -> None:
    assert begin_of(state) == begin


@pytest.mark.parametrize(("gap", "count"), [(120_000, 1), (120_001, 2)])
def test_moments_a_minute_to_either_side_of_each_other_are_one(gap: int, count: int) -> None:
    ended = {**order("completed", HOUR, HOUR + gap, 50 * HOUR)}
    assert len(find_records(SteadyLog(hours=100), "o-1", ended).rounds) == count + 1


def test_so_much_is_read_without_a_second_thought() -> None:
    places = len(places_of(SteadyLog(1), MESSAGE_TOPICS, "o-1"))
    fits, rest = divmod(200_000, places)
    for count, unread in ((fits, 0), (fits + 1, places * (fits + 1 - 5_000))):
        log = SteadyLog(hours=1)
        log.end = count
        assert find_records(log, "o-1", {}).unread == unread
    assert rest < places
