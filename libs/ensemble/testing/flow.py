"""The test driver of a whole flow: several services in memory over one set of topics, each one's outputs fed back.

    flow = FlowTestDriver([order_service(), payment_service(gateway), inventory_service(), ...])
    flow.publish(PlaceOrder(...))
    flow.run()
    assert flow.messages(OrderCompleted) == [OrderCompleted(order_id="o-1")]

Nothing in it is real but the services and the runtime's tasks. What Kafka does beside: `docs/testing.md`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar, overload

from ensemble.clock import ManualClock
from ensemble.engine.routes import Limits
from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.messages.cloud_events import Envelope, type_headers
from ensemble.messages.message import Command, Message, State
from ensemble.messages.records import Headers, StoredRecord, trace_in
from ensemble.service.catalogue import Topic
from ensemble.service.codecs import codec_of
from ensemble.service.ports import Clock
from ensemble.service.service import Service
from ensemble.state.timers import DueTimer
from ensemble.system_messages.operations import Operation, Scope
from ensemble.testing.operations import OperatorDouble, check_scope, control_outputs
from ensemble.testing.process import MemoryProcess, text_of
from ensemble.testing.reading import MessageReader, ServiceView
from ensemble.testing.schedules import FlowError, Interleavings, InTurn, Schedule, Seeded, due_times, time_after
from ensemble.testing.topics import MemoryTopics, require_services

M = TypeVar("M", bound=Message)
S = TypeVar("S", bound=State)
_LAND_S: Final = 5.0


@dataclass(frozen=True)
class StoryLine:
    """One message of a story: `str` gives `payment emits PaymentConfirmed on payments.events`."""

    sender: str
    """The service, or the source that an outsider has named."""
    message: Message
    record: StoredRecord

    def __str__(self) -> str:
        verb = "sends" if isinstance(self.message, Command) else "emits"
        return f"{self.sender} {verb} {type(self.message).__name__} on {self.record.at_topic}"


class FlowTestDriver:
    """Services over one set of topics in memory.

    Deterministic: message ids, time, and the order of all batches, which `seed` or `interleavings` choose. Time moves
    by `advance` and `run_until` alone.
    """

    def __init__(  # noqa: PLR0913  the rest is keyword-only
        self,
        services: Iterable[Service],
        clock: ManualClock | None = None,
        *,
        seed: int | None = None,
        interleavings: Interleavings | None = None,
        limits: Mapping[str, Limits] | None = None,
        clocks: Mapping[str, Clock] | None = None,
        call_wait_s: float | None = None,
        interceptors: Mapping[str, Sequence[Interceptor]] | None = None,
    ) -> None:
        """Start the services with empty topics.

        `limits`, `clocks` and `interceptors`, which surround its own, are by service.

        A service without a clock of its own goes by `clock`, as outsiders and operators do. The others are not turned:
        a clock that is wrong reads this one and adds its error.
        Without `seed` or `interleavings` services take turns as given, and each takes all that there is for it.
        `call_wait_s`: how long a batch waits for async handlers before it leaves them in flight; None: for ever.
        Raises ConfigurationError for two services of one name, and for settings of one that is not here.
        """
        services = require_services(services)
        limits, clocks, interceptors = limits or {}, clocks or {}, interceptors or {}
        _check_names(services, [*limits, *clocks, *interceptors])
        self.clock = clock or ManualClock()
        self.topics = MemoryTopics(services)
        self.log = self.topics.log
        """Everything that was committed, on any topic, in order."""
        self._processes = {
            each.name: MemoryProcess(
                each,
                self.topics,
                clocks.get(each.name, self.clock),
                limits=limits.get(each.name),
                call_wait_s=call_wait_s,
                interceptors=interceptors.get(each.name, ()),
            )
            for each in services
        }
        self._schedule: Schedule = interleavings or (InTurn() if seed is None else Seeded(seed))
        self._ids = (f"{number:032x}" for number in itertools.count(1))
        self._traces = itertools.count(1)
        self._operator = OperatorDouble(self.clock, self._ids.__next__)

    # -- the outside ----------------------------------------------------------------------------------------------

    def publish(self, *messages: Message, message_id: str | None = None, source: str = "/outside") -> None:
        """Write messages as another system does; `message_id` is the id of the first one. Nothing runs yet."""
        ids = itertools.chain([message_id] if message_id else [], self._ids)
        for message, own_id in zip(messages, ids, strict=False):
            topic = self._home(type(message))
            codec = codec_of(topic)
            headers = self._cloud_event(message, own_id, source, codec.content_type)
            value = codec.encoder_for(type(message))(message)
            self.write(topic.name, topic.key_of(message), value, headers)

    def write(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> None:
        """Write raw bytes, whatever they are, to the partition of `key`."""
        self.topics.append((topic, value, key, list(headers or ()), -1))

    def duplicate(self, kind: type[Message]) -> None:
        """Write the latest record of a message type once more, under the same id: as a producer that tries again."""
        records = [record for record, _ in self._reader.find(reversed(self.log), kind)]
        if not records:
            raise FlowError(f"no {kind.__name__} was written yet, so there is none to duplicate")
        self.topics.copy(records[0])

    def reverse(self, topic: str) -> None:
        """Put what no service has read of a topic in reverse order, partition by partition."""
        for partition in range(self.topics.count_partitions(topic)):
            place = topic, partition
            readers = [p for p in self._processes.values() if topic in p.plan.inputs]
            self.topics.reverse_from(place, max((p.position(place) for p in readers), default=0))

    def hold(self, topic: str) -> None:
        """Have no service read a topic until `release`, as when its partitions lag: what is on others overtakes it."""
        self.topics.count_partitions(topic)
        self.topics.lagging.add(topic)

    def release(self, topic: str) -> None:
        """End a `hold`. Raises ConfigurationError if no service under test lists the topic."""
        self.topics.count_partitions(topic)
        self.topics.lagging.discard(topic)

    # -- services -------------------------------------------------------------------------------------------------

    def stop(self, service: str) -> None:
        """Take a service down: what is for it piles up, its timers wait."""
        self._process(service).is_up = False

    def start(self, service: str) -> None:
        """Start a service again, from its changelogs and the offsets that it has committed."""
        process = self._process(service)
        process.restart()
        process.is_up = True

    def crash(self, service: str, at: str, nth: int = 1) -> None:
        """Have a service die the `nth` time from now that it reaches a point of `ensemble.settings.CRASH_POINTS`.

        It restarts at once; `deaths` tells whether it came to that. Raises ConfigurationError for an unknown point.
        """
        self._process(service).die_at(at, nth)

    @property
    def deaths(self) -> list[tuple[str, str]]:
        """Each crash that has happened: service and point."""
        return [(name, point) for name, process in self._processes.items() for point in process.deaths]

    # -- operators ------------------------------------------------------------------------------------------------

    def operate(self, service: str, operation: Operation) -> None:
        """Write an operator's command to the service's control topic."""
        for output in control_outputs(self._process(service).service, operation):
            self.topics.append(output)

    def pause(self, service: str, scope: Scope, name: str, reason: str = "paused by a test") -> None:
        """Tell a service of a pause, of a service, a saga's step or a command type.

        Raises ConfigurationError for a name that neither a catalogue nor a saga of the flow has.
        """
        check_scope((process.service for process in self._processes.values()), scope, name)
        self.operate(service, self._operator.pause(scope, name, reason))

    def resume(self, service: str, scope: Scope, name: str) -> None:
        """Tell a service of the end of that pause."""
        self.operate(service, self._operator.resume(scope, name))

    def redrive(self, letter: StoredRecord, edited: Message | None = None) -> None:
        """Redrive a dead letter as an operator, with another message if one is given."""
        owner = self._owner_of(letter)
        self.operate(owner, self._operator.redrive(letter, self._process(owner).service.catalogue, edited))

    def discard(self, letter: StoredRecord) -> None:
        """Discard a dead letter as an operator."""
        self.operate(self._owner_of(letter), self._operator.discard(letter))

    # -- running --------------------------------------------------------------------------------------------------

    def step(self) -> str | None:
        """Run one batch of one service. Return its name, or None if there was nothing to do.

        Raises UnreadableState, or what else would end the service's process.
        """
        busy = [process for process in self._processes.values() if process.is_busy]
        if not busy:
            return None
        process, records = self._schedule.choose(busy, self._digest)
        process.run_batch(records)
        return process.service.name

    def run(self, limit: int = 100_000) -> None:
        """Run until nothing is left to do at this time. Raises FlowError if that is not so after `limit` batches."""
        for _ in range(limit):
            if self.step() is None and not self._await_call():
                return
        busy = ", ".join(name for name, process in self._processes.items() if process.is_busy)
        raise FlowError(f"still busy after {limit} batches: {busy}. Do they answer each other for ever?")

    def advance(self, seconds: float) -> None:
        """Run, turn the clock on, and run all that falls due on the way at its time.

        Raises FlowError for seconds below zero (a clock that is wrong is one of `clocks`), and for a time at which
        something is due again and again.
        """
        target = time_after(self.clock.now(), seconds)
        self.run()
        for due in due_times(self._next_due, target):
            self._turn_to(due)
            self.run()
        self._turn_to(target)
        self.run()

    def run_until(self, condition: Callable[[], Any], within_s: float = 3600.0) -> None:
        """Run, and skip to each next due time, until the condition is true.

        Raises FlowError if it is not true within so many seconds of the flow's time.
        """
        target = time_after(self.clock.now(), within_s)
        self.run()
        while not condition():
            due = self._next_due()
            if due is None or due > target:
                raise FlowError(f"the condition is not true within {within_s:g} s of the flow's time{self._pending()}")
            self._turn_to(due)
            self.run()

    # -- what came of it ------------------------------------------------------------------------------------------

    @overload
    def messages(self) -> list[Message]: ...
    @overload
    def messages(self, *kinds: type[M]) -> list[M]: ...
    def messages(self, *kinds: type[Message]) -> Sequence[Message]:
        """Return all messages on all topics, in the order of their commits; of these types alone if any is given."""
        return [message for _, message in self._reader.find(self.log, *kinds)]

    def records(self, topic: str) -> list[StoredRecord]:
        """Return the committed records of one topic, changelogs included."""
        return self.topics.records(topic)

    def story(self, key: str) -> list[StoryLine]:
        """Return the messages that have to do with a key: of that key, or of a trace that it is part of."""
        written = list(self._reader.find(self.log))
        about = {_trace(record) for record, _ in written if record.raw_key == key.encode()} - {""}
        return [
            StoryLine(_header(record, "ce_source").removeprefix("/services/"), message, record)
            for record, message in written
            if record.raw_key == key.encode() or _trace(record) in about
        ]

    def state(self, kind: type[S], key: str) -> S | None:
        """Return the committed state of `key`. Raises FlowError unless one service keeps states of that type."""
        return self._keeper_of(kind).state(kind, key)

    def aggregate(self, kind: type, key: str) -> Any:
        """Return the aggregate of `key`. Raises FlowError unless one service keeps such aggregates."""
        return self._keeper_of(kind).aggregate(kind, key)

    @property
    def timers(self) -> list[tuple[str, DueTimer]]:
        """The timers of all services, each with its service; the one that is due first comes first."""
        timers = [(name, timer) for name in self._processes for timer in self.service(name).timers]
        return sorted(timers, key=lambda pair: (pair[1].due_at, pair[0]))

    @property
    def dead_letters(self) -> list[StoredRecord]:
        """What services gave up, service by service, oldest first."""
        return [letter for name in self._processes for letter in self.service(name).dead_letters]

    def service(self, name: str) -> ServiceView:
        """Return what one service keeps: parked keys, timers, answers to operators. Raises FlowError if unknown."""
        return ServiceView(self._process(name))

    # -- inside ---------------------------------------------------------------------------------------------------

    @cached_property
    def _reader(self) -> MessageReader:
        return MessageReader(*{id(p.service.catalogue): p.service.catalogue for p in self._processes.values()}.values())

    def _digest(self) -> int:
        """Return a number that is equal for situations from which the same can follow, within one Python process."""
        processes = tuple(process.digest() for process in self._processes.values())
        return hash((self.topics.digest(), frozenset(self.topics.lagging), self.clock.now(), processes))

    def _process(self, name: str) -> MemoryProcess:
        if name not in self._processes:
            raise FlowError(f"no service {name!r} in this flow; it has {', '.join(self._processes)}")
        return self._processes[name]

    def _home(self, kind: type[Message]) -> Topic:
        catalogues = [process.service.catalogue for process in self._processes.values()]
        catalogue = next((one for one in catalogues if kind in one.message_types()), catalogues[0])
        return catalogue.homes(kind)[0]

    def _cloud_event(self, message: Message, message_id: str, source: str, content_type: bytes) -> Headers:
        number = next(self._traces)
        envelope = Envelope(message_id, traceparent=f"00-{number:032x}-{number:016x}-01")
        return [*type_headers(type(message), source.encode(), content_type), *envelope.headers_at(self.clock.now())]

    def _owner_of(self, letter: StoredRecord) -> str:
        names = [name for name, p in self._processes.items() if p.service.dead_letter.name == letter.at_topic]
        if not names:
            raise FlowError(f"a record of {letter.at_topic} is no dead letter of this flow")
        return names[0]

    def _keeper_of(self, kind: type) -> ServiceView:
        names = [n for n, p in self._processes.items() if any(spec.subject is kind for spec in p.service.stores)]
        if len(names) != 1:
            raise FlowError(
                f"{kind.__name__} is kept by {' and '.join(names) or 'no service'} of this flow, not by one"
            )
        return self.service(names[0])

    def _next_due(self) -> int | None:
        dues = {process: process.next_due() for process in self._processes.values() if process.is_up}
        waits = [due - process.clock.now() for process, due in dues.items() if due is not None]
        return self.clock.now() + min(waits) if waits else None

    def _turn_to(self, time: int) -> None:
        self.clock.advance(max(0, time - self.clock.now()) / 1000)

    def _await_call(self) -> bool:
        """Wait for a call in flight, of real time. Return whether one is back."""
        processes = [process for process in self._processes.values() if process.is_up and process.calls_in_flight()]
        for process in processes:
            process.await_call(_LAND_S)
        return any(process.is_busy for process in processes)

    def _pending(self) -> str:
        down = [name for name, process in self._processes.items() if not process.is_up]
        lagging = sorted(self.topics.lagging)
        notes = [f"{', '.join(down)} is down" if down else "", f"{', '.join(lagging)} is held" if lagging else ""]
        return "".join(f"; {note}" for note in notes if note)


def _check_names(services: Sequence[Service], further: Iterable[str]) -> None:
    names = [service.name for service in services]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigurationError(f"two services are called {', '.join(sorted(twice))}; a flow has one process of each")
    if not names:
        raise ConfigurationError("a flow needs a service: FlowTestDriver([order_service(), ...])")
    if unknown := sorted(set(further) - set(names)):
        raise ConfigurationError(f"no service {', '.join(unknown)} in this flow, which has {', '.join(names)}")


def _trace(record: StoredRecord) -> str:
    """Return the trace, which tells stories apart whose correlation ids two outsiders have chosen alike."""
    return trace_in(dict(record.headers()))


def _header(record: StoredRecord, name: str) -> str:
    return text_of(dict(record.raw_headers).get(name))
