"""The test driver: one service, in memory, with a clock you turn by hand.

    driver = ServiceTestDriver(INVENTORY)
    driver.given_state("o-1", Payment(...))          # or driver.given(StockReceived(...)) for a ledger's facts
    driver.receive(FulfilOrder(...))
    assert driver.emitted == [ReservationConfirmed(...)]

It runs the very tasks that Kafka's loop runs: layers, scopes, dedupe, timers, parked keys and dead letters included.
Each `receive` is one batch that commits. `restart()` rebuilds everything from the changelogs and ledgers, as after an
assignment. What failed is tried again when `advance` reaches its due time.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Iterable
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from ensemble.clock import ManualClock
from ensemble.engine.async_calls import AsyncCall, call_slots, first_finished
from ensemble.engine.compiled import NewSchemas, compile_service
from ensemble.engine.cycle import BatchCycle, Interruption
from ensemble.engine.failures.circuit_breaker import CircuitBreakers
from ensemble.engine.routes import Limits
from ensemble.engine.task import PartitionTask
from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.messages.message import Command, Event, Message, State
from ensemble.messages.records import Headers, StoredRecord
from ensemble.partitioning import partition_of
from ensemble.service.service import Service
from ensemble.system_messages.dead_letters import DeadLetter, OperatorRequest, discard, redrive
from ensemble.system_messages.operations import Operation, PauseWork, RecordOperation, ResumeWork, Scope
from ensemble.system_messages.state import ParkedKey, ParkedRecord
from ensemble.testing.topics import MemoryTopics

__all__ = ["ManualClock", "ServiceTestDriver"]

S = TypeVar("S", bound=State)
E = TypeVar("E", bound=Event)


class ServiceTestDriver:
    """One service over in-memory topics. Outputs are not fed back: `receive` what the next step should see."""

    def __init__(
        self,
        service: Service,
        clock: ManualClock | None = None,
        limits: Limits | None = None,
        call_wait_s: float | None = None,
    ) -> None:
        """`call_wait_s`: how long a batch waits for async handlers before it leaves them in flight; None: for ever."""
        self.service = service
        self.clock = clock or ManualClock()
        self.plan = compile_service(service, self.clock, limits)
        self._topics = MemoryTopics(service.partitions)
        self.log = self._topics.log
        """Everything that was committed, on any topic, in order."""
        self._loop = asyncio.new_event_loop()
        run_async = self._loop.run_until_complete
        self._cycle = BatchCycle(self.clock, run_async, due_until=lambda _, now: now, call_wait_s=call_wait_s)
        weakref.finalize(self, _close, self._loop)
        self._offsets = itertools.count()
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
            self._topics.append((topic.name, encoder_for(type(fact))(fact), key, [], -1))
        self.restart()

    def given_state(self, key: str, state: State) -> None:
        """Put a state into the service's store."""
        topic = self.plan_store(type(state)).changelog
        self._topics.append((topic, encoder_for(type(state))(state), key.encode(), [], self._partition(key.encode())))
        self.restart()

    def given_records(self, records: Iterable[StoredRecord]) -> None:
        """Put records into the topics, as something else has written them, and restore from them."""
        for record in records:
            place = record.at_topic, record.raw_value, record.raw_key, record.raw_headers, record.at_partition
            self._topics.append(place)
        self.restart()

    # -- when -----------------------------------------------------------------------------------------------------

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        """Deliver messages as one batch. `message_id` gives the first one that id (deliver it again with the same)."""
        ids = itertools.chain([message_id] if message_id else [], self._ids)
        self.receive_records([self.record_of(message, next(ids)) for message in messages])

    def receive_records(self, records: Iterable[StoredRecord]) -> None:
        """Deliver raw records as one batch. Stopped when a partition takes none now; those before it are committed."""
        stopped = self._handle(records)
        self._commit()
        if stopped is not None:
            raise stopped

    def abort(self, *messages: Message, message_id: str | None = None) -> None:
        """Handle messages in a batch whose transaction is aborted: nothing of it may be left."""
        ids = itertools.chain([message_id] if message_id else [], self._ids)
        self._handle([self.record_of(message, next(ids)) for message in messages])
        for task in self._tasks.values():
            list(task.changes())
            task.abort()

    def operate(self, operation: Operation) -> None:
        """Deliver an operator's command to every partition that it is for."""
        control, value = self.service.control.name, encoder_for(type(operation))(operation)
        only = operation.partition if isinstance(operation, RecordOperation) else None
        partitions = range(self.service.partitions) if only is None else [only]
        offset = next(self._offsets)
        self.receive_records(StoredRecord(control, p, offset, b"operator", value) for p in partitions)

    def redrive(self, letter: StoredRecord, edited: Message | None = None) -> None:
        """As an operator's redrive of a dead letter, with another message if one is given."""
        value = None if edited is None else encoder_for(type(edited))(edited)
        self.operate(
            redrive(DeadLetter.of(letter), OperatorRequest(**self._request_fields("redriven by a test")), value)
        )

    def discard(self, letter: StoredRecord) -> None:
        """As an operator's discard of a dead letter."""
        self.operate(discard(DeadLetter.of(letter), OperatorRequest(**self._request_fields("discarded by a test"))))

    def advance(self, seconds: float) -> None:
        """Turn the clock on, and run what falls due on the way, in order."""
        target = self.clock.now() + round(seconds * 1000)
        while (due := self._next_due()) is not None and due <= target:
            self.clock.advance(max(0, due - self.clock.now()) / 1000)
            self._handle([])
            self._commit()
        self.clock.advance(max(0, target - self.clock.now()) / 1000)

    def land(self, limit_s: float = 5.0) -> None:
        """Wait until a call in flight is back, and run the batch that its end is part of."""
        self._loop.run_until_complete(first_finished(self._flights(), limit_s))
        self._handle([])
        self._commit()

    def pause(self, scope: Scope, name: str, reason: str = "paused by a test") -> None:
        """As an operator's pause of a service, a saga's step or a command type."""
        self.operate(PauseWork(scope=scope, name=name, **self._request_fields(reason)))

    def resume(self, scope: Scope, name: str) -> None:
        """End that pause."""
        self.operate(ResumeWork(scope=scope, name=name, **self._request_fields("resumed by a test")))

    def _request_fields(self, reason: str) -> dict[str, Any]:
        return {"operation_id": next(self._ids), "requested_by": "test", "reason": reason, "at": self.clock.now()}

    def restart(self) -> None:
        """Forget all that a process knows and rebuild it from changelogs and ledgers."""
        for task in self._tasks.values():
            task.close()
        shared, slots = (
            (CircuitBreakers(self.plan.limits.policies.outage), NewSchemas(self.plan)),
            call_slots(self.plan),
        )
        self._tasks = {p: PartitionTask(self.plan, p, *shared, slots=slots) for p in range(self.service.partitions)}
        for task in self._tasks.values():
            self._topics.restore(task, self.plan)

    def crash(self, *messages: Message) -> None:
        """Handle messages, then die before the commit: nothing of it may be left."""
        self._handle([self.record_of(message, next(self._ids)) for message in messages])
        self.restart()

    # -- then -----------------------------------------------------------------------------------------------------

    @cached_property
    def _readers(self) -> dict[bytes, Any]:
        return {p: read for kind in self.service.catalogue.message_types() for p, read in decoders_for(kind).items()}

    @property
    def outputs(self) -> list[Message]:
        """Every message put out since the last `clear()`, in order."""
        readers = self._readers
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
    def dead_letters(self) -> list[StoredRecord]:
        """What the service gave up, oldest first."""
        return self.records(self.service.dead_letter.name)

    def records(self, topic: str) -> list[StoredRecord]:
        """Return the committed records of one topic, changelogs included."""
        return [record for record in self.log if record.at_topic == topic]

    def clear(self) -> None:
        """Forget the outputs so far, so that the next assertion is about what comes next."""
        self._seen_outputs = len(self.log)

    def parked(self, key: str) -> ParkedKey | None:
        """Why the parking key is held back; None when it is not."""
        entries = (task.stores.parking.entry(key.encode()) for task in self._tasks.values())
        return next((entry for entry in entries if entry is not None), None)

    def waiting(self, key: str) -> list[ParkedRecord]:
        """Return what is parked under the key, in order."""
        return [record for task in self._tasks.values() for _, record in task.stores.parking.records(key.encode())]

    def answers(self, kind: type[E]) -> list[E]:
        """Return the events of one type that the service emitted to operators."""
        readers = decoders_for(kind)
        values = [record.raw_value or b"" for record in self.records(self.service.operations.name)]
        return [readers[value[:5]](value) for value in values if value[:5] in readers]

    def state(self, kind: type[S], key: str) -> S | None:
        """Return the committed state of `key`."""
        state: S | None = self._task_of(key.split("/", maxsplit=1)[0]).stores.by_subject[kind].get(key.encode())
        return state

    def aggregate(self, kind: type, key: str) -> Any:
        """Return the aggregate of `key`, as of its last committed fact."""
        store = self._task_of(key).stores.by_subject[kind]
        return store.aggregate(key.encode(), store)

    # -- inside ---------------------------------------------------------------------------------------------------

    def record_of(self, message: Message, message_id: str) -> StoredRecord:
        """`message` as its producer would have written it."""
        topic = self._inlet(type(message))
        key = str(attrgetter(topic.key)(message)).encode()
        offset = next(self._offsets)
        headers: Headers = [("ce_id", message_id.encode())]
        return StoredRecord(topic.name, self._partition(key), offset, key, encoder_for(type(message))(message), headers)

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

    def _handle(self, records: Iterable[StoredRecord]) -> Exception | None:
        """Run a batch up to its commit. Return what made it stop taking records, if anything did."""
        reasons: list[Exception | None] = []

        def stop(interruption: Interruption) -> tuple[StoredRecord, ...]:
            reasons.append(interruption.reason)
            return ()

        self._cycle.run(self._tasks, list(records), stop)
        return next(iter(reasons), None)

    def _flights(self) -> list[AsyncCall]:
        return [call for task in self._tasks.values() for call in task.calls.in_flight.values()]

    def _commit(self) -> None:
        for task in self._tasks.values():
            self._topics.commit(task)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what is still in flight, then the loop. A driver may be collected while another one's loop runs."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
