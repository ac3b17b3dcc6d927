"""What is held back, as state of the partition: parked keys, their records in order, pauses, and what was resolved.

Everything in here changes with the batch and is committed with it, so no key can stay locked by a process that died.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from ensemble.messages.records import ConsumedRecord, RecordPlace, StoredRecord
from ensemble.messages.schema_set import SchemaSources
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.state.keyed import PartitionStore
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Pause, RecordHeader, Resolution, SeenMessage

_KEY, _RECORD, _PAUSE, _MARK, _DONE = b"key/", b"record/", b"pause/", b"mark/", b"done/"
_MARKS_KEPT_MS: Final = 14 * 86_400_000
"""Twice as long as dead letters: until then a redrive, asked for again, is known to be done."""
_LEAVING_AT_ONCE: Final = 10
_MARKS: Final = (Resolution, SeenMessage)


def parked_record(record: ConsumedRecord, message: str, message_id: str, now: int) -> ParkedRecord:
    """`record` as it is kept."""
    headers = tuple(RecordHeader(name=name, value=value) for name, value in record.headers() or ())
    return ParkedRecord(
        topic=record.topic() or "",
        partition=record.partition() or 0,
        offset=-1 if (offset := record.offset()) is None else offset,
        key=record.key(),
        value=record.value(),
        headers=headers,
        message=message,
        message_id=message_id,
        parked_at=now,
        original=record.original if isinstance(record, StoredRecord) else None,
    )


class ParkingStore(PartitionStore[Any]):
    """One partition's parked keys. Reads see the batch; `fold` and `drop` end it as for any store."""

    def __init__(self, changelog: str, sources: SchemaSources | None = None) -> None:
        super().__init__(changelog, [ParkedKey, ParkedRecord, Pause, Resolution, SeenMessage], sources)
        self.codec.limit = 2 * MAX_RECORD_BYTES  # a whole input and its headers
        self.keys: set[bytes] = set()
        """The parking keys that are held back, as of this batch."""
        self.record_count = 0
        """How many records are parked, as of this batch."""
        self.on_pauses: Callable[[], None] = lambda: None
        """Called when pauses may be others than before."""
        self._blocked: dict[str, set[bytes]] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._marks: deque[tuple[int, bytes]] = deque()

    # -- parked keys ----------------------------------------------------------------------------------------------

    def entry(self, key: bytes) -> ParkedKey | None:
        """Why `key` is held back; None when it is not."""
        found: ParkedKey | None = self.get(_KEY + key) if key in self.keys else None
        return found

    def entries(self) -> Iterator[ParkedKey]:
        """Why each key is held back."""
        return (entry for key in self.keys if (entry := self.entry(key)) is not None)

    def head(self, key: bytes) -> ParkedRecord | None:
        """The record that has to succeed first."""
        entry = self.entry(key)
        return self.get(_numbered(key, entry.first)) if entry else None

    def waiting(self, key: bytes) -> Iterator[tuple[int, ParkedRecord]]:
        """The records parked under `key`, numbered, in order."""
        entry = self.entry(key)
        for number in range(entry.first, entry.next) if entry else ():
            held: ParkedRecord | None = self.get(_numbered(key, number))
            assert held is not None, "numbers have no gaps"
            yield number, held

    def find(self, key: bytes, place: RecordPlace) -> int | None:
        """The number of the record that was consumed from `place`."""
        held = ((number, (r.topic, r.partition, r.offset)) for number, r in self.waiting(key))
        return next((number for number, at in held if at == place), None)

    def depth(self, key: bytes) -> int:
        """How many records are parked under `key`."""
        entry = self.entry(key)
        return entry.next - entry.first if entry else 0

    def open(self, key: bytes, entry: ParkedKey, head: ParkedRecord) -> None:
        """Hold `key` back; `head` is its first record."""
        self._put(_numbered(key, entry.first), head)
        self.record_count += 1
        self.update(key, entry)

    def append(self, key: bytes, record: ParkedRecord) -> None:
        """Let `record` wait behind the others of its key."""
        entry = self._held(key)
        self._put(_numbered(key, entry.next), record)
        self.record_count += 1
        self.update(key, entry.model_copy(update={"next": entry.next + 1}))

    def replace(self, key: bytes, number: int, record: ParkedRecord) -> None:
        """Put `record` in the place of another one."""
        self._put(_numbered(key, number), record)

    def update(self, key: bytes, entry: ParkedKey) -> None:
        """Change why `key` is held back, or until when."""
        self._unblock(key)
        self.keys.add(key)
        self._put(_KEY + key, entry)
        self._index(key, entry)

    def _index(self, key: bytes, entry: ParkedKey) -> None:
        if entry.blocked_on:
            self._blocked.setdefault(entry.blocked_on, set()).add(key)
        if entry.due_at is not None:
            heapq.heappush(self._heap, (entry.due_at, key))

    def pop(self, key: bytes) -> bool:
        """Its head is done with. True when the key is free: nothing waited behind it."""
        entry = self._held(key)
        self._put(_numbered(key, entry.first), None)
        self.record_count -= 1
        if entry.first + 1 == entry.next:
            self._free(key)
            return True
        fresh = ParkedKey(status="retrying", first=entry.first + 1, next=entry.next, since=entry.since)
        self.update(key, fresh)
        return False

    def close(self, key: bytes, count: int) -> None:
        """The first `count` of its records are moot; another one follows."""
        entry = self._held(key)
        assert entry.first + count < entry.next, "what closes them waits behind them"
        for number in range(entry.first, entry.first + count):
            self._put(_numbered(key, number), None)
        self.record_count -= count
        self.update(key, ParkedKey(status="retrying", first=entry.first + count, next=entry.next, since=entry.since))

    def _unblock(self, key: bytes) -> None:
        """Out of the index; called before its entry changes."""
        entry = self.entry(key)
        if entry is not None and entry.blocked_on:
            waiting = self._blocked[entry.blocked_on]
            waiting.discard(key)
            if not waiting:
                del self._blocked[entry.blocked_on]

    def _free(self, key: bytes) -> None:
        self._unblock(key)
        self.keys.discard(key)
        self._put(_KEY + key, None)

    def _held(self, key: bytes) -> ParkedKey:
        entry = self.entry(key)
        assert entry is not None, "only asked for parked keys"
        return entry

    def _put(self, key: bytes, state: Any) -> None:
        self.batch[key] = (state, self.codec.encode(state))

    # -- what is due ----------------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When the next head is to be tried again, epoch milliseconds."""
        while self._heap and not self._is_current(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: int, most: int) -> list[bytes]:
        """Up to `most` keys whose heads are due, the longest due first. They are not due again until updated."""
        taken: dict[bytes, None] = {}
        while len(taken) < most and (due := self.next_due()) is not None and due <= now:
            taken[heapq.heappop(self._heap)[1]] = None
        return list(taken)

    @property
    def blockers(self) -> list[str]:
        """What keys wait for: pauses, and outages of handlers."""
        return list(self._blocked)

    def blocked_on(self, what: str) -> list[bytes]:
        """The keys that wait for `what` to end, in the order of their parking."""
        return sorted(self._blocked.get(what, ()), key=lambda key: self._held(key).since)

    def _is_current(self, due_at: int, key: bytes) -> bool:
        entry = self.entry(key)
        return entry is not None and entry.due_at == due_at

    # -- pauses and resolutions -----------------------------------------------------------------------------------

    def pauses(self) -> dict[tuple[str, str], Pause]:
        """What is paused, by scope and name."""
        known = {key for key in (*self.committed, *self.batch) if key.startswith(_PAUSE)}
        held = {key: self.get(key) for key in known}
        return {_scope_and_name(key): pause for key, pause in held.items() if pause is not None}

    def set_pause(self, scope: str, name: str, pause: Pause | None) -> None:
        """Begin a pause, or end it."""
        self._put(_PAUSE + f"{scope}/{name}".encode(), pause)
        self.on_pauses()

    def resolution(self, key: bytes, place: RecordPlace, generation: int) -> Resolution | None:
        """What became of the dead letter of the record from `place`, written after so many redrives."""
        found: Resolution | None = self.get(_mark(key, place, generation))
        return found

    def resolve(self, key: bytes, place: RecordPlace, generation: int, resolution: Resolution) -> None:
        """Remember what became of it, for as long as its dead letter may be looked at."""
        self._put(_mark(key, place, generation), resolution)
        self._forget_older_than(resolution.at - _MARKS_KEPT_MS)

    def was_done(self, operation: str) -> bool:
        """Whether an operator's command was carried out before."""
        return self.get(_DONE + operation.encode()) is not None

    def mark_done(self, operation: str, now: int) -> None:
        """Remember an operator's command, as long as what became of dead letters."""
        self._put(_DONE + operation.encode(), SeenMessage(at=now))
        self._forget_older_than(now - _MARKS_KEPT_MS)

    def _forget_older_than(self, limit: int) -> None:
        for _ in range(_LEAVING_AT_ONCE):
            if not self._marks or self._marks[0][0] > limit:
                return
            self._put(self._marks.popleft()[1], None)

    # -- the batch's end ------------------------------------------------------------------------------------------

    def fold(self) -> None:
        self._marks.extend((mark.at, key) for key, (mark, _) in self.batch.items() if isinstance(mark, _MARKS))
        super().fold()

    def drop(self) -> None:
        """The batch is gone: what is due, and what waits for what, is as it was."""
        super().drop()
        self.restored()

    def restored(self) -> None:
        """Everything as of the last commit."""
        self.keys = {key[len(_KEY) :] for key in self.committed if key.startswith(_KEY)}
        self.record_count = sum(self.depth(key) for key in self.keys)
        self._heap, self._blocked = [], {}
        for key in self.keys:
            self._index(key, self._held(key))
        marks = ((mark.at, key) for key in self.committed if key.startswith((_MARK, _DONE)) and (mark := self.get(key)))
        self._marks = deque(sorted(marks))
        self.on_pauses()


def _numbered(key: bytes, number: int) -> bytes:
    return _RECORD + key + b"/%012d" % number


def _mark(key: bytes, place: RecordPlace, generation: int) -> bytes:
    topic, partition, offset = place
    return _MARK + f"{topic}/{partition}/{offset}/{generation}/".encode() + key


def _scope_and_name(key: bytes) -> tuple[str, str]:
    scope, _, name = key[len(_PAUSE) :].decode().partition("/")
    return scope, name
