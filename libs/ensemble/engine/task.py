"""One partition's task: takes records, runs their handlers on a record layer, and gathers a batch of effects.

Free of any transport: Kafka's loop and the in-memory driver feed it alike. Nothing in here commits; whoever drives the
task writes `outputs` and `changes()` in one transaction with the positions, then calls `fold()`, or `drop()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ensemble.engine.admission import Admission, why_refused
from ensemble.engine.async_calls import Call, Calls, attempted
from ensemble.engine.batch import Batch, Counts
from ensemble.engine.compiled import Input, Plan, Target
from ensemble.engine.failures.handling import Failed, Failures
from ensemble.engine.failures.parked_keys import ParkedKeys
from ensemble.engine.operator_commands import Control
from ensemble.engine.timers import Timed
from ensemble.errors import SchemasUnavailable, Stopped, UnhandledMessage
from ensemble.messages.message import Command
from ensemble.messages.records import ConsumedRecord
from ensemble.state.store import Change
from ensemble.state.unit_of_work import Layer, Output, current_layer


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
        self._failures = Failures(self._batch, self._admission)
        self.calls = Calls(self)
        self.parked = ParkedKeys(self._batch, self._failures, self)
        self.holds_back, self.left = self.parked.holds_back, self.parked.hold_flight
        self._control = Control(self._batch, self.parked, self.take_again)
        self.layer = Layer()
        self.roles = plan.bind(self.stores, self.layer)
        self._timed = Timed(self._batch, self._failures, self)
        self.next_timer, self.fire_due = self._timed.next_due, self._timed.fire_due
        self.run_timer, self.end_timer = self._timed.run, self._timed.end
        self._bound: dict[int, tuple[tuple[str, Callable[[Any], None]], ...]] = {}

    @property
    def counts(self) -> Counts:
        """What the batch has done so far."""
        return self._batch.counts

    # -- taking records -------------------------------------------------------------------------------------------

    def begin_batch(self, now: int, stamp: str) -> None:
        """Start a batch at `now` (epoch milliseconds, and as text); its outputs carry that time."""
        self._batch.begin(now, stamp)
        self._failures.begin()

    def take(self, record: ConsumedRecord) -> None:
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

    def route(self, record: ConsumedRecord, inlet: Input) -> None:
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

    def _look_closer(self, record: ConsumedRecord, inlet: Input, value: bytes | None) -> Target | None:
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

    def refuse(self, record: ConsumedRecord, inlet: Input | None) -> None:
        """A record that no handler takes: skip it when that is normal, dead-letter it when it is not."""
        value = record.value()
        if inlet is not None and value is not None and value[:5] in inlet.known and not self._owns_commands(inlet):
            self.counts.skipped += 1
            return
        self._admission.identify(record, self.layer)
        error = (
            why_refused(inlet, value) if inlet is not None else UnhandledMessage(f"{record.topic()} is not read here")
        )
        duty = self.plan.duty("", ())
        self._failures.settle(Failed(b"", record, duty, error, self.layer, lambda: None, "decode"))

    def take_again(self, record: ConsumedRecord) -> str:
        """Handle a record that had been skipped, as if it came now; words when it cannot be taken now."""
        inlet = self.plan.inputs.get(record.topic() or "")
        try:
            if inlet is None or inlet.is_control:
                return self._timed.take_again(record)
            self.route(record, inlet)
        except (SchemasUnavailable, Stopped) as reason:
            return str(reason)
        return ""

    def _owns_commands(self, inlet: Input) -> bool:
        return inlet.topic.owner == self.plan.service.name and issubclass(inlet.topic.messages[0], Command)

    async def finish(self, wait_s: float | None = None) -> None:
        """Run what waits, keys side by side; what takes longer than `wait_s` stays in flight."""
        await self.calls.finish(wait_s)

    @property
    def is_waiting(self) -> bool:
        return bool(self.calls.lines)

    # -- handling -------------------------------------------------------------------------------------------------

    def run(self, record: ConsumedRecord, inlet: Input, target: Target) -> bool:
        """Handle a record now. False when it failed, and its failure was settled."""
        try:
            is_new = self._handle(record, inlet, target)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled here
            key = self.parked.key_of(record, target)
            return self._failures.settle(Failed.of(Call(key, record, target, layer=self.layer), error))
        if self.plan.outages.is_watching:
            self._went_well(self.parked.key_of(record, target), target, is_new=is_new)
        return True

    def _went_well(self, key: bytes, target: Target, *, is_new: bool) -> None:
        """A duplicate says nothing of its handler."""
        if is_new:
            self._failures.succeeded(target.duty.handler)
        else:
            self._failures.forget(target.duty.handler, key)

    def _handle(self, record: ConsumedRecord, inlet: Input, target: Target) -> bool:
        layer = self.layer
        if current_layer.get() is not layer:
            current_layer.set(layer)
        if not self._admission.admit(record, inlet, layer):
            return False
        message = target.read(record.value())
        input_id = layer.input_id
        for seed, call in self._bound.get(id(target)) or self._bind(target):
            layer.seed = f"{seed}{input_id}/"
            call(message)
        self._keep(record, inlet, layer)
        return True

    def _keep(self, record: ConsumedRecord, inlet: Input, layer: Layer) -> None:
        layer.seal()
        layer.fold(self.outputs)
        self._admission.done(record, inlet, layer)

    def _bind(self, target: Target) -> tuple[tuple[str, Callable[[Any], None]], ...]:
        pairs = zip(target.seeds, target.handlers, strict=True)
        calls = tuple((seed, getattr(self.roles[handler.role], handler.method)) for seed, handler in pairs)
        self._bound[id(target)] = calls
        return calls

    # -- async handlers: what `Calls` asks of its owner -----------------------------------------------------------

    async def call(self, call: Call) -> None:
        """Run the handlers; effects stay on the call's layer."""
        layer, inlet = call.layer, self.plan.inputs[call.record.topic()]  # type: ignore[index]  # a consumed record has one
        current_layer.set(layer)
        call.is_duplicate = not self._admission.admit(call.record, inlet, layer)
        if not call.is_duplicate:
            bind = partial(self.plan.bind_one, stores=self.stores, layer=layer)
            await attempted(call.target, layer, call.target.read(call.record.value()), bind)

    def ended(self, call: Call) -> None:
        """It has come back: keep its effects, or deal with its error."""
        goes_on = self._ended_well(call)
        if call.error is not None:
            goes_on = self._failures.settle(Failed.of(call, call.error))
        is_held = call.is_parked or call.in_flight
        if goes_on and is_held and not self.parked.pop(call.key):
            self.parked.attempt(call.key)

    def _ended_well(self, call: Call) -> bool:
        try:
            if call.error is None and not call.is_duplicate:
                self._keep(call.record, self.plan.inputs[call.record.topic() or ""], call.layer)
        except Exception as error:  # noqa: BLE001  what it wrote cannot be encoded
            call.error = error
        if call.error is None and self.plan.outages.is_watching:
            self._went_well(call.key, call.target, is_new=not call.is_duplicate)
        return call.error is None

    def behind(self, call: Call) -> None:
        """It was not begun and its key is parked: let its record wait there."""
        self.parked.append(call.key, call.record, call.target)

    def cancelled(self, call: Call) -> None:
        """Its outcome is not wanted any more."""
        self._failures.forget(call.target.duty.handler, call.key)

    def is_parked(self, key: bytes) -> bool:
        return key in self.stores.parking.keys

    def next_due(self) -> int | None:
        """When its next timer or retry falls due, epoch milliseconds."""
        dues = (self.next_timer(), self.parked.next_due())
        return min((due for due in dues if due is not None), default=None)

    # -- the batch's end ------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """All changelogs and ledgers are read."""
        for store in self.stores.all:
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
        for store in self.stores.replayable:
            if store.ledger == ledger:
                store.ledger_end = offset

    @property
    def is_dirty(self) -> bool:
        return bool(self.outputs) or any(store.is_dirty for store in self.stores.all)

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
        self.calls.drop()
        for store in self.stores.all:
            store.drop()
        self.parked.restored()

    def close(self) -> None:
        """The partition is not ours any more: calls that are under way are cancelled."""
        self.calls.close()
