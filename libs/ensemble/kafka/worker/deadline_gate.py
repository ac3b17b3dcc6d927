"""A deadline is judged only after the inputs were read up to an end that was taken after it fell due.

Otherwise an outage of this service, or a lag, would look like the others' silence.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable
from typing import Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.engine.task import PartitionTask
from ensemble.kafka.offsets import high_watermarks
from ensemble.kafka.records import TopicPlace

log = structlog.get_logger()

_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 1.0


class DeadlineGate:
    """Says up to which time a task's timers may fire."""

    def __init__(self, admin: AdminClient, topics: list[str]) -> None:
        self._admin, self._topics = admin, topics
        self._read_to: dict[TopicPlace, int] = {}
        self._asked: dict[int, tuple[int, dict[TopicPlace, int]]] = {}
        self._silent_until = 0.0

    def waits_for(self, partitions: Container[int]) -> bool:
        """Timers of one of these are due, but their inputs are not read far enough, or nobody tells how far."""
        is_silent = time.monotonic() < self._silent_until
        return is_silent or any(partition in partitions for partition in self._asked)

    def reached(self, topic: str | None, partition: int | None, offset: int | None) -> None:
        """Note that the consumer has read the partition to its present end, which is before `offset`."""
        self._read_to[topic or "", partition or 0] = offset or 0

    def forget(self, partitions: Container[int]) -> None:
        """Forget the end offsets of these partitions, which are new or were set back."""
        self._read_to = {place: end for place, end in self._read_to.items() if place[1] not in partitions}
        self._asked = {partition: asked for partition, asked in self._asked.items() if partition not in partitions}

    def put_back(self, places: Iterable[TopicPlace]) -> None:
        """Forget the end offsets of these places only; the consumer reports the end of the others no second time."""
        for place in places:
            self._read_to.pop(place, None)

    def open_until(self, task: PartitionTask, now: int) -> int | None:
        """Return the time until which the task's timers may be judged now, or None if no timer may be."""
        due = task.next_timer()
        if due is None or due > now:
            self._asked.pop(task.partition, None)
            return None
        if task.partition not in self._asked and not self._ask(task.partition, now):
            return None
        asked_at, ends = self._asked[task.partition]
        if not all(self._is_read(task, place, end) for place, end in ends.items()):
            return None
        del self._asked[task.partition]
        return asked_at

    def _ask(self, partition: int, now: int) -> bool:
        """Take the inputs' present ends; False while the broker does not tell them."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            ends = high_watermarks(self._admin, [(topic, partition) for topic in self._topics], _TIMEOUT_S)
        except KafkaException as error:
            log.warning("deadlines.wait", reason=error.args[0].str())
            self._silent_until = time.monotonic() + _PAUSE_S
            return False
        self._asked[partition] = (now, ends)
        return True

    def _is_read(self, task: PartitionTask, place: TopicPlace, end: int) -> bool:
        return max(self._read_to.get(place, 0), task.positions.get(place[0], 0)) >= end
