"""Parked keys at work: what waits behind one, when its head is due, and how a newer record changes the queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import structlog

from ensemble.engine.admission import entry_of
from ensemble.engine.async_calls import AsyncCall, AsyncCalls
from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.attempt_gate import AttemptGate, ProbeCandidate, is_outage, status_of
from ensemble.engine.failures.handling import Failures
from ensemble.engine.items import Item, RecordItem
from ensemble.errors import OversizedInput, ParkingKeyFull, Stopped
from ensemble.messages.records import message_id, why_oversized
from ensemble.policies.service import ParkingLimits
from ensemble.state.parking import ParkingStore, parked_record
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import generation_of, lineage_of
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Resolution

log = structlog.get_logger()

_KEYS_A_TURN: Final = 200


class ParkingCapacity:
    """How much may wait parked in one partition, and of one key: nothing is lost, and memory is bounded."""

    def __init__(self, parking: ParkingStore, limits: ParkingLimits) -> None:
        self._parking, self._limits = parking, limits
        self._has_refused = False

    @property
    def is_full(self) -> bool:
        """Whether the partition can park no record of any key."""
        return self._parking.record_count >= self._limits.per_partition

    def check(self) -> None:
        """Raise Stopped if no record could be parked, whether its key is parked yet or not."""
        if self.is_full:
            self._has_refused = True
            raise Stopped(f"{self._parking.record_count} records are parked: there is no room for more")

    @property
    def is_missing(self) -> bool:
        """Whether a record was refused, and there is still no room for one."""
        self._has_refused = self._has_refused and self.is_full
        return self._has_refused

    def check_key(self, key: bytes) -> None:
        """Raise ParkingKeyFull if no more records of `key` may wait."""
        if self._parking.depth(key) >= self._limits.per_key:
            raise ParkingKeyFull(
                f"{self._limits.per_key} records wait under key {key.decode(errors='replace')!r}, as many as "
                "[parking] per_key allows; redrive this one when they are through"
            )


class ParkedKeys:
    """The parked keys of one partition, as a batch sees and changes them."""

    def __init__(
        self,
        compiled: CompiledService,
        batch: Batch,
        *,
        parking: ParkingStore,
        gate: AttemptGate,
        failures: Failures,
        calls: AsyncCalls,
    ) -> None:
        self._service, self._undos = compiled.service.name, compiled.undos
        self._new_layer = compiled.new_layer
        saga_commands = compiled.service.catalogue.saga_commands
        self._told_as = {command.__name__: told_as.__name__ for command, told_as in saga_commands.items()}
        self._batch, self._parking, self._gate = batch, parking, gate
        self._failures, self._calls = failures, calls
        self._capacity = ParkingCapacity(parking, compiled.limits.policies.parking)
        self._orphans: list[bytes] = []
        """Keys whose call in flight ended with the process that made it."""

    # -- inputs that come -----------------------------------------------------------------------------------------

    @property
    def needs_care(self) -> bool:
        """Whether a record may have to wait: keys are parked, work is paused, or a handler fails."""
        return bool(self._parking.keys) or self._gate.may_block

    @property
    def is_paused(self) -> bool:
        """Whether the whole service is paused."""
        return self._gate.service_is_paused

    def why_stopped(self) -> str:
        """Return why the partition's inputs must not be read now, or "" if they may."""
        if self.is_paused:
            return f"service {self._service} is paused"
        return "no room for more parked records" if self._capacity.is_missing else ""

    def park_if_needed(self, item: RecordItem) -> bool:
        """Park a record that came, if it has to wait. Return whether it was parked.

        Raises Stopped if there is no room for it, or if the service is paused. A record whose handlers are async is
        asked about when its call is about to begin (`park_if_blocked`), for one of its key may have failed by then.
        """
        if self._meets_nothing(item):
            return False
        if self.is_paused:
            raise Stopped(self.why_stopped())
        key = item.key
        if not key:
            return False
        is_parked = key in self._parking.keys
        if self._capacity.is_full and not (is_parked and self._needs_no_room(item)):
            self._capacity.check()
        if is_parked:
            self.append(item)
            return True
        if item.route.is_async or self._calls.has(key):
            return False
        return self.park_if_blocked(item)

    def park_if_blocked(self, item: Item) -> bool:
        """Park `item`, or keep it parked, if a pause or an open circuit is in its way. Return whether one is.

        An item that is too large to be parked is dead-lettered.
        """
        if not (item.key and self._gate.may_block):
            return False
        blocker = self._gate.blocker(item)
        if not blocker:
            return False
        entry = self._parking.entry(item.key)
        if entry is not None or not self._reject_oversized(item):
            entry = entry or self._failures.new_entry(item)
            self._failures.park(item, entry.with_blocker(status_of(blocker), blocker))
        return True

    def _reject_oversized(self, item: Item) -> bool:
        """Dead-letter an input that has to wait and is too large for that. Return whether it was."""
        if reason := why_oversized(item.record, item.key):
            self._reject(item, OversizedInput(f"it has to wait, and cannot be parked: {reason}"))
        return bool(reason)

    def _reject(self, item: Item, error: Exception) -> None:
        self._failures.reject(item, error, self._layer_of(item))

    def _layer_of(self, item: Item) -> RecordLayer:
        """Return a layer for what follows from a record that is not tried now."""
        layer = self._new_layer()
        layer.take_up(item.record, self._batch.time)
        return layer

    def park_in_flight(self, call: AsyncCall) -> None:
        """Park the record of a call that stays in flight: its key waits for it, the batch does not."""
        self._failures.park(call.item, self._entry_of(call.item).with_head_in_flight())

    def park_untried(self, item: Item) -> None:
        """Park the record of a call that was not made after all, with its head due now."""
        self._failures.park(item, self._entry_of(item).with_due_at(self._batch.now))

    def _entry_of(self, item: Item) -> ParkedKey:
        """Return why the key of `item` is parked; a new entry if it is not."""
        return self._parking.entry(item.key) or self._failures.new_entry(item)

    def append(self, item: RecordItem) -> None:
        """Let a record wait behind the others of its key.

        A duplicate is dropped. A resend collapses into the record that it repeats. An undo closes the records that it
        makes moot, and is due at once. Where too many wait already, or it is too large, the record is dead-lettered.
        """
        if self._is_duplicate(item):
            self._batch.counts.duplicates += 1
            return
        if self._reject_oversized(item):
            return
        waiting = parked_record(item.record, item.rule.name, message_id(item.record), self._batch.now)
        if (repeated := self._repeated(item)) is not None:
            self._collapse(item, repeated, waiting)
        elif not self._append(item, waiting):
            return
        self._batch.counts.parked += 1
        if item.route.collapses and not generation_of(item.record):
            self._notify_of_given_up_head(item)

    def _append(self, item: RecordItem, waiting: ParkedRecord) -> bool:
        """Put a record at the end of the queue. Return whether there was room for it; if not, it is dead-lettered."""
        try:
            if not self._passes(item.key, item):
                self._capacity.check_key(item.key)
        except ParkingKeyFull as error:
            self._reject(item, error)
            return False
        self._parking.append(item.key, waiting)
        self._let_undo_pass(item.key)
        return True

    def _needs_no_room(self, item: RecordItem) -> bool:
        return self._passes(item.key, item) or self._repeated(item) is not None or self._is_duplicate(item)

    def _repeated(self, item: RecordItem) -> tuple[int, ParkedRecord] | None:
        """Return the parked record that `item` sends again as a new attempt, with its number."""
        if not item.route.collapses:
            return None
        records = self._parking.records(item.key)
        return next((entry for entry in records if entry[1].message == item.rule.name), None)

    def _is_duplicate(self, item: RecordItem) -> bool:
        """Return whether an outsider's record is one of those that wait. A redrive never is."""
        if not item.route.topic.is_external or generation_of(item.record):
            return False
        return entry_of(item.record, item.rule.name) in self._parking.fingerprints(item.key, _entry_of_parked)

    def _meets_nothing(self, item: RecordItem) -> bool:
        """Return whether neither a record of its key, nor a pause, nor an open circuit is in the item's way."""
        return (
            item.route.parking_key is None
            and item.record.key() not in self._parking.keys
            and not self._capacity.is_full
            and not self._gate.may_block
        )

    def _collapse(self, item: RecordItem, repeated: tuple[int, ParkedRecord], newer: ParkedRecord) -> None:
        """Put the newer attempt in the older one's place."""
        number, older = repeated
        if generation_of(item.record):
            return  # an old one again
        place = {"topic": older.topic, "partition": older.partition, "offset": older.offset}
        headers = (*newer.headers, *lineage_of(older.headers))
        merged = newer.model_copy(update={**place, "headers": headers})
        self._parking.replace(item.key, number, newer if why_oversized(merged.as_record()) else merged)

    def _notify_of_given_up_head(self, item: RecordItem) -> None:
        """Tell the sender of a resend again that the head is given up, if the head is the same command.

        The same is also a head that is told as that command, because it stands behind it.
        """
        entry, head = self._parking.entry(item.key), self._parking.head(item.key)
        if entry is not None and head is not None and self._told_as.get(head.message, head.message) == item.rule.name:
            self._failures.notify_sender_again(item, self._layer_of(item), entry, head.message)

    # -- undos ----------------------------------------------------------------------------------------------------

    def _passes(self, key: bytes, item: RecordItem) -> bool:
        overtakes = item.route.overtakes
        return bool(overtakes) and all(parked.message in overtakes for _, parked in self._parking.records(key))

    def _let_undo_pass(self, key: bytes) -> None:
        """Close the records that a waiting undo makes moot, if nothing else waits before it."""
        waiting = [parked.message for _, parked in self._parking.records(key)] if self._undos else []
        places = range(len(waiting) - 1, 0, -1)
        passes = (n for n in places if self._undos.get(waiting[n], frozenset()).issuperset(waiting[:n]))
        if count := next(passes, 0):
            self._close(key, count, waiting[count])

    def _close(self, key: bytes, count: int, undo: str) -> None:
        self.cancel_call(key)
        self._resolve_head(key, "closed", by=undo, reason="undone")
        self._parking.remove_moot(key, count)
        self.restart(key)
        log.info("parked.closed", key=key.decode(errors="replace"), by=undo, records=count)

    def _resolve_head(self, key: bytes, how: Literal["redriven", "closed"], *, by: str, reason: str) -> None:
        """Note what became of the head's dead letter: it must not be redriven any more."""
        entry, head = self._parking.entry(key), self._parking.head(key)
        if entry is None or head is None:
            return
        generation = generation_of(head.as_record())
        if entry.dead_letter or generation:
            place, who = (head.topic, head.partition, head.offset), {"operation_id": "", "requested_by": by}
            resolution = Resolution(how=how, reason=reason, at=self._batch.now, **who)
            self._parking.set_resolution(key, place, generation, resolution)

    # -- heads that are due ---------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """Return when the next head is to be tried, epoch milliseconds."""
        if not (self._orphans or self._parking.has_waiting) or self.is_paused:  # this is asked at each turn of a loop
            return None
        if self._orphans or self._gate.ended_blockers():
            return self._batch.now
        dues = (self._parking.next_due(), self._gate.next_probe())
        return min((due for due in dues if due is not None), default=None)

    def probe_candidates(self, now: int) -> Iterable[ProbeCandidate]:
        """Return the keys of this partition that may be probed now, one for each open circuit."""
        return () if not self._parking.keys or self.is_paused else self._gate.probe_candidates(now)

    def take_due(self, now: int, only_key: bytes | None = None, probes: Iterable[bytes] = ()) -> list[bytes]:
        """Return the keys whose heads are due, and `probes` behind them; none while the service is paused.

        With `only_key`, the answer is that key alone, if it is due.
        """
        if only_key is not None:
            entry = self._parking.entry(only_key)
            return [only_key] if entry is not None and entry.due_at is not None and entry.due_at <= now else []
        if not (self._orphans or self._parking.keys) or self.is_paused:  # nothing is parked at nearly every batch
            return []
        orphans, self._orphans = self._orphans[:_KEYS_A_TURN], self._orphans[_KEYS_A_TURN:]
        for blocker in self._gate.ended_blockers():
            self.release(blocker)
        due = sorted(self._parking.take_due(now, _KEYS_A_TURN), key=self._has_failed)
        return [*orphans, *due, *probes]

    def _has_failed(self, key: bytes) -> bool:
        """Return whether the head of `key` was tried before: those that were not go first, and may prove a handler."""
        entry = self._parking.entry(key)
        return entry is not None and entry.attempts > 0

    def release(self, blocker: str) -> int:
        """Let the keys that waited for `blocker` to end go on. Return how many.

        The end of an outage leaves a head the attempts that it used up: it may be what failed.
        """
        keys = self._parking.blocked_on(blocker)
        for key in keys:
            if is_outage(blocker):
                self._release_from_outage(key)
            else:
                self.restart(key)
        return len(keys)

    def _release_from_outage(self, key: bytes) -> None:
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.with_circuit_closed(self._batch.now))

    def restart(self, key: bytes) -> None:
        """Let the head of `key` be due now, as if it had never failed."""
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.with_new_attempts(self._batch.now))

    def retry_at(self, key: bytes, due_at: int) -> None:
        """Let the head of `key` be due at `due_at`."""
        if (entry := self._parking.entry(key)) is not None:
            self._parking.update(key, entry.with_due_at(due_at))

    def pop(self, key: bytes) -> bool:
        """Remove the head, which is done with. Return whether the key is free: no record waited behind it."""
        self._resolve_head(key, "redriven", by="", reason="its key went on")
        is_free = self._parking.pop(key)
        if not is_free:
            self._let_undo_pass(key)
        return is_free

    def redrive_head(self, key: bytes) -> None:
        """Let the head of a parked key be due now, as if it had never failed; a call under way is given up."""
        self.cancel_call(key)
        self.restart(key)

    # -- calls in flight and restores -------------------------------------------------------------------------------

    def cancel_call(self, key: bytes) -> None:
        """Give up the call of the parked head, if it is queued or in flight."""
        for call in self._calls.cancel(key):
            self._failures.forget(call.item)

    def find_orphans(self) -> None:
        """Find the keys, as of the last commit, whose call in flight has to be made again."""
        entries = ((key, self._parking.entry(key)) for key in self._parking.keys)
        keys = [key for key, entry in entries if entry is not None and entry.status == "in_flight"]
        self._orphans = [key for key in keys if key not in self._calls.in_flight]


def _entry_of_parked(parked: ParkedRecord) -> bytes:
    return entry_of(parked.as_record(), parked.message)
