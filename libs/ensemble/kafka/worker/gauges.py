"""Samples for the metrics: parked records, open circuits, stopped partitions, records behind open transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Final

from confluent_kafka.admin import AdminClient

from ensemble.engine.compiled import CompiledService
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.expiring_records import ExpiringRecords
from ensemble.kafka.worker.open_transactions import OpenTransactions
from ensemble.observability.metrics import LoopMetrics

_EVERY_S: Final = 1.0


class Gauges:
    """Samples once a second, never per message."""

    def __init__(
        self,
        metrics: LoopMetrics,
        plan: CompiledService,
        assignment: Assignment,
        admin: AdminClient,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._plan, self._assignment, self._now = metrics, plan, assignment, now
        self._open = OpenTransactions(admin, now)
        self._expiring = ExpiringRecords(
            admin,
            plan.clock,
            {topic.name: topic.lifetime_s for topic in plan.service.inputs if topic.lifetime_s < inf},
        )
        self._next = 0.0

    @property
    def are_due(self) -> bool:
        """Whether a second has passed since the last samples."""
        return self._now() >= self._next

    @property
    def note(self) -> str:
        """What an operator should know of the inputs, or an empty text."""
        return self._open.describe()

    def sample(self, stopped: int, stuck_s: float, skew_s: float) -> None:
        """Take the samples; `stopped` partitions take no records now."""
        self._next, tasks = self._now() + _EVERY_S, list(self._assignment.running.values())
        self._metrics.record_parked(tasks, self._plan.clock.now())
        self._metrics.record_stopped(stopped, (outage.handler for outage in self._assignment.breakers.lasting))
        self._metrics.record_stuck(stuck_s)
        self._metrics.record_clock_skew(skew_s)
        self._open.sample((topic.name, task.partition) for task in tasks for topic in self._plan.service.inputs)
        self._expiring.sample({(topic, task.partition): at for task in tasks for topic, at in task.positions.items()})
        self._metrics.record_expiring(len(self._expiring.places))
        self._metrics.record_open_transactions(sum(self._open.records.values()), self._open.longest_s())
