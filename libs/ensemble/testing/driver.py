"""The test driver of one service, in memory, with a clock you turn by hand.

    driver = ServiceTestDriver(INVENTORY)
    driver.given_state("o-1", Payment(...))          # or driver.given(StockReceived(...)) for a ledger's facts
    driver.receive(FulfilOrder(...))
    assert driver.emitted == [ReservationConfirmed(...)]

It runs the very tasks that Kafka's loop runs: layers, scopes, dedupe, timers, parked keys and dead letters included.
Each `receive` is one batch that commits. `restart()` rebuilds everything from the changelogs and ledgers, as after an
assignment. What failed is tried again when `advance` reaches its due time.

`FlowTestDriver` is the same for several services, whose outputs become the inputs of each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from ensemble.clock import ManualClock
from ensemble.engine.routes import Limits
from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.messages.codec import encoder_for
from ensemble.messages.message import Command, Event, Message, State, json_type_name
from ensemble.messages.records import Headers, StoredRecord
from ensemble.service.catalogue import Topic
from ensemble.service.codecs import codec_of
from ensemble.service.service import Service
from ensemble.state.event_sourced import EventSourcedStore
from ensemble.state.store import Replayable
from ensemble.system_messages.operations import Operation, Scope
from ensemble.testing.operations import OperatorDouble, control_outputs
from ensemble.testing.process import MemoryProcess
from ensemble.testing.reading import MessageReader, ServiceView
from ensemble.testing.schedules import due_times, time_after
from ensemble.testing.topics import MemoryTopics, require_services

__all__ = ["ManualClock", "ServiceTestDriver"]


class ServiceTestDriver(ServiceView):
    """One service over in-memory topics. Outputs are not fed back: `receive` what the next step should see.

    Everything is deterministic: message ids, the order of outputs, which follows the order of the inputs, and the time.
    """

    def __init__(
        self,
        service: Service,
        clock: ManualClock | None = None,
        limits: Limits | None = None,
        call_wait_s: float | None = None,
        *,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """Start the service with empty stores; `interceptors` surround its own, as those of `ensemble.kafka.run` do.

        `call_wait_s`: how long a batch waits for async handlers before it leaves them in flight; None: for ever.
        """
        self.clock = clock or ManualClock()
        self._topics = MemoryTopics(require_services([service]))
        options: dict[str, Any] = {"limits": limits, "call_wait_s": call_wait_s, "interceptors": interceptors}
        super().__init__(MemoryProcess(service, self._topics, self.clock, polls=False, **options))
        self.log = self._topics.log
        """Everything that was committed, on any topic, in order."""
        self._offsets = itertools.count()
        self._ids = (f"{number:032x}" for number in itertools.count(1))
        self._operator = OperatorDouble(self.clock, self._ids.__next__)
        self._seen_outputs = 0

    # -- given ----------------------------------------------------------------------------------------------------

    def given(self, *facts: Event) -> None:
        """Put facts into the service's ledger, which it already holds, behind those that are there.

        Their numbers are the runtime's; a field `sequence` of an aggregate with entries says its own.
        """
        for fact in facts:
            self._append_fact(fact)
        self.restart()

    def given_state(self, key: str, state: State) -> None:
        """Put a state into the service's store."""
        topic, raw_key = self._store(type(state), key).changelog, key.encode()
        value = encoder_for(type(state))(state)
        self._topics.append((topic, value, raw_key, [], self.process.partition_of(raw_key)))
        self.restart()

    def given_records(self, records: Iterable[StoredRecord]) -> None:
        """Put records into the topics, as something else has written them, and restore from them."""
        for record in records:
            self._topics.copy(record)
        self.restart()

    # -- when -----------------------------------------------------------------------------------------------------

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        """Deliver messages as one batch. `message_id` gives the first one that id (deliver it again with the same).

        Raises ConfigurationError for a message that lies on none of the service's inputs.
        """
        self.receive_records(self._records_of(messages, message_id))

    def receive_records(self, records: Iterable[StoredRecord]) -> None:
        """Deliver raw records as one batch. Stopped when a partition takes none now; those before it are committed."""
        stopped = self.process.run_batch(list(records))
        if stopped is not None:
            raise stopped

    def abort(self, *messages: Message, message_id: str | None = None) -> None:
        """Handle messages in a batch whose transaction is aborted: nothing of it may be left."""
        self.process.handle(self._records_of(messages, message_id))
        self.process.abort()

    def operate(self, operation: Operation) -> None:
        """Deliver an operator's command to every partition that it is for."""
        outputs, offset = control_outputs(self.service, operation), next(self._offsets)
        self.receive_records(StoredRecord(topic, p, offset, key, value) for topic, value, key, _, p in outputs)

    def redrive(self, letter: StoredRecord, edited: Message | None = None) -> None:
        """Redrive a dead letter as an operator, with another message if one is given."""
        self.operate(self._operator.redrive(letter, self.service.catalogue, edited))

    def discard(self, letter: StoredRecord) -> None:
        """Discard a dead letter as an operator."""
        self.operate(self._operator.discard(letter))

    def pause(self, scope: Scope, name: str, reason: str = "paused by a test") -> None:
        """Pause a service, a saga's step or a command type as an operator."""
        self.operate(self._operator.pause(scope, name, reason))

    def resume(self, scope: Scope, name: str) -> None:
        """End that pause."""
        self.operate(self._operator.resume(scope, name))

    def advance(self, seconds: float) -> None:
        """Turn the clock on, and run what falls due on the way, in order.

        Raises FlowError for seconds below zero, and for a time at which something is due again and again.
        """
        target = time_after(self.clock.now(), seconds)
        for due in due_times(self.process.next_due, target):
            self.clock.advance(max(0, due - self.clock.now()) / 1000)
            self.process.run_batch()
        self.clock.advance(max(0, target - self.clock.now()) / 1000)

    def land(self, limit_s: float = 5.0) -> None:
        """Wait until a call in flight is back, `limit_s` at most, and run the batch that its end is part of."""
        self.process.await_call(limit_s)
        self.process.run_batch()

    def restart(self) -> None:
        """Forget all that a process knows and rebuild it from changelogs and ledgers."""
        self.process.restart()

    def crash(self, *messages: Message, at: str = "in-batch") -> None:
        """Handle messages in a process that dies at a point of `ensemble.settings.CRASH_POINTS`, and restart it.

        Of a batch that dies before `after-commit` nothing may be left.
        """
        self.process.die_at(at)
        self.receive(*messages)

    # -- then -----------------------------------------------------------------------------------------------------

    @cached_property
    def _reader(self) -> MessageReader:
        return MessageReader(self.service.catalogue)

    @property
    def outputs(self) -> list[Message]:
        """Every message put out since the last `clear()`, in order."""
        return [message for _, message in self._reader.find(self.log[self._seen_outputs :])]

    @property
    def emitted(self) -> list[Event]:
        """The events among the outputs."""
        return [message for message in self.outputs if isinstance(message, Event)]

    @property
    def sent(self) -> list[Command]:
        """The commands among the outputs."""
        return [message for message in self.outputs if isinstance(message, Command)]

    def clear(self) -> None:
        """Forget the outputs so far, so that the next assertion is about what comes next."""
        self._seen_outputs = len(self.log)

    # -- inside ---------------------------------------------------------------------------------------------------

    def record_of(self, message: Message, message_id: str) -> StoredRecord:
        """Return `message` as its producer would have written it."""
        topic = self._inlet(type(message))
        key = topic.key_of(message)
        partition, offset = self.process.partition_of(key), next(self._offsets)
        headers: Headers = [("ce_id", message_id.encode())]
        if topic.format == "json":
            headers.append(("ce_type", json_type_name(type(message)).encode()))
        value = codec_of(topic).encoder_for(type(message))(message)
        return StoredRecord(topic.name, partition, offset, key, value, headers)

    def _append_fact(self, fact: Event) -> None:
        """Write a fact as its service would have written it."""
        topic = self.service.catalogue.home(type(fact), self.service.name)
        key, headers = topic.key_of(fact), Headers()
        store = next((one for one in self._replayable(key) if one.ledger == topic.name), None)
        if isinstance(store, EventSourcedStore):
            fact, _, headers = store.number(key, fact, store)
        record = self._topics.append((topic.name, encoder_for(type(fact))(fact), key, headers, -1))
        if store is not None:
            store.replay(key, fact, record)

    def _replayable(self, key: bytes) -> list[Replayable]:
        return self.process.task_of(key.decode()).stores.replayable

    def _records_of(self, messages: Iterable[Message], message_id: str | None) -> list[StoredRecord]:
        ids = itertools.chain([message_id] if message_id else [], self._ids)
        return [self.record_of(message, next(ids)) for message in messages]

    def _inlet(self, message: type[Message]) -> Topic:
        homes = self.service.catalogue.homes(message)
        inlet = next((topic for topic in homes if topic in self.service.inputs), None)
        if inlet is None:
            places = " or ".join(topic.name for topic in homes)
            raise ConfigurationError(f"{self.service.name} does not read {places}, where {message.__name__} lies")
        return inlet
