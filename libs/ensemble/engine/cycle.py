"""The cycle of a batch, for every driver of tasks: the Kafka worker, the test driver and the rehearsal of a redrive.

The caller commits what the tasks did in one transaction, then has the tasks commit, or abort, their batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ensemble.engine.failures.attempt_gate import choose_probes
from ensemble.engine.task import PartitionTask
from ensemble.errors import SchemasUnavailable, Stopped
from ensemble.messages.records import ConsumedRecord
from ensemble.service.ports import Clock
from ensemble.state.unit_of_work import current_layer

Tasks = Mapping[int, PartitionTask]
"""The tasks that run, by partition."""


@dataclass(frozen=True)
class Interruption:
    """A batch takes no more records for now."""

    reason: SchemasUnavailable | Stopped | None
    """Why the first of `records` could not be taken; None: the batch has taken records for as long as it may."""
    records: Sequence[ConsumedRecord]
    """The records that were not taken."""


class BatchCycle:
    """Runs batches: finished calls, records, retries, async calls, timers, in this order."""

    def __init__(
        self,
        clock: Clock,
        run_async: Callable[[Coroutine[Any, Any, None]], None],
        *,
        due_until: Callable[[PartitionTask, int], int | None],
        call_wait_s: float | None = None,
        take_s: float = inf,
    ) -> None:
        """Make a cycle.

        `due_until` says up to which time a task's timers may be judged, if any are due. Async calls that take longer
        than `call_wait_s` stay in flight; a batch takes records for `take_s` at most.
        """
        self._clock, self._run_async, self._due_until = clock, run_async, due_until
        self._call_wait_s, self._take_s = call_wait_s, take_s

    def run(
        self,
        tasks: Tasks,
        records: Sequence[ConsumedRecord],
        resume: Callable[[Interruption], Sequence[ConsumedRecord]],
        only_key: bytes | None = None,
    ) -> None:
        """Run one batch up to its commit.

        `resume` says which records are taken after an interruption. With `only_key`, heads and timers of other keys
        are left alone.
        """
        now = self._clock.now()
        for task in tasks.values():
            task.begin_batch(now)
        for task in tasks.values():
            task.collect_finished()
        self._take_all(tasks, records, resume)
        probes = choose_probes(probe for task in tasks.values() for probe in task.probe_candidates())
        for task in tasks.values():
            task.retry_due(only_key, probes)
        self._call(tasks.values())
        self._fire_timers(tasks.values(), only_key)
        current_layer.set(None)

    def _take_all(
        self,
        tasks: Tasks,
        records: Sequence[ConsumedRecord],
        resume: Callable[[Interruption], Sequence[ConsumedRecord]],
    ) -> None:
        until = time.monotonic() + self._take_s
        while (interruption := self._take(tasks, records, until)) is not None:
            records = resume(interruption)

    def _take(self, tasks: Tasks, records: Sequence[ConsumedRecord], until: float) -> Interruption | None:
        for taken, record in enumerate(records):
            if time.monotonic() > until:
                return Interruption(None, records[taken:])
            try:
                tasks[record.partition()].take(record)  # type: ignore[index]  # a consumed record has a partition
            except (SchemasUnavailable, Stopped) as reason:
                return Interruption(reason, records[taken:])
        return None

    def _call(self, tasks: Iterable[PartitionTask]) -> None:
        waiting = [task for task in tasks if task.is_waiting]
        if waiting:
            self._run_async(_finish(waiting, self._call_wait_s))

    def _fire_timers(self, tasks: Iterable[PartitionTask], only_key: bytes | None) -> None:
        for task in tasks:
            until = self._due_until(task, self._clock.now())
            if until is not None:
                task.fire_due(until, only_key)


async def _finish(tasks: list[PartitionTask], wait_s: float | None) -> None:
    await asyncio.gather(*(task.finish(wait_s) for task in tasks))
