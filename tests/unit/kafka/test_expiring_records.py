"""Unread records that retention will remove are told of in time."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from ensemble.clock import ManualClock
from ensemble.kafka.worker.expiring_records import EVERY_S, ExpiringRecords

PLACE, FOR_EVER = ("payments.events", 0), ("payments.control", 0)
DAY_MS = 86_400_000


class Log:
    """An admin client of one partition whose records 0 to 9 were written one a day, and monotonic time."""

    def __init__(self) -> None:
        self.end, self.seconds, self.is_silent = 10, 0.0, False
        self.pending: Future[Any] | None = None

    def list_offsets(self, specs: dict[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        return {place: self._answer(spec._value) for place, spec in specs.items()}

    def _answer(self, spec: int) -> Future[Any]:
        if self.pending is not None and spec >= 0:
            return self.pending
        answer: Future[Any] = Future()
        if self.is_silent:
            answer.set_exception(KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)))
        else:
            first = next((offset for offset in range(self.end) if offset * DAY_MS >= spec), -1)
            answer.set_result(SimpleNamespace(offset=first if spec >= 0 else self.end))
        return answer


def watch(log: Any, day: float) -> ExpiringRecords:
    clock = ManualClock(round(day * DAY_MS))
    return ExpiringRecords(log, clock, {PLACE[0]: 7 * 86_400.0}, lambda: log.seconds)


def looked(log: Log, watcher: ExpiringRecords, position: int) -> bool:
    log.seconds += EVERY_S
    for _ in range(2):  # one look asks, the next one takes the answer
        watcher.sample({PLACE: position, FOR_EVER: 0})
    return watcher.places == {PLACE}


@pytest.mark.parametrize(
    ("day", "position", "is_expiring"),
    [(12, 8, True), (12, 9, False), (12, 10, False), (20, 9, True), (20, 10, False), (3, 0, False)],
    ids=["4 days old", "3 days old", "all read", "nothing newer", "all read long ago", "all young"],
)
def test_unread_records_are_told_of_at_half_of_their_retention(day: int, position: int, is_expiring: bool) -> None:
    log = Log()
    assert looked(log, watch(log, day), position) is is_expiring


def test_answers_are_awaited_and_partitions_that_went_meanwhile_are_left_out() -> None:
    # given a question whose answer is still under way
    log = Log()
    watcher = watch(log, 12)
    log.pending = Future()
    watcher.sample({PLACE: 8})
    watcher.sample({PLACE: 8})
    assert watcher.places == frozenset()

    # when it comes, and the partition is another's by now
    pending, log.pending = log.pending, None
    pending.set_result(SimpleNamespace(offset=9))
    watcher.sample({})
    assert watcher.places == frozenset()

    # then it is asked again in a minute
    assert looked(log, watcher, 8)


def test_an_answer_that_takes_its_time_counts_when_it_comes() -> None:
    log = Log()
    watcher = watch(log, 12)
    log.pending = pending = Future[Any]()
    for _ in range(3):
        watcher.sample({PLACE: 8})
    log.pending = None
    pending.set_result(SimpleNamespace(offset=9))
    with capture_logs() as logs:
        watcher.sample({PLACE: 8})
    assert watcher.places == {PLACE}
    words = (
        "unread records have used up half of the 168 h that the topic keeps them; let the partition go on, or raise "
        "the topic's retention.ms, before they are lost"
    )
    assert logs == [
        {
            "event": "records.expiring",
            "log_level": "warning",
            "topic": PLACE[0],
            "partition": PLACE[1],
            "offset": 8,
            "reason": words,
        }
    ]


def test_it_is_over_once_they_are_read() -> None:
    log = Log()
    watcher = watch(log, 12)
    assert looked(log, watcher, 8)
    assert not looked(log, watcher, 10)


def test_a_broker_that_does_not_answer_changes_nothing() -> None:
    log = Log()
    watcher = watch(log, 12)
    assert looked(log, watcher, 8)
    log.is_silent = True
    assert looked(log, watcher, 8)
