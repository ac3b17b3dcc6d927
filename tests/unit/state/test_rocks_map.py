"""The map on disk answers as a dict does, keeps its mark, and is opened as state of many small entries needs it."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ensemble.errors import FatalError
from ensemble.state.rocks_map import RocksMap


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[RocksMap]:
    disk = RocksMap(tmp_path / "copy")
    yield disk
    disk.close()


def test_it_answers_as_a_dict_does(disk: RocksMap) -> None:
    expected, chance = dict[bytes, bytes](), Random(7)
    for _ in range(300):
        key = b"%d/%d" % (chance.randrange(3), chance.randrange(9))
        match chance.randrange(3):
            case 0:
                assert disk.pop(key, None) == expected.pop(key, None)
            case 1:
                disk[key] = expected[key] = b"%d" % chance.randrange(9)
            case _:
                assert (disk.get(key), disk.get(key, b"?"), key in disk) == (
                    expected.get(key),
                    expected.get(key, b"?"),
                    key in expected,
                )
    assert dict(disk.items()) == expected
    assert list(disk) == sorted(expected)
    assert list(disk.keys_from(b"1/")) == sorted(key for key in expected if key.startswith(b"1/"))
    text: Any = "text"
    assert text not in disk
    with pytest.raises(KeyError):
        disk[b"none"]


def test_changes_and_mark_are_written_together_and_outlive_the_process(tmp_path: Path) -> None:
    disk = RocksMap(tmp_path / "copy")
    assert (disk.mark(), len(disk), list(disk)) == (None, 0, [])
    disk.write([(b"a", b"1"), (b"b", b"2"), (b"a", None), (b"c", b"")], b"mark-1")
    disk.close()

    disk = RocksMap(tmp_path / "copy")
    assert (disk.mark(), dict(disk.items())) == (b"mark-1", {b"b": b"2", b"c": b""})
    disk[b"d"] = b"4"
    del disk[b"b"]
    assert (disk.mark(), list(disk)) == (b"mark-1", [b"c", b"d"]), "a single change leaves the mark"
    disk.empty()
    assert (disk.mark(), len(disk), list(disk)) == (None, 0, [])
    disk.close()


@pytest.mark.parametrize("count", [1, 5])
def test_it_counts_its_keys_without_the_mark(disk: RocksMap, count: int) -> None:
    disk.write([], b"mark")
    assert len(disk) == 0
    disk.empty()
    disk.write([(b"%d" % number, b"") for number in range(count)], b"mark")
    assert len(disk) == count


def test_it_is_opened_for_many_small_entries_and_few_open_files(disk: RocksMap, tmp_path: Path) -> None:
    disk[b"a"] = b"1"
    options = [path.read_text() for path in (tmp_path / "copy").glob("OPTIONS-*")]
    lines = {line.strip() for text in options for line in text.splitlines()}
    assert lines >= {
        "write_buffer_size=16777216",
        "max_write_buffer_number=2",
        "max_background_jobs=2",
        "keep_log_file_num=2",
        "max_open_files=256",
        "cache_index_and_filter_blocks=true",
        "filter_policy=bloomfilter",
    }


class BusyMap(RocksMap):
    """A map whose directory another process leaves after some attempts."""

    busy = 2

    def _open_once(self) -> Any:
        if self.busy:
            self.busy -= 1
            raise OSError("IO error: While lock file: Resource temporarily unavailable")
        return super()._open_once()


def test_an_older_process_is_waited_for_with_short_pauses(tmp_path: Path) -> None:
    disk = BusyMap(tmp_path / "copy", lock_wait_s=5.0)
    disk[b"a"] = b"1"
    assert dict(disk) == {b"a": b"1"}
    disk.close()


class BrokenMap(RocksMap):
    """A map whose files are damaged, and stay so when they are made anew."""

    def _open_once(self) -> Any:
        raise OSError("Corruption: not an sstable")


def test_what_stays_damaged_when_it_was_emptied_is_told(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"copy cannot be opened: Corruption: not an sstable\. Nothing is lost, "):
        BrokenMap(tmp_path / "copy")


class FullDisk:
    """A database that can neither be written nor read."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def write(self, *_: Any) -> Any:
        raise Exception("IO error: No space left on device")  # noqa: TRY002  as the binding does

    get = write

    def close(self) -> None:
        self._db.close()


FULL = r"copy cannot be {}: IO error: No space left on device\. Nothing is lost, .*; remove the cause"


def test_a_disk_that_is_full_is_told_and_costs_no_copy(tmp_path: Path) -> None:
    disk = RocksMap(tmp_path / "copy")
    disk.write([(b"a", b"1")], b"mark")
    database = disk._db
    disk._db = FullDisk(database)
    with pytest.raises(FatalError, match=FULL.format("written")):
        disk.write([(b"a", b"2")], b"mark")
    with pytest.raises(FatalError, match=FULL.format("read")):
        disk.get(b"a")
    disk.close()
    disk = RocksMap(tmp_path / "copy")
    assert (dict(disk), disk.mark()) == ({b"a": b"1"}, b"mark")
    disk.close()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match=r"file/copy cannot be made: .*Not a directory.*; remove the cause"):
        RocksMap(tmp_path / "file" / "copy")
