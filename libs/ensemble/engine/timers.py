"""The timers of one partition: which are due, and the layer that each runs on."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService
from ensemble.engine.items import TimerItem
from ensemble.messages.records import ConsumedRecord
from ensemble.state.partition import PartitionStores
from ensemble.state.timers import DueTimer, timer_id
from ensemble.state.unit_of_work import RecordLayer, current_layer
from ensemble.system_messages.state import ParkedRecord

log = structlog.get_logger()


class TimerQueue:
    """The timers of one partition, if its service has any."""

    def __init__(self, compiled: CompiledService, partition: int, stores: PartitionStores, batch: Batch) -> None:
        self._compiled, self._partition, self._stores, self._batch = compiled, partition, stores, batch
        self._store = stores.timers

    def next_due(self) -> int | None:
        """Return when the next timer falls due, epoch milliseconds."""
        return None if self._store is None else self._store.next_due()

    def find_due(self, until: int, only_key: bytes | None = None) -> Iterator[TimerItem]:
        """Yield the timers due by `until`, of `only_key` if given. One that was cancelled meanwhile is left out.

        It is told of one that an earlier release has set and nobody hears any more.
        """
        for timer in () if self._store is None else self._store.due(until):
            item = self._item(timer)
            if only_key in {None, item.key} and item.is_live:
                if not item.route.handlers:
                    log.warning("timer.unheard", name=timer.name, key=timer.key)
                yield item

    def resume(self, key: bytes) -> None:
        """Let the timers of a key that is no longer parked run again."""
        if self._store is not None:
            self._store.resume(key)

    def parked_timer(self, head: ParkedRecord) -> TimerItem | None:
        """Return the timer that `head` holds, or None if it holds a record."""
        return self._read(head.topic, head.key, head.value)

    def timer_in(self, record: ConsumedRecord) -> TimerItem | None:
        """Return the timer in a record of the changelog, or None if it is no such record. Raises UnreadableState."""
        return self._read(record.topic() or "", record.key(), record.value())

    def _read(self, topic: str, key: bytes | None, value: bytes | None) -> TimerItem | None:
        if self._store is None or self._store.changelog != topic:
            return None
        return self._item(self._store.timer_in(key or b"", value or b""))

    def _item(self, timer: DueTimer) -> TimerItem:
        assert self._store is not None, "a timer comes from there"
        return TimerItem(timer, self._compiled.timer_route(timer.name), self._store, self._partition)

    def begin(self, timer: DueTimer, layer: RecordLayer) -> None:
        """Set `layer` up for the handlers of `timer`; its end is staged there."""
        current_layer.set(layer)
        layer.begin(
            timer.key.encode(),
            b"",
            timer_id(timer.key, timer.name, timer.due_at),
            correlation_id=timer.correlation_id,
            trace=timer.trace,
            time=self._batch.time,
            place=("timer", -1, -1),
        )
        if self._store is not None and self._store.is_live(timer):
            self._stores.timers_for(layer).cancel(timer.key, timer.name)
