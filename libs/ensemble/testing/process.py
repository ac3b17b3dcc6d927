"""One service process over topics in memory: polls, handles, commits, dies and restores, as the worker does."""

from __future__ import annotations

import asyncio
import heapq
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ensemble.engine.async_calls import AsyncCall, call_slots, first_finished
from ensemble.engine.compiled import NewSchemas, compile_service
from ensemble.engine.cycle import BatchCycle, Interruption, commit_batch
from ensemble.engine.failures.circuit_breaker import CircuitBreakers
from ensemble.engine.routes import Limits
from ensemble.engine.task import PartitionTask
from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.messages.records import StoredRecord, message_id
from ensemble.partitioning import partition_of
from ensemble.service.ports import Clock
from ensemble.service.service import Service
from ensemble.settings import CRASH_POINTS
from ensemble.state.unit_of_work import Output
from ensemble.testing.topics import MemoryTopics, Place

BATCH_RECORDS: Final = 500
"""As many records as a process on Kafka takes at most for one batch."""
_IN_TRANSACTION: Final = ("after-produce", "after-flush", "after-offsets")


class ProcessDied(Exception):
    """The process reached the point at which it has to die."""


class MemoryProcess:
    """The one loop of all test drivers: it runs the tasks that the worker runs, and each batch is one transaction."""

    def __init__(  # noqa: PLR0913  the rest is keyword-only
        self,
        service: Service,
        topics: MemoryTopics,
        clock: Clock,
        *,
        limits: Limits | None = None,
        call_wait_s: float | None = None,
        polls: bool = True,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """Start the process. With `polls` it reads its inputs from the topics; otherwise its caller brings them."""
        self.service, self.topics = service, topics
        self.plan = compile_service(service, clock, limits, interceptors=interceptors)
        self.loop = asyncio.new_event_loop()
        self.clock, self._polled = clock, tuple(self.plan.inputs) if polls else ()
        self._cycle = BatchCycle(
            clock, self.loop.run_until_complete, due_until=self._open_until, call_wait_s=call_wait_s
        )
        weakref.finalize(self, _close, self.loop)
        self.tasks: dict[int, PartitionTask] = {}
        self.is_up = True
        self.deaths: list[str] = []
        """The points at which the process has died."""
        self._dies_at, self._passes = "", 0
        self.restart()

    # -- start, and death -----------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Forget all that a process knows; rebuild it from changelogs and ledgers, at the group's offsets."""
        for task in self.tasks.values():
            task.close()
        shared = CircuitBreakers(self.plan.limits.policies.outage), NewSchemas(self.plan)
        slots, partitions = call_slots(self.plan), range(self.service.partitions)
        self.tasks = {p: PartitionTask(self.plan, p, *shared, slots=slots) for p in partitions}
        for task in self.tasks.values():
            self.topics.restore(task, self.plan)
            task.start_at(self._committed(task.partition))

    def die_at(self, point: str, nth: int = 1) -> None:
        """Have the process die when it reaches `point` for the `nth` time from now on; it restarts at once.

        Raises ConfigurationError for a point that is none of CRASH_POINTS, and for an `nth` below 1.
        """
        if point not in CRASH_POINTS:
            raise ConfigurationError(f"no point {point!r} to crash at; points are {', '.join(CRASH_POINTS)}")
        if nth < 1:
            raise ConfigurationError(
                f"{self.service.name} cannot die the {nth}th time that it reaches {point}: 1 or more"
            )
        self._dies_at, self._passes = point, nth

    def digest(self) -> int:
        """Return a number that is equal for processes that will do the same with the same topics.

        It is about the time, whether the process is up, where it has died, and where it will.
        """
        dies = (self._dies_at, self._passes) if self._dies_at else ()
        return hash((self.is_up, self.clock.now(), tuple(self.deaths), dies))

    def _committed(self, partition: int) -> dict[str, int]:
        offsets = self.topics.offsets.get(self.service.name, {})
        return {topic: offset for (topic, p), offset in offsets.items() if p == partition}

    def _reach(self, point: str) -> None:
        if point != self._dies_at:
            return
        self._passes -= 1
        if self._passes == 0:
            self._dies_at = ""
            raise ProcessDied(point)

    # -- what there is to do --------------------------------------------------------------------------------------

    def readable(self) -> list[Place]:
        """Return the partitions of inputs that have records left to read now."""
        places = [(topic, p) for p in self.tasks for topic in self._readable_topics(p)]
        return [place for place in places if self.has_unread(place)]

    def _readable_topics(self, partition: int) -> list[str]:
        """Return the inputs that are read: of a partition that is stopped, operators' commands alone."""
        topics = [topic for topic in self._polled if topic not in self.topics.lagging]
        return topics if not self.tasks[partition].parked.why_stopped() else [self.service.control.name]

    def has_unread(self, place: Place) -> bool:
        """Return whether a partition of an input has records left to read."""
        return self.topics.has_records(place, self.position(place))

    def position(self, place: Place) -> int:
        """Return the next offset to read of a partition of an input."""
        topic, partition = place
        return self.tasks[partition].positions.get(topic, 0)

    def next_due(self) -> int | None:
        """Return when the next timer or retry falls due that may run, epoch milliseconds."""
        return min((due for task in self.tasks.values() for due in self._dues(task)), default=None)

    def _dues(self, task: PartitionTask) -> Iterator[int]:
        timer, retry = task.next_timer(), task.parked.next_due()
        if timer is not None and self._has_read_all(task.partition):
            yield timer
        if retry is not None:
            yield retry

    @property
    def is_due(self) -> bool:
        """Whether a timer or a retry can run now, or an async call is back."""
        due = self.next_due()
        return (due is not None and due <= self.clock.now()) or any(t.calls.has_finished for t in self.tasks.values())

    @property
    def is_busy(self) -> bool:
        """Whether the process has anything to do now."""
        return self.is_up and (self.is_due or bool(self.readable()))

    def poll(self, limit: int = BATCH_RECORDS) -> list[StoredRecord]:
        """Return the next records of all inputs, in the order in which they were written."""
        places = self.readable()
        entries = heapq.merge(*(self.topics.read(place, self.position(place), limit) for place in places))
        return [record for (_, record), _ in zip(entries, range(limit), strict=False)]

    # -- one batch ------------------------------------------------------------------------------------------------

    def run_batch(self, records: Sequence[StoredRecord] = ()) -> Exception | None:
        """Handle the records and all that is due as one batch, and commit it.

        Return why a partition takes no records now, if one did not; the records before it are committed. A process
        that dies on the way restarts.
        """
        received_at = time.perf_counter()
        try:
            if records:
                self._reach("after-poll")
            stopped_by = self.handle(records)
            self._reach("in-batch")
            moved = [task for task in self.tasks.values() if task.is_dirty or task.is_ahead]
            commit_batch(self.plan, moved, received_at, lambda: self._commit(records))
            self._reach("after-commit")
            self._fold()
            self._reach("after-fold")
        except ProcessDied as death:
            self.deaths.append(str(death))
            self.restart()
            return None
        return stopped_by

    def handle(self, records: Sequence[StoredRecord]) -> Exception | None:
        """Run a batch up to its commit. Return what made it stop taking records, if anything did."""
        reasons: list[Exception | None] = []

        def stop(interruption: Interruption) -> tuple[StoredRecord, ...]:
            reasons.append(interruption.reason)
            return ()

        self._cycle.run(self.tasks, records, stop)
        return next(iter(reasons), None)

    def abort(self) -> None:
        """Abort the batch in hand: nothing of it is left."""
        self.topics.abort(self._writes(()))
        for task in self.tasks.values():
            task.abort()

    def await_call(self, limit_s: float) -> None:
        """Wait until an async call in flight is back, `limit_s` of real time at most."""
        self.loop.run_until_complete(first_finished(self.calls_in_flight(), limit_s))

    def calls_in_flight(self) -> list[AsyncCall]:
        """Return the async calls that outlived their batch."""
        return [call for task in self.tasks.values() for call in task.calls.in_flight.values()]

    def partition_of(self, key: bytes) -> int:
        """Return the partition of a key."""
        return partition_of(key, self.service.partitions)

    def task_of(self, key: str) -> PartitionTask:
        """Return the task that a key belongs to."""
        return self.tasks[self.partition_of(key.encode())]

    def _open_until(self, task: PartitionTask, now: int) -> int | None:
        """Return the time until which timers may be judged: none before all inputs are read, as on Kafka."""
        return now if self._has_read_all(task.partition) else None

    def _has_read_all(self, partition: int) -> bool:
        return not any(self.has_unread((topic, partition)) for topic in self._polled)

    def _commit(self, records: Sequence[StoredRecord]) -> bool:
        writes = self._writes(records)
        try:
            for point in _IN_TRANSACTION:
                self._reach(point)
        except ProcessDied:
            self.topics.abort(writes)
            raise
        for output in writes:
            self.topics.append(output)
        for task in self.tasks.values():
            offsets = {(topic, task.partition): offset for topic, offset in task.positions.items()}
            self.topics.commit_offsets(self.service.name, offsets)
        return True

    def _writes(self, records: Sequence[StoredRecord]) -> list[Output]:
        changes: Iterable[Output] = (
            (topic, value, key, [], task.partition)
            for task in self.tasks.values()
            for topic, changes in task.changes()
            for key, value in changes
        )
        return [*in_order_of(records, [task.outputs for task in self.tasks.values()]), *changes]

    def _fold(self) -> None:
        for task in self.tasks.values():
            task.commit()


def in_order_of(records: Sequence[StoredRecord], outputs_by_task: Iterable[Sequence[Output]]) -> Iterator[Output]:
    """Yield outputs in the order of the inputs that caused them; those of one task stay in their own order."""
    numbers = {message_id(record): number for number, record in reversed(list(enumerate(records)))}
    numbered = (list(_numbered(outputs, numbers)) for outputs in outputs_by_task)
    return (output for _, output in heapq.merge(*numbered, key=lambda pair: pair[0]))


def _numbered(outputs: Iterable[Output], numbers: dict[str, int]) -> Iterator[tuple[int, Output]]:
    """Yield each output of a task with the number of the latest input so far; what no input caused follows that."""
    latest = -1
    for output in outputs:
        headers = dict(output[3])
        cause, own_id = headers.get("ce_causationid"), headers.get("ce_id")  # a dead letter has the id of its record
        latest = max(latest, numbers.get(text_of(cause), -1), numbers.get(text_of(own_id), -1))
        yield latest, output


def text_of(value: str | bytes | None) -> str:
    """Return the value of a header, of which outputs have some as text, as a text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what is still in flight, then the loop. A driver may be collected while another one's loop runs."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
