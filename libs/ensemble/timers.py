"""Durable timers: state of the partition like any other, with a heap of what falls due next.

A timer fires once inside Kafka: its end, and what its handler staged, are one transaction.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ensemble.effects import Layer
from ensemble.runtime_state import Timer
from ensemble.store import PartitionStore, StagedState


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

    def __init__(self, changelog: str) -> None:
        super().__init__(changelog, [Timer])
        self._heap: list[tuple[int, bytes]] = []

    def fold(self) -> None:
        added = [(state.due_at, key) for key, (state, _) in self.batch.items() if isinstance(state, Timer)]
        super().fold()
        for entry in added:
            heapq.heappush(self._heap, entry)

    def restored(self) -> None:
        """The changelog is read: rebuild the heap."""
        self._heap = [(timer.due_at, key) for key in self.committed if (timer := self.get(key))]
        heapq.heapify(self._heap)

    def next_due(self) -> int | None:
        """When the earliest live timer falls due, epoch milliseconds."""
        while self._heap and not self._live(*self._heap[0]):
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

    def _live(self, due_at: int, key: bytes) -> bool:
        timer = self.get(key)
        return timer is not None and timer.due_at == due_at

    def _timer(self, key: bytes) -> DueTimer:
        owner, _, name = key.decode().rpartition("/")
        timer = self.get(key)
        assert timer is not None, "only live timers are asked for"
        return DueTimer(owner, name, timer.due_at, timer.payload, timer.correlation_id, timer.trace)


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
