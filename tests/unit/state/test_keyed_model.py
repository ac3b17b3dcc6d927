"""Keyed state is what three dicts would be: of the commits, of the batch, and of the record in hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.state.keyed import KeyedStore, StagedState
from ensemble.state.packed_map import PackedMap
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.state import SeenMessage

KEYS = ("a", "a/1", "a/1/x", "a/2", "ab", "a//")
STEPS = (
    "set", "set", "set", "delete", "delete", "get", "items", "merge", "merge", "merge", "discard", "commit", "commit",
    "abort", "restart",
)  # fmt: skip
Contents = dict[str, int]


@dataclass
class Twin:
    """A store with the port of record after record of the key `a`, and the dicts that it ought to be."""

    is_packed: bool
    committed: Contents = field(default_factory=dict)
    batch: Contents = field(default_factory=dict)
    layer: Contents = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = self.opened()
        self.begin()

    def opened(self) -> KeyedStore[SeenMessage]:
        store = KeyedStore[SeenMessage]("shop.seen-changelog", [SeenMessage])
        if self.is_packed:
            store.committed = PackedMap()
        return store

    def begin(self) -> None:
        self.record = RecordLayer()
        self.record.begin(b"a", b"", "id", correlation_id="", trace="", time="", place=("", 0, 0))
        self.port = StagedState(self.store, self.record)

    def do(self, how: str, key: str, number: int) -> None:
        if how in {"merge", "discard", "commit", "abort", "restart"}:
            getattr(self, how)()
        elif key != "ab":
            self.touch(how, key, number)

    def touch(self, how: str, key: str, number: int) -> None:
        match how:
            case "set":
                self.port.set(key, SeenMessage(at=number))
                self.layer[key] = number
            case "delete":
                self.port.delete(key)
                self.layer.pop(key, None)
            case "get":
                default = SeenMessage(at=9)
                assert self.port.get(key, default).at == self.layer.get(key, 9)
            case "items":
                # a prefix below the record's own key
                found = [(name, state.at) for name, state in self.port.items(key)]
                assert found == sorted((name, at) for name, at in self.layer.items() if name.startswith(key))

    def merge(self) -> None:
        self.record.merge([])
        self.batch = dict(self.layer)

    def discard(self) -> None:
        self.record.discard()
        self.layer = dict(self.batch)

    def commit(self) -> None:
        self.discard()
        written = {key.decode(): value is None for key, value in self.store.changes()}
        assert self.store.is_dirty is bool(written)
        changed = {key.decode() for key in self.store.changed_keys()}
        before, after = self.committed.items(), self.batch.items()
        assert changed == {key for key, _ in before ^ after}
        assert {key for key, is_tombstone in written.items() if is_tombstone} == written.keys() - self.batch.keys()
        self.store.commit()
        self.committed = dict(self.batch)

    def abort(self) -> None:
        self.store.abort()
        self.batch = dict(self.committed)
        self.discard()

    def restart(self) -> None:
        before, self.store = self.store, self.opened()
        self.store.restore(b"gone", b"")
        for key in before.committed:
            self.store.restore(key, before.committed[key])
        self.store.restore(b"gone", None)
        self.store.finish_restore()
        self.batch = dict(self.committed)
        self.layer = dict(self.committed)
        self.begin()

    def check(self) -> None:
        states = {key: self.port.get(key) for key in KEYS if key != "ab"}
        assert {key: state.at for key, state in states.items() if state} == self.layer
        kept = {key: self.store.get(key.encode()) for key in KEYS}
        assert {key: state.at for key, state in kept.items() if state} == self.batch
        assert self.store.keys_below(b"a") == {key.encode() for key in self.batch if key.startswith("a/")}
        assert self.store.size() == len(self.committed)


@pytest.mark.parametrize("is_packed", [False, True], ids=["memory", "packed"])
@settings(max_examples=4)
@given(seed=st.integers())
def test_it_holds_what_dicts_would_hold(seed: int, *, is_packed: bool) -> None:
    twin, chance = Twin(is_packed), Random(seed)
    for _ in range(300):
        twin.do(chance.choice(STEPS), chance.choice(KEYS), chance.randrange(4))
        twin.check()
    twin.commit()
    twin.restart()
    twin.check()
