"""Waits are reported after two seconds and then every ten, and end with the call or at the limit."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ensemble.clock import until
from ensemble.waiting import Reminder, map_at_once, wait_for
from tests.support.steady_clock import SteadyClock


def seconds_of(reports: list[str]) -> list[float]:
    return [float(report) for report in reports]


def test_a_wait_is_reported_after_two_seconds_and_then_every_ten() -> None:
    clock, reports = SteadyClock(100.0), list[str]()
    reminder = Reminder(reports.append, clock)
    for second in range(26):
        clock.now = 100.0 + second
        reminder.remind(str(second))
    assert seconds_of(reports) == [2, 12, 22]


def test_a_wait_that_begins_anew_is_reported_after_two_seconds() -> None:
    clock, reports = SteadyClock(100.0), list[str]()
    reminder = Reminder(reports.append, clock)
    for second in range(8):
        clock.now = 100.0 + second
        if second == 5:
            reminder.restart()
        reminder.remind(str(second))
    assert seconds_of(reports) == [2, 7]


def test_the_answer_is_returned() -> None:
    assert wait_for(lambda: 42, 60, lambda: "the answer") == 42


def test_an_error_is_raised_as_it_is() -> None:
    def fail() -> None:
        raise TimeoutError("the call's own")

    with pytest.raises(TimeoutError, match="the call's own"):
        wait_for(fail, 60, lambda: "the answer")


def test_a_call_that_takes_too_long_is_abandoned_with_words() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s: Kafka is silent"):
        wait_for(never.wait, 0.1, lambda: "Kafka is silent")
    abandoned = [thread for thread in threading.enumerate() if thread.name == "waiting"]
    assert abandoned
    assert all(thread.daemon for thread in abandoned), "they would keep the process from ending"
    never.set()


def test_a_call_that_takes_long_is_reported_while_it_lasts() -> None:
    reported = threading.Event()
    reports: list[str] = []

    def report(reason: str) -> None:
        reports.append(reason)
        reported.set()

    assert wait_for(lambda: reported.wait(30), 60, lambda: "Kafka is silent", report)
    assert reports == ["Kafka is silent"]


def test_calls_at_once_are_answered_in_order() -> None:
    assert map_at_once(lambda number: -number, range(20), 3) == [-number for number in range(20)]
    assert map_at_once(lambda number: -number, [], 3) == []


def test_calls_at_once_run_side_by_side() -> None:
    everybody = threading.Barrier(3)

    def meet(_: int) -> bool:
        everybody.wait(60)
        return threading.current_thread().daemon

    assert map_at_once(meet, range(3), 3) == [True, True, True]


def test_no_more_calls_run_side_by_side_than_are_asked_for() -> None:
    pair = threading.Barrier(2)

    def meet(_: int) -> int:
        pair.wait(60)
        return threading.get_ident()

    assert len(set(map_at_once(meet, range(20), 2))) == 2


def test_a_call_that_fails_lets_the_others_be_made() -> None:
    made: list[int] = []

    def make(number: int) -> None:
        made.append(number)
        if number == 0:
            raise ValueError("the first one")

    with pytest.raises(ValueError, match="the first one"):
        wait_for(lambda: map_at_once(make, range(3), 1), 30, lambda: "not all are answered")
    for thread in threading.enumerate():
        if thread.name == "at-once":
            thread.join(60)
    assert made == [0, 1, 2]


@pytest.fixture
def heard() -> Iterator[threading.Event]:
    """Set when this process has heard a signal."""
    event = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGUSR1, before)


def waits(thread: threading.Thread) -> bool:
    return sys._current_frames()[thread.ident or 0].f_code.co_name == "wait"


@pytest.mark.parametrize(
    "make", [lambda call: map_at_once(call, [0], 1)[0], lambda call: wait_for(partial(call, 0), 30, str)]
)
def test_a_signal_that_another_thread_was_given_is_heard_while_one_waits(
    make: Callable[[Callable[[int], bool]], bool], heard: threading.Event
) -> None:
    def call(_: int) -> bool:
        looks = (waits(threading.main_thread()) for _ in until(30, 0.01))
        assert sum(itertools.islice(filter(None, looks), 3)) == 3
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return heard.wait(10)

    assert make(call)
