"""Offsets that an open transaction hides keep nobody waiting; which are hidden, and for how long, is said."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from ensemble.kafka.worker.group_offsets import GroupOffsets
from ensemble.kafka.worker.heartbeat import Heartbeat
from tests.support.steady_clock import SteadyClock

PLACES = [TopicPartition("shop.commands", 0)]
LIMIT_S = 40.0
REMEDY = (
    "No transaction of a service is open for so long, so the broker may have lost the end of one: see 'Offsets that "
    "stay hidden' in docs/operations.md"
)


class HiddenOffsets:
    """A consumer that fails some times before it returns the offsets."""

    def __init__(self, *codes: int) -> None:
        self._codes, self.timeouts = list(codes), list[float]()

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.timeouts.append(timeout)
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return places


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def offsets(clock: SteadyClock) -> GroupOffsets:
    return GroupOffsets(10, Heartbeat(), clock)


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR, KafkaError.UNSTABLE_OFFSET_COMMIT])
def test_hidden_offsets_are_asked_for_by_short_calls(offsets: GroupOffsets, code: int) -> None:
    """One long call would hear no signal, show no sign of life, and hold up every rebalance of the group."""
    consumer: Any = HiddenOffsets(code, code)
    assert offsets.read(consumer, PLACES) is None
    assert offsets.read_again(consumer, PLACES) is None
    assert offsets.read_again(consumer, PLACES) == PLACES
    assert consumer.timeouts[0] <= 2
    assert max(consumer.timeouts[1:]) <= 0.5


def test_a_refusal_is_not_waited_out(offsets: GroupOffsets) -> None:
    for read in (offsets.read, offsets.read_again):
        consumer: Any = HiddenOffsets(KafkaError.GROUP_AUTHORIZATION_FAILED)
        with pytest.raises(KafkaException):
            read(consumer, PLACES)


def test_hidden_partitions_take_turns(offsets: GroupOffsets, clock: SteadyClock) -> None:
    assert offsets.next_hidden() is None
    offsets.hide([0, 3])
    assert offsets.next_hidden() == 0
    offsets.read_again(HiddenOffsets(KafkaError._TIMED_OUT), PLACES)  # type: ignore[arg-type]  # it has all that is called
    clock.now += 2
    offsets.hide([0])
    offsets.hide([])
    assert offsets.next_hidden() is None, "so soon after an answer that took long"
    clock.now += 2
    assert offsets.next_hidden() == 3
    offsets.forget([3, 0])
    assert offsets.next_hidden() is None


def test_who_waits_says_so_and_since_when(offsets: GroupOffsets, clock: SteadyClock) -> None:
    assert offsets.describe() == ""
    offsets.read(HiddenOffsets(KafkaError.UNSTABLE_OFFSET_COMMIT), PLACES)  # type: ignore[arg-type]  # as above
    offsets.hide([3])
    clock.now += 5
    offsets.hide([0, 3])
    clock.now += 7
    assert offsets.describe().startswith("partitions 0, 3 wait for the group's offsets for 12 s: ")
    offsets.forget([3])
    assert offsets.describe().startswith("partitions 0 wait for the group's offsets for 7 s: ")


def test_a_wait_that_no_open_transaction_explains_is_an_error_once(offsets: GroupOffsets, clock: SteadyClock) -> None:
    """Such a transaction is aborted after its timeout; what hides offsets for longer, an operator has to end."""
    with capture_logs() as logs:
        for _ in range(30):
            offsets.hide([0])
            clock.now += 2
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("offsets.delayed", "warning"),
        ("offsets.hidden", "error"),
    ]
    assert offsets.overlong_s == 60
    offsets.forget([0])
    assert offsets.overlong_s == 0


def test_a_wait_that_an_open_transaction_explains_is_nothing_to_look_at(
    offsets: GroupOffsets, clock: SteadyClock
) -> None:
    offsets.hide([0])
    clock.now += LIMIT_S
    assert offsets.overlong_s == 0


def test_which_partitions_wait_is_logged_as_they_come_with_the_reason_and_then_the_remedy(clock: SteadyClock) -> None:
    offsets = GroupOffsets(10, Heartbeat(), clock)
    hidden: Any = HiddenOffsets(KafkaError.UNSTABLE_OFFSET_COMMIT)
    said = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT).str()
    reason = f"{said}; an open transaction hides them, or the group has no coordinator"
    with capture_logs() as logs:
        offsets.read(hidden, PLACES)
        offsets.hide([3, 0])
        offsets.hide([0, 5])
        offsets.hide([5])
        clock.now += LIMIT_S
        offsets.hide([0])
        clock.now += 0.1
        offsets.hide([0])
    told = [(line["log_level"], line.get("partitions"), line["reason"]) for line in logs]
    assert told == [
        ("warning", [0, 3], reason),
        ("warning", [5], reason),
        ("error", None, f"partitions 0, 3, 5 wait for the group's offsets for 40 s: {reason}. {REMEDY}"),
    ]


def test_it_is_told_again_once_another_one_waits_for_too_long(offsets: GroupOffsets, clock: SteadyClock) -> None:
    with capture_logs() as logs:
        for forgotten in ([], [0], [1]):
            offsets.hide([0, 1])
            clock.now += LIMIT_S + 1
            offsets.hide([0, 1])
            offsets.forget(forgotten)
    assert [line["event"] for line in logs].count("offsets.hidden") == 1, "one waited all the time"
    offsets.forget([0, 1])
    with capture_logs() as logs:
        offsets.hide([0])
        clock.now += LIMIT_S + 1
        offsets.hide([0])
    assert [line["event"] for line in logs] == ["offsets.delayed", "offsets.hidden"]


def test_of_no_place_nothing_is_asked(offsets: GroupOffsets) -> None:
    consumer: Any = HiddenOffsets()
    assert offsets.read(consumer, []) == []
    assert consumer.timeouts == []
