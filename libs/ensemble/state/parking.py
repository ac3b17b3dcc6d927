"""Parked keys as state of the partition: their records in order, pauses, and what became of dead letters.

Everything in here changes with the batch and is committed with it, so no key can stay locked by a process that died.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ensemble.messages.records import MAX_INPUT_BYTES, ConsumedRecord, RecordPlace, StoredRecord, place_of
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.state.due_index import DueIndex
from ensemble.state.keyed import KeyedStore
from ensemble.system_messages.state import (
    PARKING_TYPES,
    ParkedKey,
    ParkedRecord,
    Pause,
    RecordHeader,
    Resolution,
    SeenMessage,
)

_KEY, _RECORD, _PAUSE, _RESOLUTION, _OPERATION = b"key/", b"record/", b"pause/", b"mark/", b"done/"
"""What the store's keys begin with, by what lies under them."""
_RECORD_KEY: Final = re.compile(_RECORD + rb"(.*)/([0-9]+)", re.DOTALL)
_RESOLUTION_KEY: Final = re.compile(_RESOLUTION + rb"([A-Za-z0-9._-]*)/([0-9]+)/(-?[0-9]+)/([0-9]+)/(.*)", re.DOTALL)
"""Topic, partition, offset, generation and key. An operator may have named a place that no record can come from."""
_DONE_TYPES: Final = (Resolution, SeenMessage)
"""The states under resolutions and operations: what operators have done, kept for a time."""
_LIMIT: Final = MAX_INPUT_BYTES + 100_000
"""The largest state: a whole input, and what is noted about it."""
KEEP_DONE_MS: Final = 14 * 86_400_000
"""Twice as long as dead letters: until then a second request for the same redrive finds the first."""
_FORGET_LIMIT: Final = 10
"""How many states that are too old one change removes at most."""

PauseTarget = tuple[str, str]
"""What a pause is about: its scope and name."""


class KeyState(NamedTuple):
    """The state of a parking key: a `ParkedKey`."""

    key: bytes


class RecordState(NamedTuple):
    """The state of a parked record: a `ParkedRecord`."""

    key: bytes
    number: int


class PauseState(NamedTuple):
    """The state of a pause: a `Pause`."""

    scope: str
    name: str


class ResolutionState(NamedTuple):
    """The state of what became of a dead letter: a `Resolution`."""

    key: bytes
    place: RecordPlace
    generation: int


def describe_state_key(key: bytes) -> KeyState | RecordState | PauseState | ResolutionState | None:
    """Return what lies under a key of a parked-changelog; None for an operation that was done, or an unknown key."""
    if key.startswith(_KEY):
        return KeyState(key[len(_KEY) :])
    if key.startswith(_PAUSE):
        return PauseState(*_scope_and_name(key))
    if (record := _RECORD_KEY.fullmatch(key)) is not None:
        return RecordState(record[1], int(record[2]))
    if (resolution := _RESOLUTION_KEY.fullmatch(key)) is not None:
        topic, partition, offset, generation, parking_key = resolution.groups()
        return ResolutionState(parking_key, (topic.decode(), int(partition), int(offset)), int(generation))
    return None


def parked_record(record: ConsumedRecord, message: str, message_id: str, now: int) -> ParkedRecord:
    """Return `record` as it is kept while it waits. It is not too large: its caller has asked `why_oversized`."""
    topic, partition, offset = place_of(record)
    return ParkedRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        key=record.key(),
        value=record.value(),
        headers=tuple(RecordHeader(name=name, value=value) for name, value in record.headers() or ()),
        message=message,
        message_id=message_id,
        parked_at=now,
        original=record.original if isinstance(record, StoredRecord) else None,
    )


class ParkingStore(KeyedStore[Any]):
    """One partition's parked keys, pauses and resolutions. What is read is as of the batch."""

    def __init__(self, changelog: str, sources: SchemaSourceSelector | None = None) -> None:
        super().__init__(changelog, PARKING_TYPES, sources, limit=_LIMIT)
        self.keys: set[bytes] = set()
        """The parking keys that are parked, as of this batch."""
        self.record_count = 0
        """How many records are parked, as of this batch."""
        self.pauses: dict[PauseTarget, Pause] = {}
        """What is paused, as of this batch."""
        self._blocked: dict[str, set[bytes]] = {}
        """The keys that wait for a blocker (`ParkedKey.blocked_on`) to end, by blocker, as of this batch."""
        self._due = DueIndex(self._is_current)
        """When each head is to be tried again."""
        self._fingerprints: dict[bytes, bytes] = {}
        """What `fingerprints` has made, by the key of each record's state."""
        self._done_by_time: deque[tuple[int, bytes]] = deque()
        """Time and key of each committed resolution and operation, the oldest first."""

    # -- parked keys ----------------------------------------------------------------------------------------------

    def entry(self, key: bytes) -> ParkedKey | None:
        """Return why `key` is parked, or None if it is not."""
        entry: ParkedKey | None = self.get(_KEY + key) if key in self.keys else None
        return entry

    def entries(self) -> Iterator[ParkedKey]:
        """Yield why each key is parked."""
        return map(self._parked_entry, self.keys)

    def head(self, key: bytes) -> ParkedRecord | None:
        """Return the record that has to succeed first."""
        entry = self.entry(key)
        return self.get(_record_key(key, entry.first)) if entry else None

    def records(self, key: bytes) -> Iterator[tuple[int, ParkedRecord]]:
        """Yield the records parked under `key` with their numbers, the head first."""
        entry = self.entry(key)
        for number in range(entry.first, entry.next) if entry else ():
            yield number, self._record(_record_key(key, number))

    def _record(self, place: bytes) -> ParkedRecord:
        record: ParkedRecord | None = self.get(place)
        assert record is not None, "numbers have no gaps"
        return record

    def fingerprints(self, key: bytes, make: Callable[[ParkedRecord], bytes]) -> Iterator[bytes]:
        """Yield `make` of each record parked under `key`. It is made once a record, and always by the same `make`."""
        entry = self.entry(key)
        for number in range(entry.first, entry.next) if entry else ():
            place = _record_key(key, number)
            if place not in self._fingerprints:
                self._fingerprints[place] = make(self._record(place))
            yield self._fingerprints[place]

    def number_of(self, key: bytes, place: RecordPlace) -> int | None:
        """Return the number of the record that was consumed from `place`, or None."""
        return next((number for number, record in self.records(key) if record.place == place), None)

    def depth(self, key: bytes) -> int:
        """Return how many records are parked under `key`."""
        entry = self.entry(key)
        return entry.next - entry.first if entry else 0

    def park(self, key: bytes, entry: ParkedKey, head: ParkedRecord) -> None:
        """Park `key`; `head` is its first record."""
        self._put(_record_key(key, entry.first), head)
        self.record_count += 1
        self.update(key, entry)

    def append(self, key: bytes, record: ParkedRecord) -> None:
        """Let `record` wait behind the others of its key."""
        entry = self._parked_entry(key)
        self._put(_record_key(key, entry.next), record)
        self.record_count += 1
        self.update(key, entry.model_copy(update={"next": entry.next + 1}))

    def replace(self, key: bytes, number: int, record: ParkedRecord) -> None:
        """Put `record` in the place of another one."""
        self._put(_record_key(key, number), record)

    def update(self, key: bytes, entry: ParkedKey) -> None:
        """Set why `key` is parked, and until when."""
        self._unblock(key)
        self.keys.add(key)
        self._put(_KEY + key, entry)
        self._index(key, entry)

    def _index(self, key: bytes, entry: ParkedKey) -> None:
        if entry.blocked_on:
            self._blocked.setdefault(entry.blocked_on, set()).add(key)
        if entry.due_at is not None:
            self._due.add(entry.due_at, key)

    def pop(self, key: bytes) -> bool:
        """Remove the head of `key`. Return whether the key is free: no record waited behind it."""
        entry = self._parked_entry(key)
        self._put(_record_key(key, entry.first), None)
        self.record_count -= 1
        if entry.first + 1 == entry.next:
            self._free(key)
            return True
        next_entry = ParkedKey(status="retrying", first=entry.first + 1, next=entry.next, since=entry.since)
        self.update(key, next_entry)
        return False

    def remove_moot(self, key: bytes, count: int) -> None:
        """Remove the first `count` records of `key`, which the record behind them has made moot."""
        entry = self._parked_entry(key)
        assert entry.first + count < entry.next, "the record that makes them moot is parked behind them"
        for number in range(entry.first, entry.first + count):
            self._put(_record_key(key, number), None)
        self.record_count -= count
        self.update(key, ParkedKey(status="retrying", first=entry.first + count, next=entry.next, since=entry.since))

    def _unblock(self, key: bytes) -> None:
        """Remove `key` from those that wait for its blocker; called before its entry changes."""
        entry = self.entry(key)
        if entry is not None and entry.blocked_on:
            keys = self._blocked[entry.blocked_on]
            keys.discard(key)
            if not keys:
                del self._blocked[entry.blocked_on]

    def _free(self, key: bytes) -> None:
        self._unblock(key)
        self.keys.discard(key)
        self._put(_KEY + key, None)

    def _parked_entry(self, key: bytes) -> ParkedKey:
        entry = self.entry(key)
        assert entry is not None, "only called for parked keys"
        return entry

    def _put(self, key: bytes, state: Any) -> None:
        self.batch[key] = (state, self.codec.encode(state))
        self._fingerprints.pop(key, None)

    # -- keys that are due or wait for a blocker ------------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Whether any key waits, for a time or for something to end."""
        return bool(self._blocked) or self._due.next_due() is not None

    def next_due(self) -> int | None:
        """Return when the next head is to be tried again, epoch milliseconds."""
        return self._due.next_due()

    def take_due(self, now: int, limit: int) -> list[bytes]:
        """Return up to `limit` keys whose heads are due, the longest due first. Each is not due again until updated."""
        return [key for _, key in self._due.take(now, limit)]

    @property
    def blockers(self) -> list[str]:
        """The pauses, and the outages of handlers, that keys wait for."""
        return list(self._blocked)

    def blocked_on(self, blocker: str) -> list[bytes]:
        """Return the keys that wait for `blocker` to end, in the order of their parking."""
        return sorted(self._blocked.get(blocker, ()), key=lambda key: (self._parked_entry(key).since, key))

    def _is_current(self, due_at: int, key: bytes) -> bool:
        entry = self.entry(key)
        return entry is not None and entry.due_at == due_at

    # -- pauses, dead letters, operators' commands ----------------------------------------------------------------

    def set_pause(self, scope: str, name: str, pause: Pause | None) -> None:
        """Begin a pause, or end it."""
        self._put(_PAUSE + f"{scope}/{name}".encode(), pause)
        if pause is None:
            self.pauses.pop((scope, name), None)
        else:
            self.pauses[scope, name] = pause

    def resolution(self, key: bytes, place: RecordPlace, generation: int) -> Resolution | None:
        """Return what became of the dead letter of the record from `place`, written after `generation` redrives."""
        resolution: Resolution | None = self.get(_resolution_key(key, place, generation))
        return resolution

    def set_resolution(self, key: bytes, place: RecordPlace, generation: int, resolution: Resolution) -> None:
        """Remember what became of a dead letter, for as long as operators may look at it."""
        self._put(_resolution_key(key, place, generation), resolution)
        self._forget_older_than(resolution.at - KEEP_DONE_MS)

    def was_done(self, operation: str) -> bool:
        """Return whether an operator's command was carried out before."""
        return self.get(_OPERATION + operation.encode()) is not None

    def mark_done(self, operation: str, now: int) -> None:
        """Remember an operator's command, as long as a resolution."""
        self._put(_OPERATION + operation.encode(), SeenMessage(at=now))
        self._forget_older_than(now - KEEP_DONE_MS)

    def _forget_older_than(self, limit: int) -> None:
        for _ in range(_FORGET_LIMIT):
            if not self._done_by_time or self._done_by_time[0][0] > limit:
                return
            self._put(self._done_by_time.popleft()[1], None)

    # -- the batch's end ------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Make the batch the committed state, and index what it has changed."""
        self._done_by_time.extend(
            (state.at, key) for key, (state, _) in self.batch.items() if isinstance(state, _DONE_TYPES)
        )
        super().commit()

    def abort(self) -> None:
        """Discard the batch."""
        super().abort()
        self._fingerprints.clear()
        self._index_all()

    def finish_restore(self) -> None:
        """Index the committed state."""
        self._index_all()

    def _index_all(self) -> None:
        """Index everything as of the last commit."""
        self.keys = {key[len(_KEY) :] for key in self.committed if key.startswith(_KEY)}
        self.record_count = sum(self.depth(key) for key in self.keys)
        pauses = ((key, self.get(key)) for key in self.committed if key.startswith(_PAUSE))
        self.pauses = {_scope_and_name(key): pause for key, pause in pauses if pause is not None}
        self._due.rebuild(())
        self._blocked = {}
        for key in self.keys:
            self._index(key, self._parked_entry(key))
        done_keys = (key for key in self.committed if key.startswith((_RESOLUTION, _OPERATION)))
        self._done_by_time = deque(sorted((state.at, key) for key in done_keys if (state := self.get(key))))


def _record_key(key: bytes, number: int) -> bytes:
    return _RECORD + key + b"/%012d" % number


def _resolution_key(key: bytes, place: RecordPlace, generation: int) -> bytes:
    topic, partition, offset = place
    return _RESOLUTION + f"{topic}/{partition}/{offset}/{generation}/".encode() + key


def _scope_and_name(key: bytes) -> tuple[str, str]:
    scope, _, name = key[len(_PAUSE) :].decode().partition("/")
    return scope, name
