"""Timers at work: those that fall due, unless their key is parked. One that fails parks it, as a record does."""

from __future__ import annotations

from typing import Any, Protocol

from ensemble.engine.batch import Batch
from ensemble.engine.failures.handling import FailedInput, Failures
from ensemble.engine.failures.parked_keys import ParkedKeys
from ensemble.errors import UnreadableState
from ensemble.messages.records import ConsumedRecord
from ensemble.state.timers import DueTimer, TimerStore
from ensemble.state.unit_of_work import RecordLayer, current_layer


class Owner(Protocol):
    """What timers ask of the partition's task."""

    parked: ParkedKeys
    layer: RecordLayer
    roles: dict[type, Any]


class TimerRunner:
    """The timers of one partition, if its service has any."""

    def __init__(self, batch: Batch, failures: Failures, owner: Owner) -> None:
        self._batch, self._failures, self._owner = batch, failures, owner
        self._parking, self._store = batch.stores.parking, batch.stores.timers

    def next_due(self) -> int | None:
        """When the next timer falls due, epoch milliseconds; none does while the service is paused."""
        if self._store is None or self._owner.parked.is_paused:
            return None
        return self._store.next_due()

    def fire_due(self, until: int, only_key: bytes | None = None) -> None:
        """Run the handlers of all timers due by `until`; each ends in the batch that its effects are part of.

        With `only_key`, timers of other keys are left alone.
        """
        if self._store is None or self._owner.parked.is_paused:
            return
        for timer in self._store.due(until):
            if only_key in {None, timer.key.encode()} and self._store.is_live(timer):
                self._fire(self._store, timer)

    def _fire(self, store: TimerStore, timer: DueTimer) -> None:
        key, rule = timer.key.encode(), self._batch.plan.timer_route(timer.name).rule
        if key not in self._parking.keys:
            if blocked_on := self._owner.parked.blocks.out(key, rule):
                record = store.record_of(timer, self._batch.partition)
                self._failures.park(key, record, rule, status="outage", blocked_on=blocked_on)
            elif self.run(timer):
                self._batch.counts.timers += 1
        if key in self._parking.keys:
            store.suspend(timer)

    def run(self, timer: DueTimer) -> bool:
        """Run a timer's handlers. False when they failed, and the failure was settled."""
        plan, layer = self._batch.plan, self._begin(timer)
        try:
            for handler in plan.timer_route(timer.name).handlers:
                layer.seed = f"{plan.service.name}/{handler.name}/{layer.input_id}/"
                getattr(self._owner.roles[handler.role], handler.method)(timer)
            layer.seal()
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled here
            return self._settle(timer, error)
        layer.fold(self._batch.outputs)
        if self._batch.breakers.is_watching:
            self._failures.succeeded(plan.timer_route(timer.name).rule.handler)
        return True

    def _settle(self, timer: DueTimer, error: Exception) -> bool:
        """As for a record. The timer itself stays, for the parked key it belongs to, unless it is skipped."""
        store, rule = self._held(), self._batch.plan.timer_route(timer.name).rule
        record, key = store.record_of(timer, self._batch.partition), timer.key.encode()
        skipped = self._failures.settle(FailedInput(key, record, rule, error, self._owner.layer, lambda: None, "timer"))
        if skipped:
            self.end(timer)
        return skipped

    def end(self, timer: DueTimer) -> None:
        """Do without it."""
        layer = self._begin(timer)
        layer.seal()
        layer.fold(self._batch.outputs)

    def reprocess(self, record: ConsumedRecord) -> str:
        """Run a timer that had been skipped, as if it fell due now; words when it cannot be run."""
        if self._store is None or record.topic() != self._store.changelog:
            return f"this service does not read {record.topic()}"
        try:
            timer = self._store.timer_in(record.key() or b"", record.value() or b"")
        except UnreadableState as error:
            return str(error)
        if timer.key.encode() in self._parking.keys:
            return f"{timer.key} is parked; redrive it again when it is not"
        self.run(timer)
        return ""

    def _begin(self, timer: DueTimer) -> RecordLayer:
        layer, store = self._owner.layer, self._held()
        current_layer.set(layer)
        layer.drop()
        timer_id = f"timer/{timer.key}/{timer.name}/{timer.due_at}"
        layer.begin(timer.key.encode(), timer_id, timer.correlation_id, timer.trace, self._batch.time)
        layer.place("timer", -1, -1)
        if store.is_live(timer):
            self._batch.stores.timers_for(layer).cancel(timer.key, timer.name)
        return layer

    def _held(self) -> TimerStore:
        assert self._store is not None, "a timer came from there"
        return self._store
