"""A record from the future tells that a clock is wrong."""

from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE
from structlog.testing import capture_logs

from ensemble.clock import ManualClock
from ensemble.kafka.worker.clock_skew import ClockSkew


class Stamped:
    """A record of shop.commands that was written at some time."""

    def __init__(self, written_at: int, kind: int = TIMESTAMP_CREATE_TIME) -> None:
        self._stamp = kind, written_at

    def timestamp(self) -> tuple[int, int]:
        return self._stamp

    def topic(self) -> str:
        return "shop.commands"


def skew_after(*records: Stamped, later_s: float = 0) -> ClockSkew:
    clock = ManualClock(1_000_000)
    skew = ClockSkew(clock)
    for record in records:
        stamped: Any = record
        skew.note(stamped)
    clock.advance(later_s)
    return skew


def test_records_of_the_past_and_of_the_same_second_tell_nothing() -> None:
    assert skew_after(Stamped(10), Stamped(1_000_900)).describe() == ""


def test_a_record_of_a_topic_that_brokers_stamp_tells_how_far_this_machine_is_behind() -> None:
    skew = skew_after(Stamped(1_090_000, TIMESTAMP_LOG_APPEND_TIME), Stamped(1_000_000))
    assert skew.describe() == "this machine's clock is at least 90.0 s behind the broker's"


def test_a_second_is_tolerated_and_what_is_beyond_is_told_once() -> None:
    with capture_logs() as logs:
        assert skew_after(Stamped(1_001_000)).describe() == ""
    assert logs == []
    with capture_logs() as logs:
        skew = skew_after(Stamped(1_000_500), Stamped(1_001_001), Stamped(1_001_002), Stamped(1_000_700))
    assert (skew.current_ms, skew.describe() != "") == (1_002, True)
    assert [line["reason"] for line in logs] == [
        "this machine's clock is at least 1.0 s behind that of a sender to shop.commands, or that one is ahead"
    ]


def test_a_senders_stamp_does_not_tell_whose_clock_is_wrong() -> None:
    text = skew_after(Stamped(1_002_000)).describe()
    assert (
        text == "this machine's clock is at least 2.0 s behind that of a sender to shop.commands, or that one is ahead"
    )


def test_a_clock_that_was_set_right_is_believed_after_a_while() -> None:
    assert skew_after(Stamped(1_002_000), later_s=299.999).current_ms == 2_000
    assert skew_after(Stamped(1_002_000), later_s=300).describe() == ""
    assert skew_after(Stamped(1_002_000), later_s=-300).describe() == ""


def test_a_record_without_a_time_tells_nothing() -> None:
    assert skew_after(Stamped(-1, TIMESTAMP_NOT_AVAILABLE)).current_ms == 0
