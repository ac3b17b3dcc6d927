"""Parked keys and pauses are what a plain list of records a key would be, whatever is dropped or restored between."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.messages.records import StoredRecord
from ensemble.state.parking import ParkingStore, PauseTarget, parked_record
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Pause

KEYS = (b"a", b"a/0", b"b")
BLOCKERS = ("", "", "command/Script", "outage/Desk.take")
STEPS = (
    "park", "park", "append", "append", "replace", "update", "update", "pop", "remove_moot", "take_due", "take_due",
    "set_pause", "commit", "commit", "abort", "restart",
)  # fmt: skip


@dataclass
class Contents:
    """What is parked and paused."""

    entries: dict[bytes, ParkedKey] = field(default_factory=dict)
    records: dict[bytes, list[ParkedRecord]] = field(default_factory=dict)
    pauses: dict[PauseTarget, Pause] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)
    """Keys whose heads were due and are being tried."""


@dataclass
class Twin:
    """A store, and what it ought to hold now and after an abort."""

    store: ParkingStore = field(default_factory=lambda: ParkingStore("parked-changelog"))
    now: Contents = field(default_factory=Contents)
    committed: Contents = field(default_factory=Contents)
    times: Any = field(default_factory=lambda: count(1))

    def do(self, how: str, key: bytes, number: int, blocker: str) -> None:
        if how in {"commit", "abort", "restart"}:
            getattr(self, how)()
        elif how == "set_pause":
            self.pause(number)
        elif how == "take_due":
            self.take_due(number)
        elif key in self.now.entries:
            self.change(how, key, number, blocker)
        elif how == "park":
            self.park(key, number, blocker)

    def park(self, key: bytes, number: int, blocker: str) -> None:
        due_at = None if blocker else number
        entry = ParkedKey(
            status="retrying", first=number, next=number + 1, since=next(self.times), due_at=due_at, blocked_on=blocker
        )
        head = self.record()
        self.store.park(key, entry, head)
        self.now.entries[key], self.now.records[key] = entry, [head]
        self.now.taken.discard(key)

    def change(self, how: str, key: bytes, number: int, blocker: str) -> None:
        entry, records = self.now.entries[key], self.now.records[key]
        if how == "append":
            records.append(self.record())
            self.store.append(key, records[-1])
            self.set_entry(key, entry.model_copy(update={"next": entry.next + 1}))
        if how == "replace":
            number %= len(records)
            records[number] = self.record()
            self.store.replace(key, entry.first + number, records[number])
        if how == "update":
            self.set_entry(key, entry.model_copy(update={"due_at": number or None, "blocked_on": blocker}))
            self.store.update(key, self.now.entries[key])
        if how == "pop":
            assert self.store.pop(key) is (len(records) == 1)
            self.remove(key, 1)
        if how == "remove_moot" and number < len(records):
            self.store.remove_moot(key, number)
            self.remove(key, number)

    def remove(self, key: bytes, number: int) -> None:
        """The next head is tried at once, and anew."""
        entry = self.now.entries[key]
        del self.now.records[key][:number]
        if self.now.records[key]:
            first = entry.first + number
            self.set_entry(key, ParkedKey(status="retrying", first=first, next=entry.next, since=entry.since))
        else:
            del self.now.entries[key]

    def set_entry(self, key: bytes, entry: ParkedKey) -> None:
        self.now.entries[key] = entry
        self.now.taken.discard(key)

    def pause(self, number: int) -> None:
        target = ("step", f"pay/{number % 2}")
        if number < 2:
            pause = Pause(operation_id="o", requested_by="ann", reason="r", at=next(self.times))
            self.now.pauses[target] = pause
            self.store.set_pause(*target, pause)
        else:
            self.now.pauses.pop(target, None)
            self.store.set_pause(*target, None)

    def take_due(self, number: int) -> None:
        taken = self.store.take_due(number, 2)
        assert taken == [key for due_at, key in self.due() if due_at <= number][:2]
        self.now.taken.update(taken)

    def commit(self) -> None:
        self.store.commit()
        self.committed = deepcopy(self.now)

    def abort(self) -> None:
        """Whoever was being tried is due again."""
        self.store.abort()
        self.now = deepcopy(self.committed)
        self.now.taken = set()

    def restart(self) -> None:
        before, self.store = self.store, ParkingStore("parked-changelog")
        for raw_key, value in before.committed.items():
            self.store.restore(raw_key, value)
        self.store.finish_restore()
        self.now = deepcopy(self.committed)
        self.now.taken = set()

    def due(self) -> list[tuple[int, bytes]]:
        entries = self.now.entries.items()
        return sorted((e.due_at, key) for key, e in entries if e.due_at is not None and key not in self.now.taken)

    def record(self) -> ParkedRecord:
        number = next(self.times)
        return parked_record(StoredRecord("t", 0, number, b"k", b"%d" % number, []), "Script", str(number), number)

    def check(self) -> None:
        store, now = self.store, self.now
        assert store.keys == now.entries.keys()
        assert {key: store.entry(key) for key in KEYS if store.entry(key)} == now.entries
        assert sorted(store.entries(), key=lambda e: e.since) == sorted(now.entries.values(), key=lambda e: e.since)
        assert store.record_count == sum(map(len, now.records.values()))
        assert store.pauses == now.pauses
        for key in KEYS:
            self.check_key(key)
        due = self.due()
        waiting = {entry.blocked_on for entry in now.entries.values()} - {""}
        assert (store.next_due(), store.has_waiting) == (due[0][0] if due else None, bool(due or waiting))
        assert set(store.blockers) == waiting
        for blocker in BLOCKERS:
            blocked = [key for key, entry in now.entries.items() if entry.blocked_on == blocker]
            assert store.blocked_on(blocker) == sorted(blocked, key=lambda key: now.entries[key].since) or not blocker

    def check_key(self, key: bytes) -> None:
        store, records = self.store, self.now.records.get(key, [])
        first = self.now.entries[key].first if records else 0
        assert list(store.records(key)) == list(enumerate(records, first))
        assert (store.head(key), store.depth(key)) == (records[0] if records else None, len(records))
        assert list(store.fingerprints(key, lambda record: record.value or b"")) == [record.value for record in records]
        assert [store.number_of(key, record.place) for record in records] == list(range(first, first + len(records)))
        assert store.number_of(key, ("t", 0, 0)) is None


@settings(max_examples=6)
@given(st.integers())
def test_it_holds_what_a_list_of_records_a_key_would_hold(seed: int) -> None:
    twin, chance = Twin(), Random(seed)
    for _ in range(250):
        twin.do(chance.choice(STEPS), chance.choice(KEYS), chance.randrange(4), chance.choice(BLOCKERS))
        twin.check()
    twin.commit()
    twin.restart()
    twin.check()
