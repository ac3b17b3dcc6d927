"""A copy of a changelog on disk: what it holds after a restart, and when it is emptied instead of trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from ensemble import State
from ensemble.errors import FatalError
from ensemble.messages import Int32
from ensemble.messages.records import StoredRecord
from ensemble.state import rocks
from ensemble.state.partition import PartitionStores
from ensemble.state.restore_phases import RestoreSource, changelog_sources
from ensemble.state.rocks import CopyPlace, RocksStore
from ensemble.state.rocks_map import RocksMap, rocksdict
from ensemble.state.store import StartOver

NOW = 1_700_000_000_000
HOUR = 3_600_000


class Cup(State):
    drinks: Int32


class Bench:
    """Opens one store again and again, as restarts do."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.stores = directory, list[RocksStore[Cup]]()

    def open(self, topic_id: str = "topic-1", now: int = NOW) -> RocksStore[Cup]:
        """Open the copy as the next process does: the one before has ended."""
        self.close()
        store: RocksStore[Cup] = RocksStore(
            "cups", [Cup], None, place=CopyPlace(self.directory, topic_id), now=lambda: now
        )
        self.stores.append(store)
        return store

    def close(self) -> None:
        while self.stores:
            self.stores.pop().close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "cups" / "0")
    yield bench
    bench.close()


def stage(store: RocksStore[Cup], **drinks: int | None) -> None:
    for key, number in drinks.items():
        state = None if number is None else Cup(drinks=number)
        store.batch[key.encode()] = (state, store.codec.encode(state))


def commit(store: RocksStore[Cup], *, to: int, **drinks: int | None) -> None:
    stage(store, **drinks)
    store.acknowledge(to)
    store.commit()


def record(store: RocksStore[Cup], offset: int, key: str, drinks: int | None) -> StoredRecord:
    value = None if drinks is None else store.codec.encode(Cup(drinks=drinks))
    return StoredRecord("cups", 0, offset, key.encode(), value)


def drinks_of(store: RocksStore[Cup]) -> dict[str, int]:
    return {key.decode(): cup.drinks for key in store.committed if (cup := store.get(key))}


def state_of(store: RocksStore[Cup]) -> tuple[dict[str, int], int]:
    return drinks_of(store), store.read_from


def test_a_restart_has_what_was_committed_and_reads_on_behind_it(bench: Bench) -> None:
    # given
    commit(store := bench.open(), to=7, a=1, b=2)
    commit(store, to=9, a=None, c=3)

    # when
    store = bench.open()
    store.check_end(10)

    # then
    assert state_of(store) == ({"b": 2, "c": 3}, 8)


def test_a_restore_reads_on_behind_the_copy_and_looks_at_the_end_first(bench: Bench) -> None:
    commit(bench.open(), to=7, a=1)
    store: Any = bench.open()
    (source,) = changelog_sources(cast("PartitionStores", SimpleNamespace(changelogged=[store])), cast("Any", None))
    assert source == RestoreSource("cups", 0, store.restore_record, 6, store.check_end), "its last record tells it"


def test_a_batch_that_is_aborted_leaves_nothing(bench: Bench) -> None:
    commit(store := bench.open(), to=3, a=1)
    stage(store, a=7, b=7)
    store.acknowledge(5)
    store.abort()
    assert drinks_of(store) == {"a": 1}
    assert state_of(bench.open()) == ({"a": 1}, 2)


def test_a_commit_whose_offsets_are_not_known_is_read_again(bench: Bench) -> None:
    commit(store := bench.open(), to=3, a=1)
    stage(store, a=2)
    store.commit()
    assert state_of(bench.open()) == ({"a": 2}, 2)


def test_what_is_restored_is_there_after_the_next_restart(bench: Bench) -> None:
    store = bench.open()
    for offset, (key, drinks) in enumerate([("a", 1), ("b", 2), ("a", None)]):
        store.restore_record(record(store, offset, key, drinks))
    store.finish_restore()
    assert state_of(bench.open()) == ({"b": 2}, 2)


def test_the_first_record_alone_is_read_again_as_the_one_that_was_last(bench: Bench) -> None:
    store = bench.open()
    store.restore_record(record(store, 0, "a", 1))
    store.finish_restore()
    store = bench.open()
    store.check_end(1)
    assert state_of(store) == ({"a": 1}, 0)


def test_the_record_that_was_last_is_recognised(bench: Bench) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open()
    store.restore_record(record(store, 2, "a", 1))
    store.restore_record(record(store, 3, "b", 2))
    store.finish_restore()
    assert drinks_of(store) == {"a": 1, "b": 2}


def test_a_copy_is_emptied_if_another_record_lies_where_it_ends(bench: Bench) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open()
    with pytest.raises(StartOver, match="another record lies at offset 2"):
        store.restore_record(record(store, 2, "a", 2))
    assert state_of(store) == ({}, 0)


def test_a_copy_is_emptied_if_the_changelog_is_shorter(bench: Bench) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open()
    with pytest.raises(StartOver, match="the changelog ends at 2, and the copy goes to 3"):
        store.check_end(2)
    assert (drinks_of(store), store.size(), store.read_from) == ({}, 0, 0)


OLD = "h old, and what was deleted since may be gone from the changelog"


@pytest.mark.parametrize(
    ("topic_id", "now", "reason"),
    [
        ("topic-2", NOW, "it is a copy of the topic with id 'topic-1', this one has 'topic-2'"),
        ("", NOW, "it is a copy of the topic with id 'topic-1', this one has ''"),
        ("topic-1", NOW + 12 * HOUR + 1, f"it is 12.0 {OLD}"),
        ("topic-1", NOW - HOUR // 6 - 1, f"it is -0.2 {OLD}"),
    ],
    ids=["another topic", "unknown topic", "too old", "from the future"],
)
def test_a_copy_that_cannot_be_trusted_is_emptied(bench: Bench, topic_id: str, now: int, reason: str) -> None:
    with structlog.testing.capture_logs() as logs:
        commit(bench.open(), to=3, a=1)
        assert logs == [], "nothing was emptied that is new"
        store = bench.open(topic_id, now)
    assert state_of(store) == ({}, 0)
    assert logs == [{"event": "state.rebuilt", "log_level": "warning", "changelog": "cups", "reason": reason}]


@pytest.mark.parametrize("later_ms", [12 * HOUR, -HOUR // 6])
def test_a_copy_that_is_just_young_enough_is_gone_on_from(bench: Bench, later_ms: int) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open(now=NOW + later_ms)
    store.check_end(3)
    assert state_of(store) == ({"a": 1}, 2)


def test_what_was_read_before_is_forgotten_with_what_was_deleted_and_with_the_copy(bench: Bench) -> None:
    # given states that were read
    commit(store := bench.open(), to=7, a=1, b=2)
    assert drinks_of(store) == {"a": 1, "b": 2}

    # when one is deleted, and the other one written anew
    stage(store, a=None, b=3)
    staged = store.get(b"b")
    store.acknowledge(9)
    store.acknowledge(8)
    store.commit()

    # then
    assert (store.get(b"a"), store.get(b"b"), store.read_from) == (None, Cup(drinks=3), 8)
    assert store.get(b"b") is staged
    store.start_over("it is old")
    assert store.get(b"b") is None


def test_offsets_of_a_batch_that_was_aborted_are_not_those_of_the_next_one(bench: Bench) -> None:
    commit(store := bench.open(), to=3, a=1)
    store.acknowledge(5)
    store.abort()
    stage(store, a=2)
    store.commit()
    assert state_of(bench.open()) == ({"a": 2}, 2)


@pytest.mark.parametrize(("later_ms", "is_noted"), [(HOUR // 6, False), (HOUR // 6 + 1, True)])
def test_that_nothing_has_changed_is_noted_now_and_then(bench: Bench, later_ms: int, *, is_noted: bool) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open(now=NOW + later_ms)
    store.commit()
    assert store._mark.at == NOW + (later_ms if is_noted else 0), "it is not noted again at once"
    assert drinks_of(bench.open(now=NOW + later_ms + 12 * HOUR)) == ({"a": 1} if is_noted else {})


def test_a_copy_of_an_idle_partition_stays_young_while_its_process_commits(bench: Bench) -> None:
    commit(bench.open(), to=3, a=1)
    bench.open(now=NOW + 11 * HOUR).commit()
    assert drinks_of(bench.open(now=NOW + 22 * HOUR)) == {"a": 1}


@pytest.mark.parametrize("ahead_ms", [2_000, 9 * 60_000])
def test_a_clock_that_is_a_little_behind_costs_no_copy(bench: Bench, ahead_ms: int) -> None:
    commit(bench.open(), to=3, a=1)
    assert state_of(bench.open(now=NOW - ahead_ms)) == ({"a": 1}, 2)


def test_a_first_build_goes_on_where_it_was_interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocks, "_RESTORED_AT_ONCE", 2)
    store = bench.open()
    for offset, key in enumerate("abc"):
        store.restore_record(record(store, offset, key, 1))
    assert state_of(bench.open(now=NOW + HOUR)) == ({"a": 1, "b": 1}, 1)


# -- directories that fail ----------------------------------------------------------------------------------------


def fill(bench: Bench) -> None:
    """Have a table of many blocks, none of which a cache holds."""
    commit(bench.open(), to=3, **{f"key-{number:04}": number for number in range(3000)})
    bench.close()


def flip(path: Path, begin: float, end: float) -> None:
    """Damage a part of a file, given in shares of its length."""
    content = bytearray(path.read_bytes())
    for place in range(int(begin * len(content)), int(end * len(content))):
        content[place] ^= 0xFF
    path.write_bytes(content)


def damage_table(bench: Bench) -> None:
    fill(bench)
    [table] = bench.directory.glob("*.sst")
    flip(table, 0.2, 0.5)


@pytest.mark.parametrize(("files", "begin"), [("MANIFEST-*", 0), ("*.sst", 0.9), ("CURRENT", 0)])
def test_a_directory_that_cannot_be_read_is_emptied(bench: Bench, files: str, begin: float) -> None:
    fill(bench)
    [path] = bench.directory.glob(files)
    flip(path, begin, 1)
    with structlog.testing.capture_logs() as logs:
        store = bench.open()
    assert (drinks_of(store), store.read_from) == ({}, 0)
    assert [(entry["event"], entry["directory"]) for entry in logs] == [("state.rebuilt", str(bench.directory))]


def test_a_directory_that_lacks_a_file_is_emptied(bench: Bench) -> None:
    fill(bench)
    for path in bench.directory.glob("MANIFEST-*"):
        path.unlink()
    assert drinks_of(bench.open()) == {}


@pytest.mark.parametrize(
    "read",
    [
        lambda store: list(store.committed.keys_from(b"key-")),
        lambda store: store.keys_below(b"key-0700"),
        lambda store: store.get(b"key-0700"),
    ],
    ids=["keys", "keys below", "value"],
)
def test_damage_that_is_met_later_is_told_and_the_next_start_makes_the_copy_anew(bench: Bench, read: Any) -> None:
    damage_table(bench)
    store = bench.open()
    with pytest.raises(FatalError, match=r"cups/0 cannot be read: Corruption: .*; start again: the copy is made anew"):
        read(store)
    del store
    assert state_of(bench.open()) == ({}, 0)
    commit(bench.open(), to=3, a=1)
    assert state_of(bench.open()) == ({"a": 1}, 2), "it is emptied once"


def test_a_mark_that_cannot_be_read_is_told(bench: Bench) -> None:
    fill(bench)
    [table] = bench.directory.glob("*.sst")
    table.write_bytes(table.read_bytes().replace(b"topic", b"topik"))
    with pytest.raises(FatalError, match="cannot be read: Corruption"):
        bench.open()
    assert state_of(bench.open()) == ({}, 0)


def test_what_is_no_damage_costs_no_copy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Exception("IO error: While open a file for random read: CURRENT: Too many open files")  # noqa: TRY002  as the binding does

    fill(bench)
    with monkeypatch.context() as patched:
        patched.setattr(rocksdict(), "Rdict", refuse)
        with pytest.raises(FatalError, match=r"cannot be opened: IO error: .* Too many open files.*; remove the cause"):
            bench.open()
    assert len(drinks_of(bench.open())) == 3000


def test_what_cannot_be_removed_is_told_and_removed_by_the_next_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the files of an old copy, behind a mark of the new one, would be stale state."""

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    commit(store := bench.open(), to=3, a=1)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(FatalError, match=r"cups/0 cannot be emptied: .*Permission denied"):
            store.start_over("it is old")
    assert state_of(bench.open()) == ({}, 0)


def test_a_failed_write_does_not_keep_the_copy_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """RocksDB raises at its close then, and again at the next one."""

    class Failing:
        def __init__(self, db: Any) -> None:
            self.db = db

        def close(self) -> None:
            self.db.close()
            raise Exception("IO error: Writer has previous error.")  # noqa: TRY002  as the binding does

    commit(store := bench.open(), to=3, a=1)
    monkeypatch.setattr(store.committed, "_db", Failing(store.committed._db))
    store.close()
    store.close()
    assert state_of(bench.open()) == ({"a": 1}, 2)


def test_a_second_process_is_told_what_to_do(bench: Bench) -> None:
    bench.open()
    with pytest.raises(FatalError, match=r"cups/0 open: it runs as the same service and instance.*INSTANCE_ID"):
        RocksMap(bench.directory, lock_wait_s=0)


def test_only_what_lies_below_a_key_is_listed(bench: Bench) -> None:
    commit(store := bench.open(), to=9, **{"a": 1, "a/1": 1, "a/2": 1, "a-b": 1, "a0": 1, "b/1": 1})
    stage(store, **{"a/1": None, "a/3": 1})
    assert store.keys_below(b"a") == {b"a/2", b"a/3"}


def test_states_read_twice_are_one_object(bench: Bench) -> None:
    commit(bench.open(), to=3, a=1)
    store = bench.open()
    assert store.get(b"a") is store.get(b"a")
    assert store.changed_keys() == []
