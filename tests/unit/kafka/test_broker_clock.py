"""Acknowledgements of brokers tell the time; what is done to the machine's clock then has no effect."""

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME
from structlog.testing import capture_logs

from ensemble.clock import ManualClock
from ensemble.kafka.worker.broker_clock import _KEEP_MS, BrokerClock

START = 1_750_000_000_000
HOUR_S = 3600
PLACES = [("shop.changelog", partition) for partition in range(3)]


class Machine:
    """A machine that has run for 1,000 s, the right time, and its clock, which may be wrong."""

    def __init__(self, *, wrong_by_s: float = 0) -> None:
        self._true, self._wrong_ms = ManualClock(START), 0
        self.clock = BrokerClock(self, steady=lambda: self._true.now() - START + 1_000_000)
        self.set(wrong_by_s)

    def now(self) -> int:
        return self._true.now() + self._wrong_ms

    def set(self, wrong_by_s: float) -> None:
        self._wrong_ms = round(wrong_by_s * 1000)

    def write(self, *, broker_wrong_by_s: float = 0, takes_s: float = 0.1, partition: int = 0) -> None:
        """Write one record, which its broker takes in the middle of the time until its acknowledgement."""
        mark = self.clock.start_write()
        self._true.advance(takes_s / 2)
        taken_at = self._true.now() + round(broker_wrong_by_s * 1000)
        self._true.advance(takes_s / 2)
        self.clock.note(PLACES[partition], (TIMESTAMP_LOG_APPEND_TIME, taken_at), mark)

    @property
    def error_ms(self) -> int:
        """How far the service's time is ahead of the right one."""
        return self.clock.now() - self._true.now()


def test_until_a_broker_has_told_its_time_the_machines_is_told() -> None:
    machine = Machine(wrong_by_s=HOUR_S)
    machine.clock.note(PLACES[0], (TIMESTAMP_CREATE_TIME, START), machine.clock.start_write())
    assert (machine.error_ms, machine.clock.skew_ms) == (HOUR_S * 1000, 0)


def test_a_machine_that_is_ahead_or_behind_goes_by_the_brokers_time() -> None:
    for wrong_by_s in (HOUR_S, -HOUR_S, 24 * HOUR_S):
        machine = Machine(wrong_by_s=wrong_by_s)
        machine.write()
        assert abs(machine.error_ms) <= 50
        assert abs(machine.clock.skew_ms + wrong_by_s * 1000) <= 50


def test_the_text_says_in_which_direction_and_only_above_a_second() -> None:
    texts = []
    for wrong_by_s in (HOUR_S, -2, 0.9):
        machine = Machine(wrong_by_s=wrong_by_s)
        machine.write(takes_s=0)
        texts.append(machine.clock.describe())
    assert texts == [
        "this machine's clock is 3600.0 s ahead of the brokers'; the service goes by theirs, set this one right",
        "this machine's clock is 2.0 s behind the brokers'; the service goes by theirs, set this one right",
        "",
    ]


def test_a_clock_that_is_set_while_the_process_runs_moves_nothing() -> None:
    machine = Machine()
    machine.write()
    for jump_s in (24 * HOUR_S, -24 * HOUR_S, 0):
        machine.set(jump_s)
        assert machine.error_ms == 0


def test_a_slow_acknowledgement_is_no_skew() -> None:
    machine = Machine()
    machine.write(takes_s=30)
    assert machine.error_ms == 0


def test_one_broker_whose_clock_is_wrong_is_outvoted() -> None:
    machine = Machine()
    for partition, wrong_by_s in enumerate((0, HOUR_S, 0)):
        machine.write(broker_wrong_by_s=wrong_by_s, partition=partition)
    assert abs(machine.error_ms) <= 50


def test_brokers_that_are_set_right_are_followed() -> None:
    machine = Machine()
    machine.write(broker_wrong_by_s=HOUR_S)
    machine.write()
    assert abs(machine.error_ms) <= 50


def test_a_clock_that_is_set_wrong_is_told_once_and_again_after_it_was_right() -> None:
    machine = Machine()
    with capture_logs() as events:
        for wrong_by_s in (0, HOUR_S, HOUR_S, 0, -HOUR_S):
            machine.set(wrong_by_s)
            machine.write(takes_s=0)
    directions = [event["reason"].partition(" s ")[2].partition(" ")[0] for event in events]
    assert directions == ["ahead", "behind"]


def test_records_are_stamped_with_the_brokers_time_once_it_is_known() -> None:
    machine = Machine(wrong_by_s=HOUR_S)
    stamps = [machine.clock.stamp()]
    machine.write(takes_s=0)
    assert [*stamps, machine.clock.stamp()] == [0, START]


@pytest.mark.parametrize(("beyond_s", "error_s"), [(0.0, HOUR_S), (0.001, 0)])
def test_what_a_broker_told_long_ago_has_no_vote(beyond_s: float, error_s: float) -> None:
    machine = Machine()
    machine.write(broker_wrong_by_s=HOUR_S, takes_s=0, partition=1)
    machine._true.advance(_KEEP_MS / 1000 + beyond_s)
    machine.write(takes_s=0)
    assert machine.error_ms == error_s * 1000


@pytest.mark.parametrize(("wrong_by_s", "is_told"), [(1.0, False), (1.001, True), (-1.0, False), (-1.001, True)])
def test_a_second_is_tolerated(wrong_by_s: float, *, is_told: bool) -> None:
    machine = Machine(wrong_by_s=wrong_by_s)
    machine.write(takes_s=0)
    assert bool(machine.clock.describe()) is is_told
