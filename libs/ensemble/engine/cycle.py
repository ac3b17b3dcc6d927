"""The cycle of a batch, for every driver of tasks: the Kafka worker, the test driver and the rehearsal of a redrive.

The caller commits what the tasks did in one transaction, then has the tasks commit, or abort, their batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.attempt_gate import choose_probes
from ensemble.engine.task import PartitionTask
from ensemble.errors import SchemasUnavailable, Stopped
from ensemble.interceptors import InterceptedCommit
from ensemble.messages.records import ConsumedRecord, Headers, size_of
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
        take_bytes: float = inf,
    ) -> None:
        """Make a cycle.

        `due_until` says up to which time a task's timers may be judged, if any are due. Async calls that take longer
        than `call_wait_s` stay in flight; a batch takes records for `take_s` at most, and until they and their outputs
        have `take_bytes`: of a record that was handled its value counts, of any other all that is written of it again.
        """
        self._clock, self._run_async, self._due_until = clock, run_async, due_until
        self._call_wait_s, self._take_s, self._take_bytes = call_wait_s, take_s, take_bytes
        self._bytes = 0
        self._handle: Callable[[PartitionTask, ConsumedRecord], None] = PartitionTask.take
        self.in_hand: ConsumedRecord | None = None
        """The record whose handlers run now, or ran last."""
        self.slowest: ConsumedRecord | None = None
        self.slowest_s = 0.0
        """The record of this batch whose handlers took longest, and for how long."""

    def run(
        self,
        tasks: Tasks,
        records: Iterable[ConsumedRecord],
        resume: Callable[[Interruption], Iterable[ConsumedRecord]],
        *,
        only_key: bytes | None = None,
        take: Callable[[PartitionTask, ConsumedRecord], None] = PartitionTask.take,
    ) -> None:
        """Run one batch up to its commit.

        `records` are looked at one by one: an iterator need not keep those that were handled. `resume` says which ones
        are taken after an interruption. With `only_key`, heads and timers of other keys are left alone. `take` handles
        a record.
        """
        now = self._clock.now()
        self._bytes, self.slowest, self.slowest_s, self._handle = 0, None, 0.0, take
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
        records: Iterable[ConsumedRecord],
        resume: Callable[[Interruption], Iterable[ConsumedRecord]],
    ) -> None:
        until = time.monotonic() + self._take_s
        while (interruption := self._take(tasks, iter(records), until)) is not None:
            current_layer.set(None)  # what is logged of the interruption is not of the record that was handled last
            records = resume(interruption)

    def _take(self, tasks: Tasks, records: Iterator[ConsumedRecord], until: float) -> Interruption | None:
        handle, monotonic, began_at = self._handle, time.monotonic, time.monotonic()
        for record in records:
            if began_at > until or self._bytes > self._take_bytes:
                return Interruption(None, [record, *records])
            self.in_hand, task = record, tasks[record.partition()]  # type: ignore[index]  # a consumed record has one
            outputs, counts = task.outputs, task.counts
            before, handled = len(outputs), counts.handled
            try:
                handle(task, record)
            except (SchemasUnavailable, Stopped) as reason:
                return Interruption(reason, [record, *records])
            size = len(record.value() or b"") if counts.handled > handled else size_of(record)
            for output in outputs[before:]:
                size += len(output[1] or b"")
            self._bytes += size
            now = monotonic()
            if now - began_at > self.slowest_s:
                self.slowest, self.slowest_s = record, now - began_at
            began_at = now
        return None

    def _call(self, tasks: Iterable[PartitionTask]) -> None:
        waiting = [task for task in tasks if task.has_queued_calls]
        if waiting:
            self._run_async(_make_calls(waiting, self._call_wait_s))

    def _fire_timers(self, tasks: Iterable[PartitionTask], only_key: bytes | None) -> None:
        for task in tasks:
            until = self._due_until(task, self._clock.now())
            if until is not None:
                task.fire_due(until, only_key)


def commit_batch(
    plan: CompiledService, tasks: Sequence[PartitionTask], received_at: float, write: Callable[[], bool]
) -> bool:
    """Return whether `write` has committed what the tasks did, inside the service's interceptors if it has some.

    `received_at` is when the batch was received, on the clock `time.perf_counter`.
    """
    if plan.interception is None:
        return write()
    places = {(topic, task.partition): offset for task in tasks for topic, offset in task.offsets().items()}
    outputs = [(topic, _id_of(headers)) for task in tasks for topic, _, _, headers, _ in task.outputs]
    commit = InterceptedCommit(
        service=plan.service.name, batch_s=time.perf_counter() - received_at, offsets=places, outputs=outputs
    )
    return plan.interception.commit(commit, write)


def _id_of(headers: Headers) -> str:
    value = next((value for name, value in headers if name == "ce_id"), "")
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""


async def _make_calls(tasks: list[PartitionTask], wait_s: float | None) -> None:
    await asyncio.gather(*(task.make_calls(wait_s) for task in tasks))
