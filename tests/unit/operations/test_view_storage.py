"""The file of a view: written by one process at a time, all of a change or nothing of it, and read as of one moment."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ensemble.operations import Unreachable
from ensemble.operations.view import Storage, View
from ensemble.operations.view.storage import is_damage, set_offsets, transaction
from tests.support.latest_values import LatestValues
from tests.support.topics_to_view import TopicsToView, fill

STATES, EVENTS = "shop.states", "shop.events"


def rows_of(storage: Storage) -> dict[Any, int]:
    return storage.offsets_of("a")


def put(storage: Storage, offset: int) -> None:
    with storage.writing() as db:
        set_offsets(db, "a", {(EVENTS, 0): offset})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "view.db"


@pytest.mark.parametrize("problem", [ValueError("no"), KeyboardInterrupt()])
def test_a_change_that_fails_leaves_nothing_and_the_next_one_may_begin(path: Path, problem: BaseException) -> None:
    storage = Storage(path)

    def fail() -> None:
        with storage.writing() as db:
            set_offsets(db, "a", {(EVENTS, 0): 7})
            raise problem

    with pytest.raises(type(problem)):
        fail()
    assert rows_of(storage) == {}
    put(storage, 8)
    assert rows_of(storage) == {(EVENTS, 0): 8}
    storage.close()


def test_a_change_that_the_database_has_ended_itself_fails_as_it_did(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)

    def fill_the_disk() -> None:
        with transaction(db):
            db.execute("ROLLBACK")  # as SQLite does for a full disk
            raise sqlite3.OperationalError("disk full")

    with pytest.raises(sqlite3.OperationalError, match="disk full"):
        fill_the_disk()
    db.close()


def test_whoever_reads_sees_one_moment_while_another_process_writes(path: Path) -> None:
    reader, writer = Storage(path), Storage(path)
    put(writer, 1)
    query = "SELECT next FROM view_offsets"
    with reader.reading() as db:
        assert db.execute(query).fetchall() == [(1,)]
        put(writer, 2)
        assert db.execute(query).fetchall() == [(1,)]
    assert rows_of(reader) == {(EVENTS, 0): 2}
    reader.close()
    writer.close()


def test_what_is_kept_in_memory_is_read_by_whoever_wrote_it() -> None:
    storage = Storage()
    put(storage, 3)
    assert (rows_of(storage), storage.acquire(), storage.acquire()) == ({(EVENTS, 0): 3}, True, True)
    storage.replace()
    assert rows_of(storage) == {}
    storage.close()


def test_one_process_writes_at_a_time(path: Path) -> None:
    one, other = Storage(path), Storage(path)
    assert (one.acquire(), one.acquire(), other.acquire()) == (True, True, False)
    one.release()
    one.release()
    assert other.acquire()
    other.close()
    assert one.acquire()
    one.close()


def test_what_is_known_of_a_projection_is_kept_and_made_anew(path: Path) -> None:
    storage, latest = Storage(path), LatestValues()
    assert (storage.identity_of(latest.name), storage.as_of(latest.name)) == (None, None)
    storage.rebuild(latest, "made from x")
    assert (storage.identity_of(latest.name), storage.as_of(latest.name)) == ("made from x", None)
    with storage.writing() as db:
        set_offsets(db, latest.name, {(EVENTS, 0): 7, (EVENTS, 1): 0})
    storage.finish(latest, "made from y", 5, {})
    assert (storage.identity_of(latest.name), storage.as_of(latest.name)) == ("made from y", 5)
    assert storage.offsets_of(latest.name) == {(EVENTS, 0): 7, (EVENTS, 1): 0}
    storage.rebuild(latest, "made from z")
    assert (storage.offsets_of(latest.name), storage.as_of(latest.name)) == ({}, None)
    storage.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, True),
        (sqlite3.SQLITE_FULL, False),
        (None, False),
    ],
)
def test_a_file_that_is_no_database_any_more_is_damaged(code: int | None, *, expected: bool) -> None:
    error = sqlite3.DatabaseError("no")
    if code is not None:
        error.sqlite_errorcode = code
    assert is_damage(error) is expected


def test_what_the_database_cannot_do_is_told_with_its_file(path: Path) -> None:
    storage = Storage(path)
    full, damaged = sqlite3.OperationalError("database or disk is full"), sqlite3.DatabaseError("malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    for error, advice in (
        (full, ""), (damaged, "; remove it: it is built anew from the topics"), (OSError("no space"), "")
    ):  # fmt: skip
        with pytest.raises(Unreachable) as told, storage.answering():
            raise error
        assert str(told.value) == f"the view {path} cannot be used: {error}{advice}"
        assert told.value.subject == str(path)
    with pytest.raises(ValueError, match="its own"), storage.answering():
        raise ValueError("its own")
    storage.close()


# -- views ------------------------------------------------------------------------------------------------------------


def shop() -> TopicsToView:
    topics = TopicsToView({STATES: 2, EVENTS: 1}, part=1)
    fill(topics, [(STATES, 0, b"a", b"1"), (STATES, 1, b"b", b"1"), (EVENTS, 0, b"a", b"x"), (STATES, 0, b"a", b"2")])
    return topics


@pytest.mark.parametrize(
    ("chunk", "expected"), [(1, [(1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]), (3, [(3, 4), (4, 4)]), (9, [(4, 4)])]
)
def test_progress_is_told_chunk_by_chunk(chunk: int, expected: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, int]] = []
    with View(shop(), [LatestValues()], chunk=chunk) as view:
        view.sync(lambda done, total: seen.append((done, total)))
    assert seen == expected


def test_what_changed_is_told_once_to_each_who_looks() -> None:
    topics = shop()
    with View(topics, [LatestValues()], chunk=2) as view:
        assert view.as_of() is None
        with view.feed.subscribe() as everything, view.feed.subscribe("another") as nothing:
            view.sync()
            assert sorted(each.key for each in everything.take(0)) == ["a", "a", "b"]
            synced = view.sync()
            assert (everything.take(0), nothing.take(0)) == ([], [])
        assert not view.feed.has_subscribers
        assert (synced.is_current, view.as_of(), synced.as_of is None) == (True, synced.as_of, False)
        assert view.offsets(LatestValues().name) == {(STATES, 0): 2, (STATES, 1): 1, (EVENTS, 0): 1}


def test_a_view_of_nothing_is_as_of_no_time() -> None:
    with View(shop(), []) as view:
        assert view.as_of() is None
