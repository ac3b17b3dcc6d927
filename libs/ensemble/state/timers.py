"""Durable timers: state of the partition like any other, with a heap of what falls due next.

A timer fires once inside Kafka: its end, and what its handler staged, are one transaction.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ensemble.messages.records import StoredRecord
from ensemble.messages.schema_set import SchemaSources
from ensemble.state.keyed import PartitionStore, StagedState
from ensemble.state.unit_of_work import Layer
from ensemble.system_messages.state import Timer


@dataclass(frozen=True)
class DueTimer:
    """A timer whose time has come."""

    key: str
    name: str
    due_at: int
    payload: str
    correlation_id: str
    trace: str


class TimerStore(PartitionStore[Timer]):
    """The timers of one partition. Replaced and cancelled timers leave the heap when they come up."""

    def __init__(self, changelog: str, sources: SchemaSources | None = None) -> None:
        super().__init__(changelog, [Timer], sources)
        self._heap: list[tuple[int, bytes]] = []
        self._held: dict[bytes, set[tuple[int, bytes]]] = {}
        """Due, but their owners are parked: they leave the heap when they come up."""

    def suspend(self, timer: DueTimer) -> None:
        """Its owner is parked: it is not due before the owner is released."""
        self._held.setdefault(timer.key.encode(), set()).add((timer.due_at, _entry(timer.key, timer.name)))

    def resume(self, owner: bytes) -> None:
        """The owner is free again, and its timers fall due as they would have."""
        for entry in self._held.pop(owner, ()):
            heapq.heappush(self._heap, entry)

    def is_live(self, timer: DueTimer) -> bool:
        """It was neither cancelled nor replaced, in this batch included."""
        return self._live(timer.due_at, _entry(timer.key, timer.name))

    def record_of(self, timer: DueTimer, partition: int) -> StoredRecord:
        """Return the timer as a record of its changelog.

        The record's offset is the time the timer is due, which tells it from other timers of its name.
        """
        kept = Timer(due_at=timer.due_at, payload=timer.payload, correlation_id=timer.correlation_id, trace=timer.trace)
        value = self.codec.encode(kept)
        assert value is not None, "a timer is no tombstone"
        return StoredRecord(self.changelog, partition, timer.due_at, _entry(timer.key, timer.name), value)

    def timer_in(self, key: bytes, value: bytes) -> DueTimer:
        """The timer that a record of its changelog holds."""
        return _due_timer(key, self.codec.decode(key, value))

    def fold(self) -> None:
        added = [(state.due_at, key) for key, (state, _) in self.batch.items() if isinstance(state, Timer)]
        super().fold()
        for entry in added:
            heapq.heappush(self._heap, entry)

    def drop(self) -> None:
        """The batch is gone: timers that it ended or held, which may have left the heap, are due again."""
        touched = list(self.batch)
        for owner in list(self._held):
            self.resume(owner)
        super().drop()
        for key in touched:
            if (timer := self.get(key)) is not None:
                heapq.heappush(self._heap, (timer.due_at, key))

    def restored(self) -> None:
        """The changelog is read: rebuild the heap."""
        self._held = {}
        self._heap = [(timer.due_at, key) for key in self.committed if (timer := self.get(key))]
        heapq.heapify(self._heap)

    def next_due(self) -> int | None:
        """When the earliest live timer falls due, epoch milliseconds."""
        while self._heap and not self._counts(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int, limit: int = 1000) -> list[DueTimer]:
        """Up to `limit` timers due by `now`, earliest first. They stay until their end is committed."""
        taken: dict[tuple[int, bytes], DueTimer] = {}
        while len(taken) < limit and (at := self.next_due()) is not None and at <= now:
            entry = heapq.heappop(self._heap)
            taken[entry] = self._timer(entry[1])
        for entry in taken:
            heapq.heappush(self._heap, entry)
        return list(taken.values())

    def _counts(self, due_at: int, key: bytes) -> bool:
        return not self._is_held(due_at, key) and self._live(due_at, key)

    def _is_held(self, due_at: int, key: bytes) -> bool:
        return bool(self._held) and (due_at, key) in self._held.get(key.rpartition(b"/")[0], ())

    def _live(self, due_at: int, key: bytes) -> bool:
        timer = self.get(key)
        return timer is not None and timer.due_at == due_at

    def _timer(self, key: bytes) -> DueTimer:
        timer = self.get(key)
        assert timer is not None, "only live timers are asked for"
        return _due_timer(key, timer)


class StagedTimers:
    """The `Timers` port for one layer."""

    __slots__ = ("_layer", "_state")

    def __init__(self, store: TimerStore, layer: Layer) -> None:
        self._layer = layer
        self._state: StagedState[Timer] = StagedState(store, layer)

    def schedule(self, key: str, name: str, due_at: int, payload: str = "") -> None:
        layer = self._layer
        timer = Timer(due_at=due_at, payload=payload, correlation_id=layer.correlation_id, trace=layer.trace)
        self._state.set(f"{key}/{name}", timer)

    def cancel(self, key: str, name: str) -> None:
        if self._state.get(f"{key}/{name}") is not None:
            self._state.delete(f"{key}/{name}")


def _due_timer(key: bytes, timer: Timer) -> DueTimer:
    owner, _, name = key.decode().rpartition("/")
    return DueTimer(owner, name, timer.due_at, timer.payload, timer.correlation_id, timer.trace)


def _entry(key: str, name: str) -> bytes:
    return f"{key}/{name}".encode()
