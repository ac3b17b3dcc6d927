"""One partition's task: takes records, runs their handlers on a record layer, and gathers a batch of effects.

Free of any transport: Kafka's loop and the in-memory driver feed it alike. Nothing in here commits; whoever drives the
task writes `outputs` and `changes()` in one transaction with the positions, then calls `fold()`, or `drop()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from ensemble.admission import Admission, why_refused
from ensemble.batch import Batch, Counts
from ensemble.calls import Call, Calls
from ensemble.control import Control
from ensemble.effects import Change, Layer, Output, Record, current_layer
from ensemble.errors import AttemptTimedOut, EnsembleError, SchemasUnavailable, Stopped
from ensemble.failures import Failed, Failures
from ensemble.messages import Command, Message
from ensemble.parked import ParkedKeys
from ensemble.plan import Duty, Input, Plan, Target
from ensemble.timers import DueTimer


class PartitionTask:
    """All inputs' partition `partition`, their state, and the batch in progress."""

    def __init__(self, plan: Plan, partition: int) -> None:
        self.plan, self.partition = plan, partition
        self._batch = Batch(plan, partition)
        self.stores = self._batch.stores
        self.outputs: list[Output] = self._batch.outputs
        self.positions: dict[str, int] = {}
        """The next offset of each input topic."""
        self._committed: dict[str, int] = {}
        self._admission = Admission(self._batch)
        self._failures = Failures(self._batch)
        self.calls = Calls(self)
        self.parked = ParkedKeys(self._batch, self._failures, self)
        self._control = Control(self._batch, self.parked)
        self._layer = Layer()
        self._roles = plan.bind(self.stores, self._layer)
        self._bound: dict[int, tuple[tuple[str, Callable[[Any], None]], ...]] = {}

    @property
    def counts(self) -> Counts:
        """What the batch has done so far."""
        return self._batch.counts

    # -- taking records -------------------------------------------------------------------------------------------

    def begin_batch(self, now: int, stamp: str) -> None:
        """Start a batch at `now` (epoch milliseconds, and as text); its outputs carry that time."""
        self._batch.begin(now, stamp)

    def take(self, record: Record) -> None:
        """Handle one record at once, or let it wait for `finish` when it, or its key, needs an async handler.

        Behind a parked key it is parked. SchemasUnavailable and Stopped leave the record untaken.
        """
        topic, offset = record.topic(), record.offset()
        self.positions[topic] = offset + 1  # type: ignore[index,operator]  # a consumed record has both
        try:
            self.route(record, self.plan.inputs[topic])  # type: ignore[index]  # as above
        except (SchemasUnavailable, Stopped):
            self.positions[topic] = offset  # type: ignore[index,assignment]  # as above
            raise

    def route(self, record: Record, inlet: Input) -> None:
        """As `take`, whatever its offset."""
        value = record.value()
        target = inlet.targets.get(value[:5]) if value is not None else None
        if target is None and (target := self._look_closer(record, inlet, value)) is None:
            return
        if self.parked.needs_care and self.parked.keeps(record, target):
            return
        if target.is_async or (self.calls.lines and record.key() in self.calls.lines):
            self.calls.add(Call(record.key() or b"", record, target))
        else:
            self.run(record, inlet, target)

    def _look_closer(self, record: Record, inlet: Input, value: bytes | None) -> Target | None:
        """A schema that came up after start, an operator's command, or nothing for us."""
        if inlet.is_control:
            self._control.take(record)
            return None
        if value is not None and value[:5] not in inlet.known:
            target = self.plan.late_target(inlet, value[:5])
            if target is not None:
                return target
        self.refuse(record, inlet)
        return None

    def refuse(self, record: Record, inlet: Input) -> None:
        """A record that no handler takes: skip it when that is normal, dead-letter it when it is not."""
        value = record.value()
        if value is not None and value[:5] in inlet.known and not self._owns_commands(inlet):
            self.counts.skipped += 1
            return
        self._admission.identify(record, self._layer)
        error, duty = why_refused(inlet, value), self.plan.duty("", ())
        self._failures.settle(Failed(b"", record, duty, error, self._layer, lambda: None, "decode"))

    def _owns_commands(self, inlet: Input) -> bool:
        return inlet.topic.owner == self.plan.service.name and issubclass(inlet.topic.messages[0], Command)

    async def finish(self, wait_s: float | None = None) -> None:
        """Run what waits, keys side by side; what takes longer than `wait_s` stays in flight."""
        await self.calls.finish(wait_s)

    @property
    def is_waiting(self) -> bool:
        return bool(self.calls.lines)

    # -- handling -------------------------------------------------------------------------------------------------

    def run(self, record: Record, inlet: Input, target: Target) -> bool:
        """Handle a record now. False when it failed, and its failure was settled."""
        try:
            self._handle(record, inlet, target)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled here
            return self.settle(record, target, error, self._layer)
        if self.plan.outages.is_watching:
            self._failures.succeeded(target.duty.handler)
        return True

    def settle(self, record: Record, target: Target, error: Exception, layer: Layer) -> bool:
        """Deal with a failure; True when the record was skipped, so that its key may go on."""
        layer.drop()
        key = self.parked.key_of(record, target)
        return self._failures.settle(Failed(key, record, target.duty, error, layer, lambda: _decoded(target, record)))

    def _handle(self, record: Record, inlet: Input, target: Target) -> None:
        layer = self._layer
        if current_layer.get() is not layer:
            current_layer.set(layer)
        if not self._admission.admit(record, inlet, layer):
            return
        message = target.read(record.value())
        input_id = layer.input_id
        for seed, call in self._bound.get(id(target)) or self._bind(target):
            layer.seed = f"{seed}{input_id}/"
            call(message)
        self._keep(record, inlet, layer)

    def _keep(self, record: Record, inlet: Input, layer: Layer) -> None:
        layer.seal()
        layer.fold(self.outputs)
        self._admission.done(record, inlet, layer)

    def _bind(self, target: Target) -> tuple[tuple[str, Callable[[Any], None]], ...]:
        pairs = zip(target.seeds, target.handlers, strict=True)
        calls = tuple((seed, getattr(self._roles[handler.role], handler.method)) for seed, handler in pairs)
        self._bound[id(target)] = calls
        return calls

    # -- async handlers: what `Calls` asks of its owner -----------------------------------------------------------

    async def call(self, call: Call) -> None:
        """Run the handlers; effects stay on the call's layer."""
        layer, inlet = call.layer, self.plan.inputs[call.record.topic()]  # type: ignore[index]  # a consumed record has one
        current_layer.set(layer)
        call.is_duplicate = not self._admission.admit(call.record, inlet, layer)
        if not call.is_duplicate:
            await self._called(layer, call.target, call.target.read(call.record.value()))

    async def _called(self, layer: Layer, target: Target, message: Message) -> None:
        limit = target.duty.policy.attempt_timeout_s
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

    def ended(self, call: Call) -> None:
        """It has come back: keep its effects, or deal with its error."""
        goes_on = call.error is None and self._ended_well(call)
        if call.error is not None:
            goes_on = self.settle(call.record, call.target, call.error, call.layer)
        is_held = call.is_parked or call.in_flight
        if goes_on and is_held and not self.parked.pop(call.key):
            self.parked.attempt(call.key)

    def _ended_well(self, call: Call) -> bool:
        try:
            if not call.is_duplicate:
                self._keep(call.record, self.plan.inputs[call.record.topic() or ""], call.layer)
        except EnsembleError as error:  # what it wrote cannot be encoded
            call.error = error
            return False
        if self.plan.outages.is_watching:
            self._failures.succeeded(call.target.duty.handler)
        return True

    def left(self, call: Call) -> None:
        """It stays in flight: park its record."""
        self.parked.hold_flight(call)

    def behind(self, call: Call) -> None:
        """It was not begun and its key is parked: let its record wait there."""
        self.parked.append(call.key, call.record, call.target)

    def cancelled(self, call: Call) -> None:
        """Its outcome is not wanted any more."""
        self._failures.forget(call.target.duty.handler, call.key)

    def is_parked(self, key: bytes) -> bool:
        return key in self.stores.parking.keys

    # -- timers and retries ---------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When its next timer or retry falls due, epoch milliseconds."""
        dues = (self.next_timer(), self.parked.next_due())
        return min((due for due in dues if due is not None), default=None)

    def next_timer(self) -> int | None:
        """When its next timer falls due, epoch milliseconds; none does while the service is paused."""
        if self.parked.is_paused:
            return None
        return self.stores.timers.next_due() if self.stores.timers is not None else None

    def fire_due(self, until: int) -> None:
        """Run the handlers of all timers due by `until`; each ends in the batch that its effects are part of."""
        if self.stores.timers is not None:
            for timer in self.stores.timers.due(until):
                if self.stores.timers.is_live(timer):
                    self._fire(timer)

    def _fire(self, timer: DueTimer) -> None:
        timers, key = self.stores.timers, timer.key.encode()
        assert timers is not None, "a timer came from there"
        if key in self.stores.parking.keys:
            timers.hold(timer)
        elif self.run_timer(timer):
            self.counts.timers += 1

    def run_timer(self, timer: DueTimer) -> bool:
        """Run a timer's handlers. False when they failed, and the failure was settled."""
        handlers = self.plan.timers.get(timer.name, ())
        layer = self._begin_timer(timer)
        try:
            for handler in handlers:
                layer.seed = f"{self.plan.service.name}/{handler.name}/{layer.input_id}/"
                getattr(self._roles[handler.role], handler.method)(timer)
            layer.seal()
        except Exception as error:  # noqa: BLE001  as in run
            return self._settle_timer(timer, self.plan.duty(timer.name, handlers), error)
        layer.fold(self.outputs)
        return True

    def _settle_timer(self, timer: DueTimer, duty: Duty, error: Exception) -> bool:
        """As for a record. The timer itself stays, for the parked key it belongs to, unless it is skipped."""
        assert self.stores.timers is not None, "a timer came from there"
        record, key = self.stores.timers.record_of(timer, self.partition), timer.key.encode()
        skipped = self._failures.settle(Failed(key, record, duty, error, self._layer, lambda: None, "timer"))
        if skipped:
            self.end_timer(timer)
        return skipped

    def end_timer(self, timer: DueTimer) -> None:
        """Do without it."""
        layer = self._begin_timer(timer)
        layer.seal()
        layer.fold(self.outputs)

    def _begin_timer(self, timer: DueTimer) -> Layer:
        layer, timer_id = self._layer, f"timer/{timer.key}/{timer.name}/{timer.due_at}"
        current_layer.set(layer)
        layer.drop()
        layer.begin(timer.key.encode(), timer_id, timer.correlation_id, timer.trace, self._batch.time)
        layer.place("timer", -1, -1)
        self.stores.timers_for(layer).cancel(timer.key, timer.name)
        return layer

    # -- the batch's end ------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """All changelogs and ledgers are read."""
        for store in (self.stores.timers, self.stores.seen, self.stores.parking):
            if store is not None:
                store.restored()
        self.parked.restored()

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
        self._batch.end()
        self._failures.commit()
        self.calls.commit()
        for store in self.stores.all:
            store.fold()

    def drop(self) -> None:
        """The transaction did not happen."""
        self._batch.end()
        self._failures.drop()
        self.calls.drop()
        for store in self.stores.all:
            store.drop()
        self.parked.restored()

    def close(self) -> None:
        """The partition is not ours any more: calls that are under way are cancelled."""
        self.calls.close()


def _decoded(target: Target, record: Record) -> Message | None:
    """The message, when it was readable: its sender is to be told."""
    try:
        return target.read(record.value())
    except EnsembleError:
        return None
