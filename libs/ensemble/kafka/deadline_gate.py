"""A deadline is judged only after the inputs were read up to an end that was taken after it fell due.

Otherwise an outage of this service, or a lag, would look like the others' silence.
"""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from ensemble.kafka.restore import Place, high_watermarks
from ensemble.task import PartitionTask

_TIMEOUT_S = 10.0


class DeadlineGate:
    """Says up to which time a task's timers may fire."""

    def __init__(self, admin: AdminClient, topics: list[str]) -> None:
        self._admin, self._topics = admin, topics
        self._read_to: dict[Place, int] = {}
        self._asked: dict[int, tuple[int, dict[Place, int]]] = {}

    @property
    def is_waiting(self) -> bool:
        """Timers are due, but their inputs are not read far enough."""
        return bool(self._asked)

    def reached(self, topic: str | None, partition: int | None, offset: int | None) -> None:
        """The consumer has read the partition to its present end, which is before `offset`."""
        self._read_to[topic or "", partition or 0] = offset or 0

    def forget(self) -> None:
        """Positions were set back or partitions changed: what was read before counts no more."""
        self._read_to, self._asked = {}, {}

    def open_until(self, task: PartitionTask, now: int) -> int | None:
        """The time until which the task's timers may be judged now; None when none is due, or not yet."""
        due = task.next_due()
        if due is None or due > now:
            self._asked.pop(task.partition, None)
            return None
        if task.partition not in self._asked:
            places = [(topic, task.partition) for topic in self._topics]
            self._asked[task.partition] = (now, high_watermarks(self._admin, places, _TIMEOUT_S))
        asked_at, ends = self._asked[task.partition]
        if not all(self._is_read(task, place, end) for place, end in ends.items()):
            return None
        del self._asked[task.partition]
        return asked_at

    def _is_read(self, task: PartitionTask, place: Place, end: int) -> bool:
        return max(self._read_to.get(place, 0), task.positions.get(place[0], 0)) >= end
