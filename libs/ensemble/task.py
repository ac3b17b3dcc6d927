"""One partition's task: takes records, runs their handlers on a record layer, and gathers a batch of effects.

Free of any transport: Kafka's loop and the in-memory driver feed it alike. Nothing in here commits; whoever drives the
task writes `outputs` and `changes()` in one transaction with the positions, then calls `fold()`, or `drop()`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from ensemble.attempts import Attempts
from ensemble.codec import id_in
from ensemble.dead_letter import DeadLetters, Failure
from ensemble.effects import Change, Layer, Output, Record, current_layer
from ensemble.errors import (
    AttemptTimedOut,
    EnsembleError,
    MisplacedRecord,
    SchemasUnavailable,
    TerminalError,
    UnhandledMessage,
    UnknownSchema,
)
from ensemble.messages import Command, Message
from ensemble.partitioning import partition_of
from ensemble.plan import Input, Plan, Target
from ensemble.timers import DueTimer

_ID_LIMIT: Final = 128
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_HEADERS: Final[dict[str, bytes]] = {}


@dataclass
class Counts:
    """What a batch did, for metrics: added up once a batch, never per message."""

    handled: int = 0
    skipped: int = 0
    duplicates: int = 0
    retries: int = 0
    dead_lettered: int = 0
    timers: int = 0


class PartitionTask:
    """All inputs' partition `partition`, their state, and the batch in progress."""

    def __init__(self, plan: Plan, partition: int) -> None:
        self.plan, self.partition = plan, partition
        self.stores = plan.open_stores()
        self.positions: dict[str, int] = {}
        """The next offset of each input topic."""
        self._committed: dict[str, int] = {}
        self.outputs: list[Output] = []
        self.counts = Counts()
        self._dead_letters = DeadLetters(plan, partition)
        self._layer = Layer()
        self._roles = plan.bind(self.stores, self._layer)
        self._calls: dict[int, tuple[tuple[str, Callable[[Any], None]], ...]] = {}
        self._waiting: dict[bytes, list[tuple[Record, Target]]] = {}
        self._time, self._now = "", 0

    # -- taking records -------------------------------------------------------------------------------------------

    def begin_batch(self, now: int, stamp: str) -> None:
        """Start a batch at `now` (epoch milliseconds, and as text); its outputs carry that time."""
        self._now, self._time = now, stamp

    def take(self, record: Record) -> None:
        """Handle one record at once, or let it wait for `finish` when it, or its key, needs an async handler."""
        topic, offset = record.topic(), record.offset()
        self.positions[topic] = offset + 1  # type: ignore[index,operator]  # a consumed record has both
        inlet = self.plan.inputs[topic]  # type: ignore[index]  # a consumed record has a topic
        value = record.value()
        target = inlet.targets.get(value[:5]) if value is not None else None
        if target is None and value is not None and value[:5] not in inlet.known:
            target = self._late_target(record, inlet)
        if target is None:
            self._refuse(record, inlet, value)
        elif target.is_async or (self._waiting and record.key() in self._waiting):
            self._waiting.setdefault(record.key() or b"", []).append((record, target))
        else:
            self._run(record, inlet, target)

    def _late_target(self, record: Record, inlet: Input) -> Target | None:
        """For a schema id never met so far. SchemasUnavailable leaves the record untaken."""
        try:
            return self.plan.late_target(inlet, record.value()[:5])
        except SchemasUnavailable:
            self.positions[inlet.topic.name] = record.offset()  # type: ignore[assignment]  # a consumed record has one
            raise

    async def finish(self) -> None:
        """Run what waits: keys side by side, each key's records in order."""
        waiting, self._waiting = self._waiting, {}
        await asyncio.gather(*(self._run_in_order(records) for records in waiting.values()))

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def _run(self, record: Record, inlet: Input, target: Target) -> None:
        try:
            self._handle(record, inlet, target)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled here
            attempts = self._attempts_after(error, self._layer)
            while attempts.again():
                self._layer.drop()
                with attempts:
                    self._handle(record, inlet, target)
            self._settle(record, target, self._layer, attempts)

    def _handle(self, record: Record, inlet: Input, target: Target) -> None:
        layer = self._layer
        if current_layer.get() is not layer:
            current_layer.set(layer)
        if not self._admit(record, inlet, layer):
            return
        message = target.read(record.value())
        input_id = layer.input_id
        for seed, call in self._calls.get(id(target)) or self._bind_calls(target):
            layer.seed = f"{seed}{input_id}/"
            call(message)
        layer.seal()
        layer.fold(self.outputs)
        self._done(record, inlet, layer)

    async def _run_in_order(self, records: list[tuple[Record, Target]]) -> None:
        layer = Layer()
        current_layer.set(layer)
        for record, target in records:
            await self._run_async(record, target, layer)

    async def _run_async(self, record: Record, target: Target, layer: Layer) -> None:
        inlet = self.plan.inputs[record.topic()]  # type: ignore[index]  # a consumed record has a topic
        try:
            await self._handle_async(record, inlet, target, layer)
        except Exception as error:  # noqa: BLE001  as in _run
            attempts = self._attempts_after(error, layer)
            while await attempts.again_async():
                with attempts:
                    await self._handle_async(record, inlet, target, layer)
            self._settle(record, target, layer, attempts)

    async def _handle_async(self, record: Record, inlet: Input, target: Target, layer: Layer) -> None:
        layer.drop()
        if not self._admit(record, inlet, layer):
            return
        await self._call(layer, target, target.read(record.value()))
        layer.seal()
        layer.fold(self.outputs)
        self._done(record, inlet, layer)

    def _attempts_after(self, error: Exception, layer: Layer) -> Attempts:
        layer.drop()
        return Attempts(self.plan.limits.retry, self.plan.clock, error)

    def _settle(self, record: Record, target: Target, layer: Layer, attempts: Attempts) -> None:
        """After the last attempt: nothing, when it succeeded; otherwise the record is given up."""
        self.counts.retries += attempts.made - 1
        if attempts.error is not None:
            layer.drop()
            names = ", ".join(handler.name for handler in target.handlers)
            self._give_up(
                record, layer, Failure(attempts.error, "handle", names, attempts.made, _decoded(target, record))
            )

    async def _call(self, layer: Layer, target: Target, message: Message) -> None:
        limit = self.plan.limits.attempt_timeout_s
        try:
            async with asyncio.timeout(limit):
                for seed, handler in zip(target.seeds, target.handlers, strict=True):
                    layer.seed = f"{seed}{layer.input_id}/"
                    role = self.plan.bind_one(handler.role, self.stores, layer)
                    result = getattr(role, handler.method)(message)
                    if isinstance(result, Awaitable):
                        await result
        except TimeoutError as error:
            raise AttemptTimedOut(f"no answer within {limit} s") from error

    def _bind_calls(self, target: Target) -> tuple[tuple[str, Callable[[Any], None]], ...]:
        pairs = zip(target.seeds, target.handlers, strict=True)
        calls = tuple((seed, getattr(self._roles[handler.role], handler.method)) for seed, handler in pairs)
        self._calls[id(target)] = calls
        return calls

    # -- admitting ------------------------------------------------------------------------------------------------

    def _admit(self, record: Record, inlet: Input, layer: Layer) -> bool:
        """Set the layer up for `record`; False when it is a duplicate."""
        key = record.key()
        self._identify(record, key or b"", layer)
        if not key:
            raise MisplacedRecord(
                "the record has no key, so nobody can say whose order it belongs to; publish it with its key "
                "field as key"
            )
        if not inlet.topic.external:
            return True
        right = partition_of(key, self.plan.service.partitions)
        if right != self.partition:
            raise MisplacedRecord(
                f"key {key.decode(errors='replace')!r} belongs to partition {right}, not {self.partition}; "
                "produce with partitioner=murmur2_random"
            )
        if self.stores.seen is not None and self.stores.seen.knows(key, layer.input_id):
            self.counts.duplicates += 1
            return False
        return True

    def _identify(self, record: Record, key: bytes, layer: Layer) -> None:
        found = record.headers()
        headers = dict(found) if found else _NO_HEADERS
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        raw_id = headers.get("ce_id")
        input_id = _bounded(raw_id) if raw_id else f"{topic}/{partition}/{offset}"
        correlation = headers.get("ce_correlationid")
        correlation_id = _bounded(correlation) if correlation else input_id
        layer.begin(key, input_id, correlation_id, _trace(headers, input_id), self._time)
        layer.place(topic, partition, offset)  # type: ignore[arg-type]  # a consumed record has them

    def _refuse(self, record: Record, inlet: Input, value: bytes | None) -> None:
        """A record that no handler takes: skip it when that is normal, dead-letter it when it is not."""
        layer = self._layer
        try:
            if value is not None and value[:5] in inlet.known and not self._owns_commands(inlet):
                self.counts.skipped += 1
                return
            self._identify(record, record.key() or b"", layer)
            raise _why_refused(inlet, value)
        except TerminalError as error:
            self._give_up(record, layer, Failure(error, "decode", "", 1, None))

    def _owns_commands(self, inlet: Input) -> bool:
        return inlet.topic.owner == self.plan.service.name and issubclass(inlet.topic.messages[0], Command)

    def _done(self, record: Record, inlet: Input, layer: Layer) -> None:
        self.counts.handled += 1
        if inlet.topic.external and self.stores.seen is not None:
            self.stores.seen.add(record.key(), layer.input_id, self._now)

    def _give_up(self, record: Record, layer: Layer, failure: Failure) -> None:
        self.counts.dead_lettered += 1
        self._dead_letters.stage(record, layer, failure, self._now)
        layer.fold(self.outputs)

    # -- timers ---------------------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When its next timer falls due, epoch milliseconds."""
        return self.stores.timers.next_due() if self.stores.timers is not None else None

    def fire_due(self, until: int) -> None:
        """Run the handlers of all timers due by `until`; each ends in the batch that its effects are part of."""
        if self.stores.timers is not None:
            for timer in self.stores.timers.due(until):
                if self.stores.timers.is_live(timer):
                    self._fire(timer)

    def _fire(self, timer: DueTimer) -> None:
        try:
            self._handle_timer(timer)
        except Exception as error:  # noqa: BLE001  as in _run
            attempts = self._attempts_after(error, self._layer)
            while attempts.again():
                with attempts:
                    self._handle_timer(timer)
            if attempts.error is not None:
                self._give_up_timer(timer, Failure(attempts.error, "timer", timer.name, attempts.made, None))
        self.counts.timers += 1

    def _give_up_timer(self, timer: DueTimer, failure: Failure) -> None:
        """As for a record: it costs nobody else, and somebody can look at it."""
        self._begin_timer(timer)
        assert self.stores.timers is not None, "a timer came from there"
        self.counts.dead_lettered += 1
        self._dead_letters.stage(self.stores.timers.record_of(timer, self.partition), self._layer, failure, self._now)
        self._layer.seal()
        self._layer.fold(self.outputs)

    def _handle_timer(self, timer: DueTimer) -> None:
        layer = self._begin_timer(timer)
        for handler in self.plan.timers.get(timer.name, ()):
            layer.seed = f"{self.plan.service.name}/{handler.name}/{layer.input_id}/"
            getattr(self._roles[handler.role], handler.method)(timer)
        layer.seal()
        layer.fold(self.outputs)

    def _begin_timer(self, timer: DueTimer) -> Layer:
        layer, timer_id = self._layer, f"timer/{timer.key}/{timer.name}/{timer.due_at}"
        current_layer.set(layer)
        layer.drop()
        layer.begin(timer.key.encode(), timer_id, timer.correlation_id, timer.trace, self._time)
        layer.place("timer", -1, -1)
        self.stores.timers_for(layer).cancel(timer.key, timer.name)
        return layer

    # -- the batch's end ------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """All changelogs and ledgers are read."""
        for store in (self.stores.timers, self.stores.seen):
            if store is not None:
                store.restored()

    def start_at(self, offsets: dict[str, int]) -> None:
        """The next offset of each input, as the group has them committed."""
        self.positions, self._committed = dict(offsets), dict(offsets)

    def rewind(self) -> dict[str, int]:
        """Go back to the last commit; returns where to read on."""
        self.positions = dict(self._committed)
        return self.positions

    @property
    def is_ahead(self) -> bool:
        """It has read further than it has committed."""
        return self.positions != self._committed

    def offsets(self) -> dict[str, int]:
        """The offsets to commit.

        When no input moved (a batch of timers), those there are: every transaction proves the slot.
        """
        moved = {topic: offset for topic, offset in self.positions.items() if self._committed.get(topic) != offset}
        return moved or self.positions

    @property
    def holds_state(self) -> bool:
        """Something was restored."""
        return any(store.size() for store in self.stores.all)

    def ledger_reached(self, ledger: str, offset: int) -> None:
        """All facts known so far lie before this offset of the ledger."""
        for store in self.stores.by_subject.values():
            if getattr(store, "ledger", "") == ledger:
                store.ledger_end = offset

    @property
    def is_dirty(self) -> bool:
        return bool(self.outputs) or any(getattr(store, "batch", None) for store in self.stores.all)

    def changes(self) -> Iterator[tuple[str, Sequence[Change]]]:
        """The batch's changelog records, by topic."""
        for store in self.stores.all:
            if changes := store.changes():
                yield store.changelog, changes

    def fold(self) -> None:
        """The transaction committed."""
        self._committed = dict(self.positions)
        self.outputs.clear()
        self.counts = Counts()
        for store in self.stores.all:
            store.fold()

    def drop(self) -> None:
        """The transaction did not happen."""
        self.outputs.clear()
        self.counts = Counts()
        self._waiting = {}
        for store in self.stores.all:
            store.drop()


def _bounded(raw: bytes) -> str:
    """An id as text. One longer than ids are becomes its hash, or outputs that carry it would outgrow their topic."""
    return str(raw, "utf-8", "backslashreplace") if len(raw) <= _ID_LIMIT else blake2b(raw, digest_size=16).hexdigest()


def _trace(headers: dict[str, bytes], input_id: str) -> str:
    parent = headers.get("traceparent")
    if parent and (found := _TRACEPARENT.match(parent)):
        return found[1].decode()
    return blake2b(input_id.encode(), digest_size=16).hexdigest()


def _decoded(target: Target, record: Record) -> Message | None:
    """The message, when it was readable: its sender is to be told."""
    try:
        return target.read(record.value())
    except EnsembleError:
        return None


def _why_refused(inlet: Input, value: bytes | None) -> TerminalError:
    if value is None:
        return MisplacedRecord(
            f"a tombstone (null value) on {inlet.topic.name}, which is not compacted; nothing can be read from it"
        )
    if value[:5] in inlet.known:
        return UnhandledMessage(f"no handler here takes this message of {inlet.topic.name}")
    return UnknownSchema(
        f"schema id {id_in(value)} is none of those that {inlet.topic.name} carries; was it produced for "
        "another topic, by a newer release, or under a registry's id while SCHEMA_REGISTRY_URL is not set?"
    )
