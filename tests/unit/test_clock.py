"""Times: as text, of the hand-turned clock, and of waits that have an end."""

import time
from itertools import islice

import pytest

from ensemble.clock import (
    ManualClock,
    SystemClock,
    clock,
    clock_seconds,
    duration,
    epoch_ms,
    moment_of,
    retry,
    rfc3339,
    until,
)

LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
        (-1, "-1 ms"),
        (LAST_MS + 1, f"{LAST_MS + 1} ms"),
    ],
)
def test_a_time_is_written_as_cloudevents_does_and_any_other_number_as_it_is(at: int, text: str) -> None:
    assert rfc3339(at) == text
    assert (moment_of(at) is None) == text.endswith(" ms")


def test_the_machine_s_clock_counts_milliseconds() -> None:
    assert abs(SystemClock().now() - time.time() * 1000) < 60_000


def test_a_clock_that_is_turned_by_hand_moves_then_only() -> None:
    by_hand = ManualClock(1000)
    by_hand.advance(1.5)
    by_hand.advance(-0.25)
    assert (by_hand.now(), by_hand.now()) == (2250, 2250)


def test_a_wait_has_one_attempt_at_least_and_an_end() -> None:
    assert list(islice(until(0), 2)) == [0]
    lefts = list(islice(until(60, pause_s=0), 3))
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[0] == 60
    assert 50 < lefts[-1] < 60


def test_a_wait_pauses_between_two_attempts() -> None:
    began = time.monotonic()
    assert len(list(islice(until(5, pause_s=0.02), 3))) == 3
    assert time.monotonic() - began >= 0.04


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (45, "0.045 s"),
        (-9_999, "9.999 s"),
        (10_000, "10 s"),
        (119_000, "119 s"),
        (120_000, "2 min"),
        (7_199_000, "120 min"),
        (7_200_000, "2 h"),
        (2 * 86_400_000 - 1, "48 h"),
        (2 * 86_400_000, "2 d"),
    ],
)
def test_a_duration_has_the_unit_of_which_there_are_two_at_least(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_a_time_of_day_is_told_to_the_millisecond_or_to_the_second() -> None:
    assert (clock(1_790_000_000_123), clock_seconds(1_790_000_000_123)) == ("14:13:20.123", "14:13:20")
    assert (clock(-5), clock_seconds(-5)) == ("-5 ms", "-5 ms")


def test_a_moment_and_its_milliseconds_are_the_same_time() -> None:
    moment = moment_of(1_790_000_000_123)
    assert moment is not None
    assert (epoch_ms(moment), moment.microsecond, moment_of(None)) == (1_790_000_000_123, 123_000, None)


def test_what_may_pass_is_tried_again_and_the_last_error_is_raised() -> None:
    errors = [ValueError("first"), ValueError("second"), KeyError("third")]
    asked: list[Exception] = []

    def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    def may_pass(error: Exception) -> bool:
        asked.append(error)
        return isinstance(error, ValueError)

    with pytest.raises(KeyError, match="third"):
        retry(attempt, 60, 0, may_pass)
    assert [str(each) for each in asked] == ["first", "second", "'third'"]
    assert retry(attempt, 0, 0, may_pass) == "done"
    errors[:] = [ValueError("the only one"), ValueError("never")]
    with pytest.raises(ValueError, match="the only one"):
        retry(attempt, 0, 0, may_pass)
