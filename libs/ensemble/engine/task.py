"""One partition's task: takes records, runs their handlers on a record layer, and gathers a batch of effects.

Free of any transport: Kafka's loop and the in-memory driver feed it alike. Nothing in here writes: the caller
writes `outputs` and `changes()` in one transaction with the positions, then calls `commit()`, or `abort()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from ensemble.engine.admission import Admission, InterceptedAdmission, is_mistyped, mistyped, why_refused
from ensemble.engine.async_calls import EXITS, AsyncCall, AsyncCalls, call_handlers, call_slots, failure_of
from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService, NewSchemas, failure_rule
from ensemble.engine.failures.attempt_gate import AttemptGate, ProbeCandidate
from ensemble.engine.failures.circuit_breaker import CircuitBreakers, key_text
from ensemble.engine.failures.handling import Failures
from ensemble.engine.failures.parked_keys import ParkedKeys
from ensemble.engine.interception import BoundHandlers
from ensemble.engine.items import Outcome, RecordItem, RefusedItem, TimerItem
from ensemble.engine.operator_commands import CommandOutcome, DiscardHead, OperatorCommands, Reprocess
from ensemble.engine.routes import Input, Route, TimerRoute
from ensemble.engine.timers import TimerQueue
from ensemble.errors import (
    OversizedInput,
    OversizedOutput,
    SchemasUnavailable,
    Stopped,
    TerminalError,
    UnhandledMessage,
    UnknownSchema,
    UnreadableState,
)
from ensemble.messages.message import Command
from ensemble.messages.records import ConsumedRecord, why_oversized
from ensemble.state.partition import OpenState, open_in_memory
from ensemble.state.store import Change
from ensemble.state.unit_of_work import RecordLayer, current_layer
from ensemble.system_messages.operations import Operation
from ensemble.system_messages.state import ParkedRecord

_RETRY_SCHEMAS_MS: Final = 1000
_RECORDS_A_DRAIN: Final = 100
"""How many records of a parked key one batch drains, so that records of other keys do not wait for it."""


class PartitionTask:
    """All inputs' partition `partition`, their state, and the batch in progress.

    This class alone acts on what the others answer; they call none of it back.
    """

    def __init__(
        self,
        plan: CompiledService,
        partition: int,
        breakers: CircuitBreakers | None = None,
        new_schemas: NewSchemas | None = None,
        *,
        slots: asyncio.Semaphore | None = None,
        open_state: OpenState = open_in_memory,
    ) -> None:
        """Make the task of `partition`. `breakers`, `new_schemas`, `slots` are the process's; a task alone has its own.

        `open_state` opens what its state stores hold; `close` lets another task open it.
        A call of async handlers has one of the `slots` while it is made.
        """
        self.plan, self.partition = plan, partition
        self.stores = stores = plan.open_stores(open_state)
        self._batch = batch = Batch(plan.operation_routes)
        self.outputs = batch.outputs
        """The outputs of the batch so far."""
        self.counts = batch.counts
        """The counts of the batch so far."""
        self._breakers = breakers = breakers or CircuitBreakers(plan.limits.policies.outage)
        self._new_schemas, self._slots = new_schemas or NewSchemas(plan), slots or call_slots(plan)
        self.positions: dict[str, int] = {}
        """The next offset of each input topic."""
        self._committed: dict[str, int] = {}
        self._has_committed = False
        self.calls = AsyncCalls()
        admission = Admission if plan.interception is None else InterceptedAdmission
        self._admission = admission(batch, stores.seen, partition, plan.service)
        self._parking = parking = stores.parking
        self._failures = Failures(plan, partition, batch, parking=parking, breakers=breakers)
        self.parked = ParkedKeys(
            plan,
            batch,
            parking=parking,
            gate=AttemptGate(plan, partition, batch, parking=parking, breakers=breakers),
            failures=self._failures,
            calls=self.calls,
        )
        self._commands = OperatorCommands(plan, partition, batch, parking=parking, parked=self.parked)
        self._timers = TimerQueue(plan, partition, stores, batch)
        self._layer = plan.new_layer()
        """The layer of records and timers that are handled at once; each async call has its own."""
        self._roles = plan.roles.bind(stores, self._layer)
        self._bound: dict[Route | TimerRoute, BoundHandlers] = {}

    # -- one batch: begun, then in this order ------------------------------------------------------------------------

    def begin_batch(self, now: int) -> None:
        """Start a batch at `now`, epoch milliseconds; its outputs carry that time."""
        self._batch.begin(now)
        self._failures.begin()

    def collect_finished(self) -> None:
        """Apply the outcome of calls that were in flight and have come back."""
        for call in self.calls.take_finished():
            self._finish_call(call)

    def take(self, record: ConsumedRecord) -> None:
        """Handle one record at once, or queue it for `make_calls` if it, or its key, needs an async handler.

        Behind a parked key it is parked. Raises SchemasUnavailable or Stopped if the record could not be taken.
        """
        topic, offset, parking = record.topic(), record.offset(), self._parking
        input_topic = self.plan.inputs[topic]  # type: ignore[index]  # a consumed record has both
        label = input_topic.codec.label_of(record)
        route = None if label is None else input_topic.routes.get(label)
        self.positions[topic] = offset + 1  # type: ignore[index,operator]  # as above
        # what `ParkedKeys.needs_care` says, without its calls for each record
        may_wait = self.calls.queued or parking.keys or parking.pauses or self._breakers.watched
        if not (route is None or route.is_async or may_wait):
            self._run(record, route)
            return
        try:
            self._process(record, input_topic)
        except (SchemasUnavailable, Stopped):
            self.positions[topic] = offset  # type: ignore[index,assignment]  # as above
            raise

    def give_up(self, record: ConsumedRecord, error: TerminalError) -> None:
        """Settle one record as failed with `error`, without its handlers; behind a parked key it waits like any other.

        Raises SchemasUnavailable or Stopped like `take`.
        """
        input_topic = self.plan.inputs[record.topic() or ""]
        route = self._route_of(input_topic, record)
        item = RecordItem(record, route) if route is not None else None
        if item is None or item.key in self.stores.parking.keys:
            self.take(record)
            return
        self.positions[record.topic() or ""] = (record.offset() or 0) + 1
        self._layer.take_up(record, self._batch.time)
        self._failures.settle(item, error, self._layer)

    def probe_candidates(self) -> Iterable[ProbeCandidate]:
        """Return the parked keys that may be probed now, one for each open circuit."""
        return self.parked.probe_candidates(self._batch.now)

    def retry_due(self, only_key: bytes | None = None, probes: Iterable[ProbeCandidate] = ()) -> None:
        """Try the heads that are due, and the records behind those that succeed; with `only_key`, of that key alone.

        Of `probes`, those of this partition are tried too.
        """
        own_probes = [probe.key for probe in probes if probe.partition == self.partition]
        for key in self.parked.take_due(self._batch.now, only_key, own_probes):
            self._drain(key)

    async def make_calls(self, wait_s: float | None = None) -> None:
        """Make the queued calls, keys side by side; those that take longer than `wait_s` stay in flight."""
        workers = [asyncio.create_task(self._make_calls_of(key)) for key in self.calls.queued]
        if workers:
            await asyncio.wait(workers, timeout=wait_s)
        for worker in workers:
            if worker.done():
                worker.result()  # a FatalError ends the process
        for call in self.calls.leave_running():
            self.parked.park_in_flight(call)
            self._park_queued(call.key)
            self.calls.queued.pop(call.key, None)

    def fire_due(self, until: int, only_key: bytes | None = None) -> None:
        """Run the handlers of all timers due by `until`; each ends in the batch that its effects are part of.

        With `only_key`, timers of other keys are left alone.
        """
        if self.parked.is_paused:
            return
        parked_keys = self.stores.parking.keys
        for item in self._timers.find_due(until, only_key):
            is_free = item.key not in parked_keys and not self.parked.park_if_blocked(item)
            if is_free and self._run_timer(item).is_done:
                self.counts.timers += 1
            else:
                item.suspend()

    # -- records --------------------------------------------------------------------------------------------------

    def _process(self, record: ConsumedRecord, input_topic: Input) -> None:
        """Handle a record, unless it has to wait for its key or for a call that its key needs."""
        if input_topic.is_control:
            self._carry_out(record)
            return
        route = self._route_of(input_topic, record)
        if route is None:
            self._refuse(record, input_topic)
            return
        if self.parked.needs_care or route.is_async or self.calls.queued:
            self._run_if_free(RecordItem(record, route))
        else:
            self._run(record, route)

    def _run_if_free(self, item: RecordItem) -> None:
        """Handle a record that may have to wait: for its key, or for a call that it, or its key, needs."""
        if self.parked.needs_care and self._drop_or_park(item):
            return
        if item.route.is_async or item.record.key() in self.calls.queued:
            self.calls.add(AsyncCall(item, self.plan.new_layer()))
        else:
            self._run(item.record, item.route, item)

    def _route_of(self, input_topic: Input, record: ConsumedRecord) -> Route | None:
        """Return the route of a record, also of a schema that came up after start, or None if no handler takes it."""
        label = input_topic.codec.label_of(record)
        route = input_topic.routes.get(label) if label is not None else None
        return route or self._new_schemas.route(input_topic, label)

    def _drop_or_park(self, item: RecordItem) -> bool:
        """Drop a duplicate, or park a record that has to wait. Return whether either was done."""
        return self._admission.drop_if_handled(item) or self.parked.park_if_needed(item)

    def _refuse(self, record: ConsumedRecord, input_topic: Input | None) -> None:
        """Skip a record that no handler takes if that is normal; dead-letter it if it is not."""
        label = None if input_topic is None else input_topic.codec.label_of(record)
        is_known = input_topic is not None and self._new_schemas.is_known(input_topic, label)
        is_wrong = input_topic is not None and is_known and is_mistyped(record, input_topic)
        if input_topic is not None and is_known and not is_wrong and not self._owns_commands(input_topic):
            self.counts.skipped += 1
            return
        claim = self._layer.take_up(record, self._batch.time)
        unread = UnhandledMessage(f"{record.topic()} is not read here")
        error = unread if input_topic is None else why_refused(input_topic, record, is_known=is_known)
        if is_wrong:
            error = mistyped(record, claim)
        if isinstance(error, UnknownSchema) and (reason := self._new_schemas.why_unreadable(label)):
            error = UnknownSchema(reason)
        self._failures.settle(RefusedItem(record, failure_rule(self.plan.limits, "", ())), error, self._layer)

    def _owns_commands(self, input_topic: Input) -> bool:
        return input_topic.topic.owner == self.plan.service.name and issubclass(input_topic.topic.messages[0], Command)

    def _run(self, record: ConsumedRecord, route: Route, item: RecordItem | None = None) -> Outcome:
        """Handle a record now; a failure is settled. What is known of it by now is `item`."""
        layer, message, outcome = self._layer, None, Outcome.DUPLICATE
        try:
            if current_layer.get() is not layer:
                current_layer.set(layer)
            if self._admission.admit(record, route, layer):
                message = route.read(record.value()) if item is None else item.message
                for seed, handle in self._bound.get(route) or self._bind(route):
                    layer.seed = f"{seed}{layer.origin}/"
                    handle(message)
                self._keep_effects(layer)
                outcome = Outcome.HANDLED
        except (Exception, *EXITS) as error:  # noqa: BLE001  whatever a handler raises is settled here
            item = item or RecordItem(record, route, message=message)
            return self._failures.settle(item, failure_of(error), layer)
        if self._breakers.watched:
            self._failures.succeeded(item or RecordItem(record, route, message=message), outcome)
        return outcome

    def _keep_effects(self, layer: RecordLayer) -> None:
        layer.merge(self._batch.outputs)
        self.counts.handled += 1
        if layer.window_entry:
            self._admission.remember(layer)

    def _bind(self, route: Route | TimerRoute) -> BoundHandlers:
        pairs = zip(route.seeds, route.handlers, strict=True)
        handlers = tuple((seed, getattr(self._roles[handler.role], handler.method)) for seed, handler in pairs)
        if self.plan.interception is not None:
            handlers = self.plan.interception.wrap(route.rule.handler, handlers, self._layer)
        self._bound[route] = handlers
        return handlers

    # -- heads of parked keys -------------------------------------------------------------------------------------

    def _drain(self, key: bytes) -> None:
        """Try the head of a parked key, and the records behind it as long as each is done with.

        While the service is paused, no attempt begins.
        """
        if self.calls.has(key):
            return
        for _ in range(0 if self.parked.is_paused else _RECORDS_A_DRAIN):
            head = self.stores.parking.head(key)
            if head is None or not self._try_head(key, head).is_done or self._pop(key):
                return
        self.parked.retry_at(key, self._batch.now)

    def _pop(self, key: bytes) -> bool:
        """Remove a head that is done with. Return whether its key is free, and then its timers go on as well."""
        is_free = self.parked.pop(key)
        if is_free:
            self._timers.resume(key)
        return is_free

    def _try_head(self, key: bytes, head: ParkedRecord) -> Outcome:
        if (timer := self._timers.parked_timer(head)) is not None:
            return self._try_timer(timer)
        record, input_topic = head.as_record(), self.plan.inputs.get(head.topic)
        try:
            route = None if input_topic is None else self._route_of(input_topic, record)
        except SchemasUnavailable:
            self.parked.retry_at(key, self._batch.now + _RETRY_SCHEMAS_MS)
            return Outcome.WAITING
        if input_topic is None or route is None:
            self._refuse(record, input_topic)
            return Outcome.SKIPPED
        return self._try_record(RecordItem(record, route, key=key))

    def _try_record(self, item: RecordItem) -> Outcome:
        if self.parked.park_if_blocked(item):
            return Outcome.WAITING
        if item.route.is_async:
            self.calls.add(AsyncCall(item, self.plan.new_layer(), is_parked=True))
            return Outcome.WAITING
        return self._run(item.record, item.route, item)

    def _try_timer(self, item: TimerItem) -> Outcome:
        if not item.is_live:
            return Outcome.SKIPPED  # cancelled meanwhile
        if self.parked.park_if_blocked(item):
            return Outcome.WAITING
        return self._run_timer(item)

    # -- async calls ----------------------------------------------------------------------------------------------

    @property
    def has_queued_calls(self) -> bool:
        """Whether calls are queued for `make_calls`."""
        return bool(self.calls.queued)

    async def _make_calls_of(self, key: bytes) -> None:
        """Make the queued calls of one key, one after the other."""
        while (call := self.calls.take_next(key)) is not None:
            if call.is_parked or not self.parked.park_if_blocked(call.item):
                await self.calls.make(call, self._call(call))
                if call.is_in_flight:
                    return
                self._finish_call(call)
            self._park_queued(key)

    async def _call(self, call: AsyncCall) -> None:
        """Call the handlers of a record; their effects stay on the call's layer."""
        item, layer = call.item, call.layer
        current_layer.set(layer)
        call.is_duplicate = not self._admission.admit(item.record, item.route, layer)
        if call.is_duplicate:
            return
        if not call.is_parked and (reason := why_oversized(item.record, item.key)):
            raise OversizedInput(f"its call may outlast its batch, and it cannot be parked: {reason}")
        async with self._slots:
            call.is_withheld = not self._breakers.may_go_on(item.rule.handler, key_text(item.key))
            if not call.is_withheld:
                bind = partial(self.plan.roles.bind_one, stores=self.stores, layer=layer)
                handle = partial(call_handlers, item, layer, bind)
                interception = self.plan.interception
                await (interception.call(item.rule.handler, item.message, layer, handle) if interception else handle())

    def _park_queued(self, key: bytes) -> None:
        """Park the queued records of a key that is parked by now."""
        if key in self.stores.parking.keys:
            for call in self.calls.take_waiting(key):
                self.parked.append(call.item)

    def _finish_call(self, call: AsyncCall) -> None:
        """Settle a call that has come back. If its record was a parked head, those behind it follow."""
        outcome = self._settle_call(call)
        if outcome.is_done and (call.is_parked or call.is_in_flight) and not self._pop(call.key):
            self._drain(call.key)

    def _settle_call(self, call: AsyncCall) -> Outcome:
        """Keep the effects of a call, settle its failure, or park the record of one that was not made."""
        if call.is_withheld:
            self.parked.park_untried(call.item)
            return Outcome.WAITING
        error = call.error
        try:
            if error is None and not call.is_duplicate:
                self._keep_effects(call.layer)
        except Exception as unencodable:  # noqa: BLE001  what the handler wrote cannot be encoded
            error = unencodable
        if error is not None:
            return self._failures.settle(call.item, error, call.layer)
        outcome = Outcome.DUPLICATE if call.is_duplicate else Outcome.HANDLED
        if self._breakers.watched:
            self._failures.succeeded(call.item, outcome)
        return outcome

    # -- timers ---------------------------------------------------------------------------------------------------

    def _run_timer(self, item: TimerItem) -> Outcome:
        """Run a timer's handlers. A failure is settled; the timer itself stays unless it is skipped."""
        layer = self._layer
        self._timers.begin(item.timer, layer)
        try:
            for seed, handle in self._bound.get(item.route) or self._bind(item.route):
                layer.seed = f"{seed}{layer.origin}/"
                handle(item.timer)
            layer.merge(self._batch.outputs)
        except (Exception, *EXITS) as error:  # noqa: BLE001  whatever a handler raises is settled here
            outcome = self._failures.settle(item, failure_of(error), layer)
            if outcome.is_done:
                self._end_timer(item)
            return outcome
        if self._breakers.watched:
            self._failures.succeeded(item, Outcome.HANDLED)
        return Outcome.HANDLED

    def _end_timer(self, item: TimerItem) -> None:
        """End a timer without running its handlers."""
        self._timers.begin(item.timer, self._layer)
        self._layer.merge(self._batch.outputs)

    def next_timer(self) -> int | None:
        """Return when the next timer falls due, epoch milliseconds; none does while the service is paused."""
        due = self._timers.next_due()
        return None if due is None or self.parked.is_paused else due

    def next_due(self) -> int | None:
        """Return when the next timer or retry falls due, epoch milliseconds."""
        timer, retry = self.next_timer(), self.parked.next_due()
        return timer if retry is None else retry if timer is None else min(timer, retry)

    # -- operators' commands --------------------------------------------------------------------------------------

    def _carry_out(self, record: ConsumedRecord) -> None:
        """Carry out an operator's command and answer it."""
        operation = self._commands.read(record)
        if operation is None:
            return
        try:
            outcome = self._execute(operation)
        except OversizedOutput as error:
            outcome = CommandOutcome("refused", str(error))
        self._commands.answer(operation, outcome)

    def _execute(self, operation: Operation) -> CommandOutcome:
        """Have a command executed, and take the step that it leaves to handlers or timers."""
        step = self._commands.execute(operation)
        return self._commands.complete(step, self._act(step)) if isinstance(step, Reprocess | DiscardHead) else step

    def _act(self, step: Reprocess | DiscardHead) -> str:
        """Do what an operator wants done with a record. Return why that cannot be done now, or "" if it is done."""
        if isinstance(step, Reprocess):
            return self._reprocess(step.record)
        self._discard_head(step.key)
        return ""

    def _discard_head(self, key: bytes) -> None:
        """End the head of a parked key without its handlers; the records behind it go on."""
        self.parked.cancel_call(key)
        head = self.stores.parking.head(key)
        if head is not None and (timer := self._timers.parked_timer(head)) is not None:
            self._end_timer(timer)
        if not self._pop(key):
            self.parked.restart(key)

    def _reprocess(self, record: ConsumedRecord) -> str:
        """Handle a record that had been skipped, as if it came now. Return why not, or "" if it was."""
        input_topic = self.plan.inputs.get(record.topic() or "")
        try:
            if input_topic is None or input_topic.is_control:
                return self._reprocess_timer(record)
            self._process(record, input_topic)
        except (SchemasUnavailable, Stopped, UnreadableState) as error:
            return str(error)
        return ""

    def _reprocess_timer(self, record: ConsumedRecord) -> str:
        item = self._timers.timer_in(record)
        if item is None:
            return f"this service does not read {record.topic()}"
        if item.key in self.stores.parking.keys:
            return f"{item.timer.key} is parked; redrive it again when it is not"
        self._run_timer(item)
        return ""

    # -- the batch's end ------------------------------------------------------------------------------------------

    def finish_restore(self) -> None:
        """Finish the restore: all changelogs and ledgers are read."""
        for store in self.stores.all:
            store.finish_restore()
        self.parked.find_orphans()

    def start_at(self, offsets: dict[str, int], topic_ids: Mapping[str, str] | None = None) -> None:
        """Start at the offsets that the group has committed, by input topic.

        `topic_ids` tell records of a topic that was made again from those of the one before.
        """
        self._admission.topic_ids = topic_ids or {}
        self.positions, self._committed = dict(offsets), dict(offsets)

    def pass_markers(self, topic: str, end: int) -> None:
        """Move an input's position to `end`, before which nothing is left to read but a transport's own records."""
        if end > self.positions.get(topic, end):
            self.positions[topic] = end

    def rewind(self) -> dict[str, int]:
        """Go back to the last commit. Return the next offset of each input topic."""
        self.positions = dict(self._committed)
        return self.positions

    @property
    def is_ahead(self) -> bool:
        """Whether the task has read further than it has committed."""
        return self.positions != self._committed

    def offsets(self) -> dict[str, int]:
        """Return the offsets to commit.

        The first transaction that takes effect has them all: what lies beside the control topic's is about the others.
        If no input moved (a batch of timers), these are all offsets as well: every transaction proves the slot.
        """
        if not self._has_committed:
            return self.positions
        moved = {topic: offset for topic, offset in self.positions.items() if self._committed.get(topic) != offset}
        return moved or self.positions

    def starts(self) -> dict[str, int]:
        """Return the last committed offset of each input topic that has moved since."""
        return {topic: at for topic, at in self._committed.items() if self.positions.get(topic) != at}

    @property
    def holds_state(self) -> bool:
        """Whether any state was restored."""
        return any(store.size() for store in self.stores.all)

    def ledger_reached(self, ledger: str, offset: int) -> None:
        """Note that all facts known so far lie before this offset of the ledger."""
        for store in self.stores.replayable:
            if store.ledger == ledger:
                store.ledger_end = offset

    def changelog_reached(self, changelog: str, offset: int) -> None:
        """Note that the batch's records so far lie before this offset of a changelog."""
        for store in self.stores.on_disk:
            if store.changelog == changelog:
                store.acknowledge(offset)

    @property
    def is_dirty(self) -> bool:
        """Whether the batch has outputs or state changes."""
        return bool(self.outputs) or any(store.is_dirty for store in self.stores.all)

    def changes(self) -> Iterator[tuple[str, Sequence[Change]]]:
        """Yield the batch's changelog records, by topic."""
        for store in self.stores.changelogged:
            if changes := store.changes():
                yield store.changelog, changes

    def commit(self) -> None:
        """Make the batch state: its transaction committed."""
        self._committed, self._has_committed = dict(self.positions), True
        self._batch.end()
        self._failures.commit()
        self.calls.commit()
        for store in self.stores.all:
            store.commit()

    def abort(self) -> None:
        """Forget the batch: its transaction did not happen."""
        self._batch.end()
        for call in self.calls.abort():
            self._failures.forget(call.item)
        for store in self.stores.all:
            store.abort()
        self.parked.find_orphans()

    def close(self) -> None:
        """Cancel the calls under way, and close what lies on disk: the partition was taken away."""
        for call in self.calls.close():
            self._failures.forget(call.item)
        self.stores.close()
