"""Judges a deadline only after the inputs were read up to an end that was taken after it fell due.

Otherwise an outage of this service, or a lag, would look like the others' silence.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping
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
    """Decides up to which time a task's timers may fire."""

    def __init__(self, admin: AdminClient, topics: list[str]) -> None:
        self._admin, self._topics = admin, topics
        self._read_to: dict[TopicPlace, int] = {}
        self._not_passed: dict[TopicPlace, int] = {}
        """The ends of `_read_to` that no task knows of yet."""
        self._ends: dict[int, tuple[int, dict[TopicPlace, int]]] = {}
        self._silent_until = 0.0

    def waits_for(self, partitions: Container[int]) -> bool:
        """Return whether due timers of these partitions wait, for inputs to be read or for the broker to answer."""
        is_silent = time.monotonic() < self._silent_until
        return is_silent or any(partition in partitions for partition in self._ends)

    def reached(self, topic: str | None, partition: int | None, offset: int | None) -> None:
        """Note that the consumer has read the partition to its present end, which is before `offset`."""
        place = topic or "", partition or 0
        self._read_to[place] = self._not_passed[place] = offset or 0

    def pass_markers(self, tasks: Mapping[int, PartitionTask]) -> None:
        """Move the tasks' positions to the ends that were reached, behind commit markers and aborted records.

        Call it after a batch has taken, or put back, all records that were polled before those ends.
        """
        for place in [place for place in self._not_passed if place[1] in tasks]:
            topic, partition = place
            tasks[partition].pass_markers(topic, self._not_passed.pop(place))

    def forget(self, partitions: Container[int]) -> None:
        """Forget how far these partitions were read: they are read from elsewhere, or were assigned now."""
        self._read_to = {place: end for place, end in self._read_to.items() if place[1] not in partitions}
        self._not_passed = {place: end for place, end in self._not_passed.items() if place[1] not in partitions}
        self._ends = {partition: ends for partition, ends in self._ends.items() if partition not in partitions}

    def put_back(self, places: Iterable[TopicPlace]) -> None:
        """Forget the ends of these alone, which are read again; the consumer reports other ends only once."""
        for place in places:
            self._read_to.pop(place, None)
            self._not_passed.pop(place, None)

    def open_until(self, task: PartitionTask, now: int) -> int | None:
        """Return the time until which the task's timers may be judged now; None if none is due, or they must wait."""
        due = task.next_timer()
        if due is None or due > now:
            self._ends.pop(task.partition, None)
            return None
        if task.partition not in self._ends and not self._ask(task.partition, now):
            return None
        taken_at, ends = self._ends[task.partition]
        if not all(self._is_read(task, place, end) for place, end in ends.items()):
            return None
        del self._ends[task.partition]
        return taken_at

    def _ask(self, partition: int, now: int) -> bool:
        """Take the inputs' present ends. Return False while the broker does not answer."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            ends = high_watermarks(self._admin, [(topic, partition) for topic in self._topics], _TIMEOUT_S)
        except KafkaException as error:
            log.warning("deadlines.deferred", reason=error.args[0].str())
            self._silent_until = time.monotonic() + _PAUSE_S
            return False
        self._ends[partition] = (now, ends)
        return True

    def _is_read(self, task: PartitionTask, place: TopicPlace, end: int) -> bool:
        return max(self._read_to.get(place, 0), task.positions.get(place[0], 0)) >= end
