"""The test driver: one service, in memory, with a clock you turn by hand.

    driver = ServiceTestDriver(INVENTORY)
    driver.given_state("o-1", Payment(...))          # or driver.given(StockReceived(...)) for a ledger's facts
    driver.receive(FulfilOrder(...))
    assert driver.emitted == [ReservationConfirmed(...)]

It runs the very tasks that Kafka's loop runs: layers, scopes, dedupe, timers and dead letters included. Each
`receive` is one batch that commits. `restart()` rebuilds everything from the changelogs and ledgers, as after an
assignment.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from ensemble.clock import ManualClock
from ensemble.codec import encoder_for, readers_for
from ensemble.effects import Headers, Output
from ensemble.messages import Command, Event, Message, State
from ensemble.operations import Operation, PauseWork, RecordOperation, ResumeWork
from ensemble.partitioning import partition_of
from ensemble.pauses import Scope
from ensemble.plan import Limits, Plan
from ensemble.service import Service
from ensemble.stamps import rfc3339
from ensemble.task import PartitionTask

__all__ = ["ManualClock", "MemoryRecord", "ServiceTestDriver"]

S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class MemoryRecord:
    """A consumed record, in the shape of the client's."""

    at_topic: str
    at_partition: int
    at_offset: int
    raw_key: bytes | None
    raw_value: bytes | None
    raw_headers: Headers = field(default_factory=list)

    def topic(self) -> str:
        return self.at_topic

    def partition(self) -> int:
        return self.at_partition

    def offset(self) -> int:
        return self.at_offset

    def key(self) -> bytes | None:
        return self.raw_key

    def value(self) -> bytes | None:
        return self.raw_value

    def headers(self) -> Headers:
        return [(name, value.encode() if isinstance(value, str) else value) for name, value in self.raw_headers]


class ServiceTestDriver:
    """One service over in-memory topics. Outputs are not fed back: `receive` what the next step should see."""

    def __init__(self, service: Service, clock: ManualClock | None = None, limits: Limits | None = None) -> None:
        self.service = service
        self.clock = clock or ManualClock()
        self.plan = Plan(service, self.clock, limits)
        self.log: list[MemoryRecord] = []
        """Everything that was committed, on any topic, in order."""
        self._ids = (f"{number:032x}" for number in itertools.count(1))
        self._tasks: dict[int, PartitionTask] = {}
        self._seen_outputs = 0
        self.restart()

    # -- given ----------------------------------------------------------------------------------------------------

    def given(self, *facts: Event) -> None:
        """Facts that the service's ledger already holds."""
        for fact in facts:
            topic = self.service.catalogue.home(type(fact), self.service.name)
            key = attrgetter(topic.key)(fact).encode()
            self._append((topic.name, encoder_for(type(fact))(fact), key, [], -1))
        self.restart()

    def given_state(self, key: str, state: State) -> None:
        """A state that the service's store already holds."""
        topic = self.plan_store(type(state)).changelog
        self._append((topic, encoder_for(type(state))(state), key.encode(), [], self._partition(key.encode())))
        self.restart()

    # -- when -----------------------------------------------------------------------------------------------------

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        """Deliver messages as one batch. `message_id` gives the first one that id (deliver it again with the same)."""
        ids = itertools.chain([message_id] if message_id else [], self._ids)
        self.receive_records([self.record_of(message, next(ids)) for message in messages])

    def receive_records(self, records: Iterable[MemoryRecord]) -> None:
        """Deliver raw records as one batch. Stopped when a partition takes none now."""
        self._begin()
        for record in records:
            self._tasks[record.partition()].take(record)
        self._finish()
        self._commit()

    def operate(self, operation: Operation) -> None:
        """Deliver an operator's command to every partition that it is for."""
        control, value = self.service.control.name, encoder_for(type(operation))(operation)
        only = operation.partition if isinstance(operation, RecordOperation) else None
        partitions = range(self.service.partitions) if only is None else [only]
        offset = sum(1 for record in self.log if record.at_topic == control)
        self.receive_records(MemoryRecord(control, p, offset, b"operator", value) for p in partitions)

    def advance(self, seconds: float) -> None:
        """Turn the clock on, and run what falls due on the way, in order."""
        target = self.clock.now() + round(seconds * 1000)
        while (due := self._next_due()) is not None and due <= target:
            self.clock.advance(max(0, due - self.clock.now()) / 1000)
            self._begin()
            for task in self._tasks.values():
                task.parked.retry_due(self.clock.now())
            self._finish()
            for task in self._tasks.values():
                task.fire_due(self.clock.now())
            self._commit()
        self.clock.advance(max(0, target - self.clock.now()) / 1000)

    def pause(self, scope: Scope, name: str, words: str = "paused by a test") -> None:
        """As an operator's pause of a service, a saga's step or a command type."""
        self.operate(PauseWork(scope=scope, name=name, **self._asked(words)))

    def resume(self, scope: Scope, name: str) -> None:
        """The end of that pause."""
        self.operate(ResumeWork(scope=scope, name=name, **self._asked("resumed by a test")))

    def _asked(self, reason: str) -> dict[str, Any]:
        return {"operation_id": next(self._ids), "requested_by": "test", "reason": reason, "at": self.clock.now()}

    def restart(self) -> None:
        """Forget all local state and rebuild it from changelogs and ledgers."""
        self._tasks = {p: PartitionTask(self.plan, p) for p in range(self.service.partitions)}
        for task in self._tasks.values():
            self._restore(task)

    def crash(self, *messages: Message) -> None:
        """Handle messages, then die before the commit: nothing of it may be left."""
        self._begin()
        for message in messages:
            record = self.record_of(message, next(self._ids))
            self._tasks[record.partition()].take(record)
        self._finish()
        self.restart()

    # -- then -----------------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> list[Message]:
        """Every message put out since the last `clear()`, in order."""
        readers = {p: read for kind in self.service.catalogue.message_types() for p, read in readers_for(kind).items()}
        names = {topic.name for topic in self.service.catalogue.topics if topic.cleanup == "delete"}
        fresh = [record for record in self.log[self._seen_outputs :] if record.at_topic in names and record.raw_value]
        return [readers[record.raw_value[:5]](record.raw_value) for record in fresh if record.raw_value]

    @property
    def emitted(self) -> list[Event]:
        """The events among the outputs."""
        return [message for message in self.outputs if isinstance(message, Event)]

    @property
    def sent(self) -> list[Command]:
        """The commands among the outputs."""
        return [message for message in self.outputs if isinstance(message, Command)]

    @property
    def dead_letters(self) -> list[MemoryRecord]:
        """What the service gave up, oldest first."""
        return self.records(self.service.dead_letter.name)

    def records(self, topic: str) -> list[MemoryRecord]:
        """The committed records of one topic, changelogs included."""
        return [record for record in self.log if record.at_topic == topic]

    def clear(self) -> None:
        """Forget the outputs so far, so that the next assertion is about what comes next."""
        self._seen_outputs = len(self.log)

    def state(self, kind: type[S], key: str) -> S | None:
        """The committed state of `key`."""
        found: S | None = self._task_of(key.split("/", maxsplit=1)[0]).stores.by_subject[kind].get(key.encode())
        return found

    def aggregate(self, kind: type, key: str) -> Any:
        """The aggregate of `key`, as of its last committed fact."""
        store = self._task_of(key).stores.by_subject[kind]
        return store.aggregate(key.encode(), store)

    # -- inside ---------------------------------------------------------------------------------------------------

    def record_of(self, message: Message, message_id: str) -> MemoryRecord:
        """`message` as its producer would have written it."""
        topic = self._inlet(type(message))
        key = str(attrgetter(topic.key)(message)).encode()
        offset = sum(1 for record in self.log if record.at_topic == topic.name)
        headers: Headers = [("ce_id", message_id.encode())]
        return MemoryRecord(topic.name, self._partition(key), offset, key, encoder_for(type(message))(message), headers)

    def _inlet(self, message: type[Message]) -> Any:
        homes = self.service.catalogue.homes(message)
        return next((topic for topic in homes if topic in self.service.inputs), homes[0])

    def plan_store(self, state: type[State]) -> Any:
        return self._tasks[0].stores.by_subject[state]

    def _partition(self, key: bytes) -> int:
        return partition_of(key, self.service.partitions)

    def _task_of(self, key: str) -> PartitionTask:
        return self._tasks[self._partition(key.encode())]

    def _next_due(self) -> int | None:
        return min((due for task in self._tasks.values() if (due := task.next_due()) is not None), default=None)

    def _begin(self) -> None:
        for task in self._tasks.values():
            task.begin_batch(self.clock.now(), rfc3339(self.clock.now()))

    def _finish(self) -> None:
        for task in self._tasks.values():
            if task.is_waiting:
                asyncio.run(task.finish())

    def _commit(self) -> None:
        for task in self._tasks.values():
            for output in task.outputs:
                self._append(output)
            for topic, changes in task.changes():
                for key, value in changes:
                    self._append((topic, value, key, [], task.partition))
            task.fold()

    def _append(self, output: Output) -> None:
        topic, value, key, headers, partition = output
        where = partition if partition >= 0 else self._partition(key or b"")
        offset = sum(1 for record in self.log if (record.at_topic, record.at_partition) == (topic, where))
        self.log.append(MemoryRecord(topic, where, offset, key, value, headers))

    def _restore(self, task: PartitionTask) -> None:
        stores = task.stores
        for store in stores.all:
            for record in self._of_partition(store.changelog, task.partition):
                store.restore(record.raw_key or b"", record.raw_value)
        for store in stores.by_subject.values():
            self._replay(store, task.partition)
        task.restored()

    def _replay(self, store: Any, partition: int) -> None:
        if not hasattr(store, "replay"):
            return
        readers, start = self.plan.fact_readers(store.ledger), store.replay_from()
        for record in self._of_partition(store.ledger, partition)[start:]:
            assert record.raw_value is not None, "a ledger holds no tombstones"
            store.replay(record.raw_key, readers[record.raw_value[:5]](record.raw_value))
            store.ledger_end = record.at_offset + 1

    def _of_partition(self, topic: str, partition: int) -> list[MemoryRecord]:
        return [record for record in self.log if (record.at_topic, record.at_partition) == (topic, partition)]
