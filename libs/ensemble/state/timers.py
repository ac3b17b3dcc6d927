"""Durable timers: state of the partition like any other, indexed by when they are due.

The key of a timer's entry is `<key>/<name>`: the key whose handlers scheduled it, and the timer's own name.
A timer fires once inside Kafka: its end, and what its handler staged, are one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from ensemble.errors import UndeclaredOutput
from ensemble.messages.records import StoredRecord
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.state.due_index import Due, DueIndex
from ensemble.state.keyed import KeyedStore, StagedState
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.state import Timer


@dataclass(frozen=True)
class DueTimer:
    """A timer that is due."""

    key: str
    name: str
    due_at: int
    payload: str
    correlation_id: str
    trace: str


class TimerStore(KeyedStore[Timer]):
    """The timers of one partition."""

    def __init__(
        self, changelog: str, sources: SchemaSourceSelector | None = None, names: frozenset[str] = frozenset()
    ) -> None:
        """Open an empty store; `names` are those of the timers that somebody hears."""
        super().__init__(changelog, [Timer], sources)
        self.names = names
        self._index = DueIndex(self._is_current)
        self._suspended: dict[bytes, set[Due]] = {}
        """Timers that are due but wait for their parked key: due time and entry's key, by parked key."""

    def suspend(self, timer: DueTimer) -> None:
        """Let the timer wait until its parked key is free: `resume`."""
        self._suspended.setdefault(timer.key.encode(), set()).add((timer.due_at, _entry_key(timer.key, timer.name)))

    def resume(self, key: bytes) -> None:
        """Let the timers of a key that is free again fall due as they would have."""
        for due_at, entry_key in self._suspended.pop(key, ()):
            self._index.add(due_at, entry_key)

    def is_live(self, timer: DueTimer) -> bool:
        """Return whether the timer was neither cancelled nor replaced, as of this batch."""
        return self._is_live(timer.due_at, _entry_key(timer.key, timer.name))

    def record_of(self, timer: DueTimer, partition: int) -> StoredRecord:
        """Return the timer as a record of its changelog.

        The record's offset is the time the timer is due, which tells it from other timers of its name.
        """
        state = Timer(
            due_at=timer.due_at, payload=timer.payload, correlation_id=timer.correlation_id, trace=timer.trace
        )
        value = self.codec.encode(state)
        assert value is not None, "a timer is no tombstone"
        return StoredRecord(self.changelog, partition, timer.due_at, _entry_key(timer.key, timer.name), value)

    def timer_in(self, entry_key: bytes, value: bytes) -> DueTimer:
        """Return the timer in a record of its changelog, such as `record_of` returns."""
        return _due_timer(entry_key, self.codec.decode(entry_key, value))

    def commit(self) -> None:
        scheduled = [(timer.due_at, entry_key) for entry_key, (timer, _) in self.batch.items() if timer is not None]
        super().commit()
        for due_at, entry_key in scheduled:
            self._index.add(due_at, entry_key)

    def abort(self) -> None:
        """Discard the batch; timers that it ended or suspended, which may have left the index, are due again."""
        entry_keys = list(self.batch)
        for key in list(self._suspended):
            self.resume(key)
        super().abort()
        for entry_key in entry_keys:
            if (timer := self.get(entry_key)) is not None:
                self._index.add(timer.due_at, entry_key)

    def finish_restore(self) -> None:
        """Index the timers by when they are due."""
        self._index.rebuild((timer.due_at, entry_key) for entry_key in self.committed if (timer := self.get(entry_key)))

    def next_due(self) -> int | None:
        """Return when the earliest live timer falls due, epoch milliseconds."""
        return self._index.next_due()

    def due(self, now: int, limit: int = 1000) -> list[DueTimer]:
        """Return up to `limit` timers due by `now`, earliest first. They stay due until their end is committed."""
        entries = self._index.take(now, limit)
        for due_at, entry_key in entries:
            self._index.add(due_at, entry_key)
        return [self._timer(entry_key) for _, entry_key in entries]

    def _is_current(self, due_at: int, entry_key: bytes) -> bool:
        return not self._is_suspended(due_at, entry_key) and self._is_live(due_at, entry_key)

    def _is_suspended(self, due_at: int, entry_key: bytes) -> bool:
        return bool(self._suspended) and (due_at, entry_key) in self._suspended.get(entry_key.rpartition(b"/")[0], ())

    def _is_live(self, due_at: int, entry_key: bytes) -> bool:
        timer = self.get(entry_key)
        return timer is not None and timer.due_at == due_at

    def _timer(self, entry_key: bytes) -> DueTimer:
        timer = self.get(entry_key)
        assert timer is not None, "only live timers are due"
        return _due_timer(entry_key, timer)


class StagedTimers:
    """The `Timers` port of one record layer."""

    __slots__ = ("_layer", "_names", "_state")

    def __init__(self, store: TimerStore, layer: RecordLayer) -> None:
        self._layer, self._names = layer, store.names
        self._state: StagedState[Timer] = StagedState(store, layer)

    def schedule(self, key: str, name: str, due_at: int, payload: str = "") -> None:
        layer = self._layer
        if name not in self._names:
            raise UndeclaredOutput(f"no method here is @when_due({name!r}), so nobody would hear that timer")
        timer = Timer(due_at=due_at, payload=payload, correlation_id=layer.correlation_id, trace=layer.trace)
        self._state.set(f"{key}/{name}", timer)

    def cancel(self, key: str, name: str) -> None:
        if self._state.get(f"{key}/{name}") is not None:
            self._state.delete(f"{key}/{name}")


def timer_id(key: str, name: str, due_at: int) -> str:
    """Return the id of the input that a timer becomes when it is due."""
    return f"timer/{key}/{name}/{due_at}"


def _due_timer(entry_key: bytes, timer: Timer) -> DueTimer:
    key, _, name = entry_key.decode().rpartition("/")
    return DueTimer(key, name, timer.due_at, timer.payload, timer.correlation_id, timer.trace)


def _entry_key(key: str, name: str) -> bytes:
    return f"{key}/{name}".encode()
