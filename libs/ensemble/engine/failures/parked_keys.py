"""Parked keys at work: what waits behind one, when its head is tried again, and how it drains, in order."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import structlog

from ensemble.engine.async_calls import AsyncCall, AsyncCalls
from ensemble.engine.batch import Batch
from ensemble.engine.compiled import NewSchemas
from ensemble.engine.failures.attempt_gate import AttemptGate, status_of
from ensemble.engine.failures.handling import Failures
from ensemble.engine.failures.room import ParkingCapacity
from ensemble.engine.routes import Input, Route
from ensemble.errors import SchemasUnavailable, Stopped, UndecodableRecord
from ensemble.messages.records import ConsumedRecord, StoredRecord, message_id
from ensemble.state.parking import parked_record
from ensemble.state.timers import DueTimer, TimerStore
from ensemble.system_messages.dead_letters import lineage_of, redrives_of
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Resolution

log = structlog.get_logger()

_KEYS_A_TURN: Final = 200
_ASK_AGAIN_MS: Final = 1000
_RECORDS_A_TURN: Final = 100
"""How much is drained in one batch, so that everybody else's records do not wait for it."""


class Owner(Protocol):
    """What parked keys ask of the partition's task."""

    calls: AsyncCalls
    new_schemas: NewSchemas

    def refuse(self, record: ConsumedRecord, input_topic: Input | None) -> None: ...
    def run(self, record: ConsumedRecord, input_topic: Input, route: Route) -> bool: ...
    def run_timer(self, timer: DueTimer) -> bool: ...
    def end_timer(self, timer: DueTimer) -> None: ...


class ParkedKeys:
    """The parked keys of one partition."""

    def __init__(self, batch: Batch, failures: Failures, owner: Owner) -> None:
        self._batch, self._failures, self._owner = batch, failures, owner
        self._parking, self._timers = batch.stores.parking, batch.stores.timers
        self.blocks = AttemptGate(batch, failures)
        self._room = ParkingCapacity(self._parking, batch.plan.limits.policies.parking)
        self._orphans: list[bytes] = []

    # -- records that come ----------------------------------------------------------------------------------------

    @property
    def needs_care(self) -> bool:
        """A record may have to wait: keys are parked, work is paused, or a handler fails."""
        return bool(self._parking.keys or self._batch.stores.pauses.paused) or self._batch.breakers.is_watching

    @property
    def is_paused(self) -> bool:
        return self.blocks.service_is_paused

    def keeps(self, record: ConsumedRecord, route: Route) -> bool:
        """Let the record wait, if it has to. Stopped when there is no room for it, or its service is paused.

        A call is asked about when it is about to begin (`holds_back`), for one of its key may have failed by then.
        """
        if self._concerns_others(record, route):
            return False
        if self.is_paused:
            raise Stopped(self.why_stopped())
        key = self.key_of(record, route)
        if not key:
            return False
        if not (key in self._parking.keys and self._passes(key, route)):
            self._room.check(key)
        if key in self._parking.keys:
            self.append(key, record, route)
            return True
        if route.is_async or self._owner.calls.has(key):
            return False
        return self._held_back(key, record, route)

    def _concerns_others(self, record: ConsumedRecord, route: Route) -> bool:
        """Return True in the usual case beside a parked key: nothing holds this record back."""
        return (
            route.parking_key is None
            and record.key() not in self._parking.keys
            and self._parking.record_count < self._room.most
            and not self._batch.stores.pauses.paused
            and not self._batch.breakers.is_watching
        )

    def holds_back(self, call: AsyncCall) -> bool:
        """As `keeps`, for a call that is about to begin and whose key is not parked."""
        return bool(call.key) and self.needs_care and self._held_back(call.key, call.record, call.route)

    def _held_back(self, key: bytes, record: ConsumedRecord, route: Route) -> bool:
        if blocked_on := self.blocks.on(key, route):
            self._failures.park(key, record, route.rule, status=status_of(blocked_on), blocked_on=blocked_on)
        return bool(blocked_on)

    def key_of(self, record: ConsumedRecord, route: Route) -> bytes:
        """Return the record's parking key, or its record key if the message cannot be read."""
        own: bytes = record.key() or b""
        if route.parking_key is None or not own:
            return own
        try:
            return route.parking_key(route.read(record.value())).encode()
        except UndecodableRecord:
            return own

    def append(self, key: bytes, record: ConsumedRecord, route: Route) -> None:
        """Let a record wait behind the others of its key.

        A resend collapses into what it repeats. An undo closes what it makes moot, and is due at once.
        """
        held = parked_record(record, route.rule.name, message_id(record), self._batch.now)
        self._batch.counts.parked += 1
        same = (found for found in self._parking.waiting(key) if found[1].message == held.message)
        if route.collapses and (repeated := next(same, None)) is not None:
            self._collapse(key, repeated, held, route)
        else:
            self._parking.append(key, held)
            self._let_undo_pass(key)

    def _collapse(self, key: bytes, repeated: tuple[int, ParkedRecord], held: ParkedRecord, route: Route) -> None:
        """Replace the older attempt by the newer one, in the older one's place; answer its sender if that is lost."""
        (number, older), newer = repeated, held.as_record()
        if redrives_of(newer):
            return  # an old one again
        place = {"topic": older.topic, "partition": older.partition, "offset": older.offset}
        lineage = lineage_of(older.headers)
        self._parking.replace(key, number, held.model_copy(update={**place, "headers": (*held.headers, *lineage)}))
        entry = self._parking.entry(key)
        if entry is not None and entry.first == number:
            self._failures.answer_again(newer, route, entry)

    def why_stopped(self) -> str:
        """Why the partition's inputs must not be read now; empty when they may."""
        if self.is_paused:
            return f"service {self._batch.plan.service.name} is paused"
        return "no room for more parked records" if self._room.is_missing else ""

    # -- undos ----------------------------------------------------------------------------------------------------

    def _passes(self, key: bytes, route: Route) -> bool:
        return bool(route.overtakes) and all(held.message in route.overtakes for _, held in self._parking.waiting(key))

    def _let_undo_pass(self, key: bytes) -> None:
        """Close what an undo that waits makes moot, if that is all that waits before it."""
        undos = self._batch.plan.undos
        waiting = [held.message for _, held in self._parking.waiting(key)] if undos else []
        for count in range(len(waiting) - 1, 0, -1):
            if undos.get(waiting[count], frozenset()).issuperset(waiting[:count]):
                self._close(key, count, waiting[count])
                return

    def _close(self, key: bytes, count: int, undo: str) -> None:
        self._owner.calls.cancel(key)
        self._resolve_head(key, "closed", by=undo, reason="undone")
        self._parking.close(key, count)
        self.blocks.try_now(key)
        log.info("parked.closed", key=key.decode(errors="replace"), by=undo, records=count)

    def _resolve_head(self, key: bytes, how: Literal["redriven", "closed"], *, by: str, reason: str) -> None:
        """Its dead letter is not to be redriven any more; a redrive under way learns what became of it."""
        entry, head = self._parking.entry(key), self._parking.head(key)
        if entry is None or head is None:
            return
        generation = redrives_of(head.as_record())
        if entry.dead_letter or generation:
            place, who = (head.topic, head.partition, head.offset), {"operation_id": "", "requested_by": by}
            resolution = Resolution(how=how, reason=reason, at=self._batch.now, **who)
            self._parking.resolve(key, place, generation, resolution)

    # -- heads that are due ---------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When the next head is to be tried, epoch milliseconds."""
        if self.is_paused:
            return None
        if self._orphans or self.blocks.ended:
            return self._batch.now
        dues = (self._parking.next_due(), self.blocks.next_probe())
        return min((due for due in dues if due is not None), default=None)

    def retry_due(self, now: int) -> None:
        """Try the heads that are due, and what waits behind those that succeed."""
        if self.is_paused:
            return
        orphans, self._orphans = self._orphans[:_KEYS_A_TURN], self._orphans[_KEYS_A_TURN:]
        for what in self.blocks.ended:
            self.blocks.release(what)
        for key in (*orphans, *self._parking.take_due(now, _KEYS_A_TURN), *self.blocks.probes(now)):
            self.attempt(key)

    def retry_if_due(self, key: bytes, now: int) -> None:
        """Try the head of this key, if it is due."""
        entry = self._parking.entry(key)
        if entry is not None and entry.due_at is not None and entry.due_at <= now:
            self.attempt(key)

    def attempt(self, key: bytes) -> None:
        """Try the head; when it succeeds, what waits behind it. While the service is paused, nothing new begins."""
        if self._owner.calls.has(key):
            return
        for _ in range(0 if self.is_paused else _RECORDS_A_TURN):
            if not self._attempt_head(key):
                return
        self._due_at(key, self._batch.now)

    def _attempt_head(self, key: bytes) -> bool:
        """Try the head. Return True if it is finished and another one follows."""
        held = self._parking.head(key)
        if held is None:
            return False
        if (timers := self._timer_store(held.topic)) is not None:
            return self._attempt_timer(key, timers, held)
        record, input_topic = held.as_record(), self._batch.plan.inputs.get(held.topic)
        try:
            route = self._target(input_topic, held.value)
        except SchemasUnavailable:
            return self._due_at(key, self._batch.now + _ASK_AGAIN_MS)
        if input_topic is None or route is None:
            self._owner.refuse(record, input_topic)
            return not self.pop(key)
        return self._attempt_record(key, record, input_topic, route)

    def _attempt_record(self, key: bytes, record: StoredRecord, input_topic: Input, route: Route) -> bool:
        if blocked_on := self.blocks.on(key, route):
            self.blocks.hold(key, blocked_on)
            return False
        if route.is_async:
            self._owner.calls.add(AsyncCall(key, record, route, is_parked=True))
            return False
        return self._owner.run(record, input_topic, route) and not self.pop(key)

    def _attempt_timer(self, key: bytes, timers: TimerStore, held: ParkedRecord) -> bool:
        timer = timers.timer_in(held.key or b"", held.value or b"")
        if not timers.is_live(timer):
            return not self.pop(key)  # cancelled meanwhile
        if blocked_on := self.blocks.out(key, self._batch.plan.timer_route(timer.name).rule):
            self.blocks.hold(key, blocked_on)
            return False
        return self._owner.run_timer(timer) and not self.pop(key)

    def _timer_store(self, topic: str) -> TimerStore | None:
        """Return the store that a parked timer belongs to, or None if `topic` holds records."""
        return self._timers if self._timers is not None and self._timers.changelog == topic else None

    def _target(self, input_topic: Input | None, value: bytes | None) -> Route | None:
        if input_topic is None or value is None:
            return None
        return input_topic.routes.get(value[:5]) or self._owner.new_schemas.route(input_topic, value[:5])

    def _due_at(self, key: bytes, due_at: int) -> bool:
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.model_copy(update={"due_at": due_at}))
        return False

    def pop(self, key: bytes) -> bool:
        """Remove the finished head. Return True if nothing waited behind it, so that the key is free."""
        self._resolve_head(key, "redriven", by="", reason="its key went on")
        is_free = self._parking.pop(key)
        if is_free and self._timers is not None:
            self._timers.resume(key)
        elif not is_free:
            self._let_undo_pass(key)
        return is_free

    # -- operators ------------------------------------------------------------------------------------------------

    def redrive_head(self, key: bytes) -> None:
        """Try the head of a parked key now, as if it had never failed."""
        self._owner.calls.cancel(key)
        self.blocks.try_now(key)

    def discard_head(self, key: bytes) -> None:
        """Do without the head of a parked key; what waits behind it goes on."""
        self._owner.calls.cancel(key)
        held = self._parking.head(key)
        if held is not None and (timers := self._timer_store(held.topic)) is not None:
            self._owner.end_timer(timers.timer_in(held.key or b"", held.value or b""))
        if not self.pop(key):
            self.blocks.try_now(key)

    # -- in_flight and restores -------------------------------------------------------------------------------------

    def hold_flight(self, call: AsyncCall) -> None:
        """Park the key of a call that stays in flight, so that the batch does not wait for the call."""
        entry: ParkedKey | None = self._parking.entry(call.key)
        if entry is None:
            self._failures.park(call.key, call.record, call.route.rule, status="in_flight")
        else:
            flying = {"status": "in_flight", "due_at": None, "blocked_on": ""}
            self._parking.update(call.key, entry.model_copy(update=flying))

    def restored(self) -> None:
        """As of the last commit: calls in flight that nobody makes any more are made again."""
        held = ((key, self._parking.entry(key)) for key in self._parking.keys)
        flying = [key for key, entry in held if entry is not None and entry.status == "in_flight"]
        self._orphans = [key for key in flying if key not in self._owner.calls.in_flight]
