"""Offsets that an open transaction hides are waited for, by steps, as long as a transaction may be open."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ensemble.kafka.worker.group_offsets import GroupOffsets
from ensemble.kafka.worker.heartbeat import Heartbeat

PLACES = [TopicPartition("shop.commands", 0)]


class HiddenOffsets:
    """A consumer that fails some times before it returns the offsets."""

    def __init__(self, *codes: int) -> None:
        self._codes, self.timeouts = list(codes), list[float]()

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.timeouts.append(timeout)
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return places


def test_hidden_offsets_are_waited_for_in_short_steps() -> None:
    """One long call would hear no signal, and show no sign of life."""
    consumer: Any = HiddenOffsets(KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR, KafkaError.UNSTABLE_OFFSET_COMMIT)
    assert GroupOffsets(10, Heartbeat()).read(consumer, PLACES) == PLACES
    assert max(consumer.timeouts) <= 2


def test_the_wait_is_longer_than_any_transaction_of_a_predecessor() -> None:
    """With a timeout of 60 s offsets are hidden for up to 70 s; successors used to give up after 40 s, one by one."""
    consumer: Any = HiddenOffsets(*[KafkaError._TIMED_OUT] * 3)
    with pytest.raises(KafkaException, match="an open transaction hides them"):
        GroupOffsets(-30, Heartbeat()).read(consumer, PLACES)
    assert GroupOffsets(60, Heartbeat()).limit_s >= 80


def test_a_refusal_is_not_waited_out() -> None:
    consumer: Any = HiddenOffsets(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        GroupOffsets(10, Heartbeat()).read(consumer, PLACES)
    assert len(consumer.timeouts) == 1
