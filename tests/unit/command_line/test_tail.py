"""Records as they come: until they have caught up where that is asked for, and with what Kafka's absence is told by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import pytest

from contracts import CompleteOrder
from ensemble.command_line.commands.tail import Filters
from ensemble.command_line.tail import Selection, _time, filled, live_entries, select_entries
from ensemble.kafka.client import ReceivedRecord
from ensemble.messages import encoder_for

PLAIN: dict[str, Any] = {"topics": (), "from_beginning": True, "until_end": False, "limit": None, "key": None}


def selection(**fields: Any) -> Selection:
    return Selection(**PLAIN | fields)


def record(offset: int, key: bytes = b"o-1", order_id: str = "o-1", partition: int = 0) -> ReceivedRecord:
    value = encoder_for(CompleteOrder)(CompleteOrder(order_id=order_id))
    return ReceivedRecord("orders.commands", partition, offset, 1_000 - offset, key, value, {}, ())


class Follower:
    """Gives one batch after the other; it has caught up, and has these problems, after as many polls."""

    def __init__(self, *batches: Sequence[ReceivedRecord], caught_up_after: int, problems: Sequence[str] = ()) -> None:
        self.batches, self.caught_up_after, self.problems = batches, caught_up_after, problems
        self.polls = 0

    def poll(self, _: float) -> Sequence[ReceivedRecord]:
        self.polls += 1
        return self.batches[self.polls - 1] if self.polls <= len(self.batches) else ()

    @property
    def has_caught_up(self) -> bool:
        return self.polls >= self.caught_up_after

    @property
    def problem(self) -> str:
        return self.problems[self.polls - 1] if self.polls <= len(self.problems) else ""


def offsets(follower: Any, which: Selection) -> Iterator[int]:
    return (entry.record.offset for entry in live_entries(follower, which))


def test_records_come_until_all_are_read_where_that_is_asked_for() -> None:
    batches = [[record(1)], [record(2)], [record(3)]]
    assert list(offsets(Follower(*batches, caught_up_after=2), selection(until_end=True))) == [1, 2]
    assert list(islice(offsets(Follower(*batches, caught_up_after=1), selection()), 3)) == [1, 2, 3]


def test_that_kafka_is_away_and_back_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    problems = ["", "no broker", "no broker", "no leader", "", ""]
    assert list(offsets(Follower(caught_up_after=7, problems=problems), selection(until_end=True))) == []
    assert capsys.readouterr().err.splitlines() == [
        "waiting for Kafka: no broker",
        "waiting for Kafka: no leader",
        "Kafka is back",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"key": "o-2"}, [4, 2]),
        ({"since": 997}, [3, 2, 1]),
        ({"types": frozenset({"CompleteOrder"})}, [4, 3, 2, 1]),
        ({"types": frozenset({"CancelOrder"})}, []),
        ({"partition": 1}, [3]),
        ({"partition": 0, "key": "o-1"}, [4, 2, 1]),
        ({"pattern": re.compile("o-[2]")}, [4, 2]),
        ({"pattern": re.compile("CompleteOrder")}, [4, 3, 2, 1]),
    ],
)
def test_records_are_selected_in_the_order_of_their_times(fields: dict[str, Any], expected: list[int]) -> None:
    records = [record(1), record(2, order_id="o-2"), record(3, partition=1), record(4, key=b"o-2")]
    assert [entry.record.offset for entry in select_entries(records, selection(**fields))] == expected


def test_a_template_is_filled_with_the_message_first_and_then_the_record() -> None:
    [entry] = select_entries([record(1, key=b"k", order_id="o-9")], selection())
    assert filled("{order_id}\\t{key} {place} {offset}{nothing}|{ key }", entry) == (
        "o-9\tk orders.commands/0/1 1|{ key }"
    )


@pytest.mark.parametrize(
    ("given", "from_beginning"),
    [
        ({}, False),
        ({"until_end": True}, True),
        ({"since": "1h"}, False),
        ({"until_end": True, "since": "1h"}, False),
        ({"from_beginning": True, "since": "1h"}, True),
    ],
)
def test_records_that_are_there_are_read_where_nothing_else_could_be_meant(
    given: dict[str, Any], *, from_beginning: bool
) -> None:
    assert Filters(**given).selection(None).from_beginning is from_beginning
    assert Filters(**given).selection(None, "o-1").key == "o-1"


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        ("2026-11-30T23:59:59+00:00", "23:59:58.250"),
        ("2026-12-01T00:00:00+00:00", "2026-11-30T23:59:58.250Z"),
    ],
    ids=["today", "yesterday"],
)
def test_a_time_of_another_day_has_its_date(now: str, shown: str) -> None:
    at = datetime.fromisoformat("2026-11-30T23:59:58.250+00:00")
    assert _time(round(at.timestamp() * 1000), datetime.fromisoformat(now)) == shown
