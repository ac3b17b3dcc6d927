"""One partition's task: takes records, runs their handlers on a record layer, and gathers a batch of effects.

Free of any transport: Kafka's loop and the in-memory driver feed it alike. Nothing in here commits; whoever drives the
task writes `outputs` and `changes()` in one transaction with the positions, then calls `fold()`, or `drop()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ensemble.engine.admission import Admission, why_refused
from ensemble.engine.async_calls import AsyncCall, AsyncCalls, attempted
from ensemble.engine.batch import Batch, Counts
from ensemble.engine.compiled import CompiledService, NewSchemas, failure_rule
from ensemble.engine.failures.circuit_breaker import CircuitBreakers
from ensemble.engine.failures.handling import FailedInput, Failures
from ensemble.engine.failures.parked_keys import ParkedKeys
from ensemble.engine.operator_commands import OperatorCommands
from ensemble.engine.routes import Input, Route
from ensemble.engine.timers import TimerRunner
from ensemble.errors import SchemasUnavailable, Stopped, UnhandledMessage
from ensemble.messages.message import Command
from ensemble.messages.records import ConsumedRecord
from ensemble.state.store import Change
from ensemble.state.unit_of_work import Output, RecordLayer, current_layer


class PartitionTask:
    """All inputs' partition `partition`, their state, and the batch in progress."""

    def __init__(
        self,
        plan: CompiledService,
        partition: int,
        breakers: CircuitBreakers | None = None,
        new_schemas: NewSchemas | None = None,
    ) -> None:
        """`breakers` and `new_schemas` are the process's; a task that is alone has its own."""
        self.plan, self.partition = plan, partition
        self._batch = Batch(plan, partition, breakers or CircuitBreakers(plan.limits.policies.outage))
        self.new_schemas = new_schemas or NewSchemas(plan)
        self.stores = self._batch.stores
        self.outputs: list[Output] = self._batch.outputs
        self.positions: dict[str, int] = {}
        """The next offset of each input topic."""
        self._committed: dict[str, int] = {}
        self._admission = Admission(self._batch)
        self._failures = Failures(self._batch, self._admission)
        self.calls = AsyncCalls(self)
        self.parked = ParkedKeys(self._batch, self._failures, self)
        self.holds_back, self.left = self.parked.holds_back, self.parked.hold_flight
        self._control = OperatorCommands(self._batch, self.parked, self.reprocess)
        self.layer = RecordLayer()
        self.roles = plan.roles.bind(self.stores, self.layer)
        self._timed = TimerRunner(self._batch, self._failures, self)
        self.next_timer, self.fire_due = self._timed.next_due, self._timed.fire_due
        self.run_timer, self.end_timer = self._timed.run, self._timed.end
        self._bound: dict[int, tuple[tuple[str, Callable[[Any], None]], ...]] = {}

    @property
    def counts(self) -> Counts:
        """What the batch has done so far."""
        return self._batch.counts

    # -- taking records -------------------------------------------------------------------------------------------

    def begin_batch(self, now: int) -> None:
        """Start a batch at `now`, epoch milliseconds; its outputs carry that time."""
        self._batch.begin(now)
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

    def route(self, record: ConsumedRecord, input_topic: Input) -> None:
        """Handle a record like `take`, without moving the position."""
        value = record.value()
        route = input_topic.routes.get(value[:5]) if value is not None else None
        if route is None and (route := self._look_closer(record, input_topic, value)) is None:
            return
        if self.parked.needs_care and self.parked.keeps(record, route):
            return
        if route.is_async or (self.calls.queued and record.key() in self.calls.queued):
            self.calls.add(AsyncCall(record.key() or b"", record, route))
        else:
            self.run(record, input_topic, route)

    def _look_closer(self, record: ConsumedRecord, input_topic: Input, value: bytes | None) -> Route | None:
        """Route a schema first seen after start, carry out an operator's command, or refuse the record."""
        if input_topic.is_control:
            self._control.take(record)
            return None
        if value is not None and value[:5] not in input_topic.known:
            route = self.new_schemas.route(input_topic, value[:5])
            if route is not None:
                return route
        self.refuse(record, input_topic)
        return None

    def refuse(self, record: ConsumedRecord, input_topic: Input | None) -> None:
        """Refuse a record that no handler takes: skip it if that is expected, else dead-letter it."""
        value = record.value()
        is_known = input_topic is not None and value is not None and self.new_schemas.is_known(input_topic, value[:5])
        if input_topic is not None and is_known and not self._owns_commands(input_topic):
            self.counts.skipped += 1
            return
        self._admission.identify(record, self.layer)
        unread = UnhandledMessage(f"{record.topic()} is not read here")
        error = unread if input_topic is None else why_refused(input_topic, value)
        rule = failure_rule(self.plan.limits, "", ())
        self._failures.settle(FailedInput(b"", record, rule, error, self.layer, lambda: None, "decode"))

    def reprocess(self, record: ConsumedRecord) -> str:
        """Handle a record that had been skipped, as if it came now. Return the reason if that cannot be done now."""
        input_topic = self.plan.inputs.get(record.topic() or "")
        try:
            if input_topic is None or input_topic.is_control:
                return self._timed.reprocess(record)
            self.route(record, input_topic)
        except (SchemasUnavailable, Stopped) as reason:
            return str(reason)
        return ""

    def _owns_commands(self, input_topic: Input) -> bool:
        return input_topic.topic.owner == self.plan.service.name and issubclass(input_topic.topic.messages[0], Command)

    def collect_finished(self) -> None:
        """Apply the outcome of calls that were in flight and have come back."""
        self.calls.collect_finished()

    def retry_due(self, only_key: bytes | None = None) -> None:
        """Try the heads that are due, and what waits behind those that succeed; with `only_key`, of that key alone."""
        if only_key is None:
            self.parked.retry_due(self._batch.now)
        else:
            self.parked.retry_if_due(only_key, self._batch.now)

    async def finish(self, wait_s: float | None = None) -> None:
        """Run what waits, keys side by side; what takes longer than `wait_s` stays in flight."""
        await self.calls.finish(wait_s)

    @property
    def is_waiting(self) -> bool:
        return bool(self.calls.queued)

    # -- handling -------------------------------------------------------------------------------------------------

    def run(self, record: ConsumedRecord, input_topic: Input, route: Route) -> bool:
        """Handle a record now. False when it failed, and its failure was settled."""
        try:
            is_new = self._handle(record, input_topic, route)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled here
            key = self.parked.key_of(record, route)
            return self._failures.settle(FailedInput.of(AsyncCall(key, record, route, layer=self.layer), error))
        if self._batch.breakers.is_watching:
            self._went_well(self.parked.key_of(record, route), route, is_new=is_new)
        return True

    def _went_well(self, key: bytes, route: Route, *, is_new: bool) -> None:
        """Report a success to the circuit breaker; a duplicate is no success of its handler."""
        if is_new:
            self._failures.succeeded(route.rule.handler)
        else:
            self._failures.forget(route.rule.handler, key)

    def _handle(self, record: ConsumedRecord, input_topic: Input, route: Route) -> bool:
        layer = self.layer
        if current_layer.get() is not layer:
            current_layer.set(layer)
        if not self._admission.admit(record, input_topic, layer):
            return False
        message = route.read(record.value())
        input_id = layer.input_id
        for seed, call in self._bound.get(id(route)) or self._bind(route):
            layer.seed = f"{seed}{input_id}/"
            call(message)
        self._keep(record, input_topic, layer)
        return True

    def _keep(self, record: ConsumedRecord, input_topic: Input, layer: RecordLayer) -> None:
        layer.seal()
        layer.fold(self.outputs)
        self._admission.done(record, input_topic, layer)

    def _bind(self, route: Route) -> tuple[tuple[str, Callable[[Any], None]], ...]:
        pairs = zip(route.seeds, route.handlers, strict=True)
        calls = tuple((seed, getattr(self.roles[handler.role], handler.method)) for seed, handler in pairs)
        self._bound[id(route)] = calls
        return calls

    # -- async handlers: what `AsyncCalls` asks of its owner -----------------------------------------------------------

    async def call(self, call: AsyncCall) -> None:
        """Run the handlers; effects stay on the call's layer."""
        layer, input_topic = call.layer, self.plan.inputs[call.record.topic()]  # type: ignore[index]  # a consumed record has one
        current_layer.set(layer)
        call.is_duplicate = not self._admission.admit(call.record, input_topic, layer)
        if not call.is_duplicate:
            bind = partial(self.plan.roles.bind_one, stores=self.stores, layer=layer)
            await attempted(call.route, layer, call.route.read(call.record.value()), bind)

    def ended(self, call: AsyncCall) -> None:
        """Keep the effects of a call that has come back, or settle its error."""
        goes_on = self._ended_well(call)
        if call.error is not None:
            goes_on = self._failures.settle(FailedInput.of(call, call.error))
        is_held = call.is_parked or call.is_in_flight
        if goes_on and is_held and not self.parked.pop(call.key):
            self.parked.attempt(call.key)

    def _ended_well(self, call: AsyncCall) -> bool:
        try:
            if call.error is None and not call.is_duplicate:
                self._keep(call.record, self.plan.inputs[call.record.topic() or ""], call.layer)
        except Exception as error:  # noqa: BLE001  what it wrote cannot be encoded
            call.error = error
        if call.error is None and self._batch.breakers.is_watching:
            self._went_well(call.key, call.route, is_new=not call.is_duplicate)
        return call.error is None

    def behind(self, call: AsyncCall) -> None:
        """Park the record of a call that was not started because its key is parked."""
        self.parked.append(call.key, call.record, call.route)

    def cancelled(self, call: AsyncCall) -> None:
        """Forget the attempt of a cancelled call."""
        self._failures.forget(call.route.rule.handler, call.key)

    def is_parked(self, key: bytes) -> bool:
        return key in self.stores.parking.keys

    def next_due(self) -> int | None:
        """Return when the next timer or retry falls due, epoch milliseconds."""
        dues = (self.next_timer(), self.parked.next_due())
        return min((due for due in dues if due is not None), default=None)

    # -- the batch's end ------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """All changelogs and ledgers are read."""
        for store in self.stores.all:
            store.restored()
        self.parked.restored()

    def start_at(self, offsets: dict[str, int]) -> None:
        """Start at the next offset of each input, as the group has committed them."""
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
        """Return the offsets to commit.

        If no input moved (a batch of timers) all offsets are returned: every transaction proves the slot.
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
        """Yield the batch's changelog records, by topic."""
        for store in self.stores.all:
            if changes := store.changes():
                yield store.changelog, changes

    def fold(self) -> None:
        """Take over the batch, whose transaction has committed."""
        self._committed = dict(self.positions)
        self._batch.end()
        self._failures.commit()
        self.calls.commit()
        for store in self.stores.all:
            store.fold()

    def drop(self) -> None:
        """Drop the batch, whose transaction did not happen."""
        self._batch.end()
        self.calls.drop()
        for store in self.stores.all:
            store.drop()
        self.parked.restored()

    def close(self) -> None:
        """Cancel calls that are under way, because the partition is not ours any more."""
        self.calls.close()
