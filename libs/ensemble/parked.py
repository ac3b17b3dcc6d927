"""Parked keys at work: what waits behind one, when its head is tried again, and how it drains, in order."""

from __future__ import annotations

from typing import Final, Protocol

import structlog

from ensemble.admission import message_id
from ensemble.batch import Batch
from ensemble.calls import Call, Calls
from ensemble.dead_letter import redrives_of
from ensemble.effects import Record
from ensemble.errors import SchemasUnavailable, Stopped, UndecodableRecord
from ensemble.failures import OUTAGE, POLICY, Failures
from ensemble.messages import Command
from ensemble.parking import HeldRecord, parked_record
from ensemble.plan import Input, Target
from ensemble.runtime_state import ParkedRecord, ParkedStatus, Resolution
from ensemble.timers import DueTimer

log = structlog.get_logger()

_KEYS_A_TURN: Final = 200
_ASK_AGAIN_MS: Final = 1000
_RECORDS_A_TURN: Final = 100
"""How much is drained in one batch, so that everybody else's records do not wait for it."""


class Owner(Protocol):
    """What parked keys ask of the partition's task."""

    calls: Calls

    def route(self, record: Record, inlet: Input) -> None: ...
    def refuse(self, record: Record, inlet: Input) -> None: ...
    def run(self, record: Record, inlet: Input, target: Target) -> bool: ...
    def run_timer(self, timer: DueTimer) -> bool: ...
    def end_timer(self, timer: DueTimer) -> None: ...


class ParkedKeys:
    """The parked keys of one partition."""

    def __init__(self, batch: Batch, failures: Failures, owner: Owner) -> None:
        self._batch, self._failures, self._owner = batch, failures, owner
        self._parking, self._pauses = batch.stores.parking, batch.stores.pauses
        self._outages, self._limits = batch.plan.outages, batch.plan.limits.policies.parking
        self._orphans: list[bytes] = []
        self._full: bytes | None = None

    # -- records that come ----------------------------------------------------------------------------------------

    @property
    def needs_care(self) -> bool:
        """A record may have to wait: keys are parked, work is paused, or a handler fails."""
        return bool(self._parking.keys) or bool(self._pauses.paused) or self._outages.is_watching

    def keeps(self, record: Record, target: Target) -> bool:
        """Let the record wait, if it has to. Stopped when there is no room for it, or its service is paused."""
        if self.is_paused:
            raise Stopped(f"service {self._batch.plan.service.name} is paused")
        key = self.key_of(record, target)
        if not key:
            return False
        if key in self._parking.keys:
            return not self._overtakes(key, target) and self._wait_behind(key, record, target)
        blocked_on = self._blocked_on(key, target)
        if blocked_on:
            self._check_room(key)
            status: ParkedStatus = "outage" if blocked_on.startswith(OUTAGE) else "paused"
            self._failures.park(key, record, target.duty, status=status, blocked_on=blocked_on)
        return bool(blocked_on)

    def key_of(self, record: Record, target: Target) -> bytes:
        """The record's parking key; its own key where the message cannot say."""
        own: bytes = record.key() or b""
        if target.parking_key is None or not own:
            return own
        try:
            return target.parking_key(target.read(record.value())).encode()
        except UndecodableRecord:
            return own

    def append(self, key: bytes, record: Record, target: Target) -> None:
        """Let a record wait behind the others of its key; a resend takes the place of what it repeats."""
        held = parked_record(record, target.duty.name, message_id(record), self._batch.now)
        same = [n for n, waiting in self._parking.waiting(key) if waiting.message == target.duty.name]
        if target.collapses and same:
            self._parking.replace(key, same[0], held)
        else:
            self._parking.append(key, held)
        self._batch.counts.parked += 1

    def _wait_behind(self, key: bytes, record: Record, target: Target) -> bool:
        self._check_room(key)
        self.append(key, record, target)
        return True

    def _check_room(self, key: bytes) -> None:
        if self._is_full(key):
            self._full = key
            raise Stopped(
                f"{self._parking.records} records are parked, {self._parking.depth(key)} of them under key "
                f"{key.decode(errors='replace')!r}: there is no room for more"
            )

    def _is_full(self, key: bytes) -> bool:
        return self._parking.records >= self._limits.per_partition or self._parking.depth(key) >= self._limits.per_key

    def why_stopped(self) -> str:
        """Why the partition's inputs must not be read now; empty when they may."""
        if self.is_paused:
            return f"service {self._batch.plan.service.name} is paused"
        if self._full is not None and self._is_full(self._full):
            return "no room for more parked records"
        self._full = None
        return ""

    @property
    def is_paused(self) -> bool:
        """The whole service is paused. A conductor goes on recording answers; it asks before it sends."""
        paused, plan = self._pauses.paused, self._batch.plan
        return bool(paused) and ("service", plan.service.name) in paused and not plan.asks_for_pauses

    # -- undos ----------------------------------------------------------------------------------------------------

    def _overtakes(self, key: bytes, target: Target) -> bool:
        """An undo closes what it makes moot, and passes."""
        waiting = [held for _, held in self._parking.waiting(key)]
        if not target.overtakes or not all(held.message in target.overtakes for held in waiting):
            return False
        self._owner.calls.cancel(key)
        self._mark_closed(key, waiting[0], target.duty.name)
        self._parking.close(key)
        self._freed(key)
        log.info("parked.closed", key=key.decode(errors="replace"), by=target.duty.name, records=len(waiting))
        return True

    def _mark_closed(self, key: bytes, head: ParkedRecord, by: str) -> None:
        entry = self._parking.entry(key)
        if entry is not None and entry.dead_letter:
            place, who = (head.topic, head.partition, head.offset), {"operation_id": "", "requested_by": by}
            generation = redrives_of(HeldRecord(head))
            closed = Resolution(how="closed", reason="undone", at=self._batch.now, **who)
            self._parking.resolve(key, place, generation, closed)

    # -- heads that are due ---------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When the next head is to be tried, epoch milliseconds."""
        if self.is_paused:
            return None
        if self._orphans or any(self._has_ended(what) for what in self._parking.blockers):
            return self._batch.now
        dues = [self._parking.next_due(), *(self._outages.probe_at(handler) for handler in self._out())]
        return min((due for due in dues if due is not None), default=None)

    def retry_due(self, now: int) -> None:
        """Try the heads that are due, and what waits behind those that succeed."""
        if self.is_paused:
            return
        orphans, self._orphans = self._orphans[:_KEYS_A_TURN], self._orphans[_KEYS_A_TURN:]
        for what in self._parking.blockers:
            if self._has_ended(what):
                self.release(what)
        for key in (*orphans, *self._parking.take_due(now, _KEYS_A_TURN), *self._probes(now)):
            self.attempt(key)

    def attempt(self, key: bytes) -> None:
        """Try the head; when it succeeds, what waits behind it."""
        for _ in range(_RECORDS_A_TURN):
            if not self._attempt_head(key):
                return
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.model_copy(update={"due_at": self._batch.now}))

    def _attempt_head(self, key: bytes) -> bool:
        """True when the head is done with, and another one is there."""
        held = self._parking.head(key)
        if held is None:
            return False
        record = HeldRecord(held)
        inlet = self._batch.plan.inputs.get(held.topic)
        if inlet is None:
            return self._attempt_timer(key, held)
        try:
            target = self._target(inlet, held.value)
        except SchemasUnavailable:
            return self._later(key)
        if target is None:
            return self._refused(key, record, inlet)
        if blocked_on := self._blocked_on(key, target):
            self._block(key, blocked_on)
            return False
        if target.is_async:
            self._owner.calls.add(Call(key, record, target, is_parked=True))
            return False
        return self._succeeded(key, goes_on=self._owner.run(record, inlet, target))

    def _later(self, key: bytes) -> bool:
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.model_copy(update={"due_at": self._batch.now + _ASK_AGAIN_MS}))
        return False

    def _attempt_timer(self, key: bytes, held: ParkedRecord) -> bool:
        timers = self._batch.stores.timers
        if timers is None or not timers.is_live(timer := timers.timer_in(held.key or b"", held.value or b"")):
            return not self.pop(key)  # cancelled meanwhile
        return self._succeeded(key, goes_on=self._owner.run_timer(timer))

    def _target(self, inlet: Input, value: bytes | None) -> Target | None:
        if value is None:
            return None
        return inlet.targets.get(value[:5]) or self._batch.plan.late_target(inlet, value[:5])

    def _refused(self, key: bytes, record: Record, inlet: Input) -> bool:
        """Nobody here takes it any more: as for a record that comes."""
        self._owner.refuse(record, inlet)
        return not self.pop(key)

    def _succeeded(self, key: bytes, *, goes_on: bool) -> bool:
        return goes_on and not self.pop(key)

    def pop(self, key: bytes) -> bool:
        """The head is done with. True when nothing waited behind it, so that the key is free."""
        is_free = self._parking.pop(key)
        if is_free:
            self._freed(key)
        return is_free

    def _freed(self, key: bytes) -> None:
        if self._batch.stores.timers is not None:
            self._batch.stores.timers.release(key)

    # -- what blocks ----------------------------------------------------------------------------------------------

    def _blocked_on(self, key: bytes, target: Target) -> str:
        """What has to end before a record may be tried; nothing, when it may."""
        if ("command", target.duty.name) in self._pauses.paused and issubclass(target.message, Command):
            return f"command/{target.duty.name}"
        return "" if self._failures.may_try(target.duty.handler, key) else f"{OUTAGE}/{target.duty.handler}"

    def _block(self, key: bytes, blocked_on: str) -> None:
        entry = self._parking.entry(key)
        if entry is not None:
            status = "outage" if blocked_on.startswith(OUTAGE) else "paused"
            changes = {"status": status, "blocked_on": blocked_on, "due_at": None}
            self._parking.update(key, entry.model_copy(update=changes))

    def release(self, what: str) -> int:
        """Let the keys go on that waited for `what` to end; returns how many."""
        keys = self._parking.blocked_on(what)
        fresh = {"status": "retrying", "blocked_on": "", "due_at": self._batch.now, "attempts": 0}
        for key in keys:
            entry = self._parking.entry(key)
            if entry is not None:
                self._parking.update(key, entry.model_copy(update={**fresh, "first_failed_at": None}))
        return len(keys)

    def _has_ended(self, what: str) -> bool:
        scope, _, name = what.partition("/")
        if scope == OUTAGE:
            return not self._outages.is_open(name)
        return scope != POLICY and (scope, name) not in self._pauses.paused

    def _out(self) -> list[str]:
        """The handlers that are out and that keys here wait for."""
        return [what.removeprefix(f"{OUTAGE}/") for what in self._parking.blockers if what.startswith(f"{OUTAGE}/")]

    def _probes(self, now: int) -> list[bytes]:
        """One key for each handler whose probe is due."""
        due = [handler for handler in self._out() if (at := self._outages.probe_at(handler)) is not None and at <= now]
        return [key for handler in due for key in self._parking.blocked_on(f"{OUTAGE}/{handler}")[:1]]

    # -- operators ------------------------------------------------------------------------------------------------

    def take_again(self, record: HeldRecord) -> str:
        """Handle a record that had been skipped, as if it came now; words when it cannot be taken now."""
        inlet = self._batch.plan.inputs.get(record.topic())
        try:
            if inlet is None:
                self._take_timer_again(record)
            else:
                self._owner.route(record, inlet)
        except (SchemasUnavailable, Stopped) as reason:
            return str(reason)
        return ""

    def _take_timer_again(self, record: HeldRecord) -> None:
        if (timers := self._batch.stores.timers) is not None:
            self._owner.run_timer(timers.timer_in(record.key() or b"", record.value() or b""))

    def discard_head(self, key: bytes) -> None:
        """Do without the head of a parked key; what waits behind it goes on."""
        held, timers = self._parking.head(key), self._batch.stores.timers
        self._owner.calls.cancel(key)
        if held is not None and held.topic not in self._batch.plan.inputs and timers is not None:
            self._owner.end_timer(timers.timer_in(held.key or b"", held.value or b""))
        if not self.pop(key):
            entry = self._parking.entry(key)
            assert entry is not None, "something is left"
            self._parking.update(key, entry.model_copy(update={"due_at": self._batch.now}))

    # -- flights and restores -------------------------------------------------------------------------------------

    def hold_flight(self, call: Call) -> None:
        """A call stays in flight: its key waits for it, the batch does not."""
        entry = self._parking.entry(call.key)
        if entry is None:
            self._failures.park(call.key, call.record, call.target.duty, status="in_flight")
        else:
            self._parking.update(call.key, entry.model_copy(update={"status": "in_flight", "due_at": None}))

    def restored(self) -> None:
        """As of the last commit: calls in flight that nobody makes any more are made again."""
        held = ((key, self._parking.entry(key)) for key in self._parking.keys)
        flying = [key for key, entry in held if entry is not None and entry.status == "in_flight"]
        self._orphans = [key for key in flying if key not in self._owner.calls.flights]
