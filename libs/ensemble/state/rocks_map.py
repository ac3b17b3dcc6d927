"""A map of bytes on disk, with a mark that is written together with each change of it: a directory of RocksDB."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import structlog

from ensemble.clock import until
from ensemble.errors import FatalError
from ensemble.extras import imports_of_extra
from ensemble.state.store import Change

log = structlog.get_logger()

FEATURE: Final = 'state_store(..., engine="rocksdb")'
_MARK_KEY: Final = b"\xff mark"
"""No key of state, for those are UTF-8, which has no such byte; it comes after all of them."""
_WRITE_BUFFER: Final = 16 * 2**20
_BLOCK_CACHE: Final = 64 * 2**20
"""For all maps of a process."""
_LOCK_WAIT_S: Final = 10.0
"""An older process of the same slot takes a moment to end."""
_NOTE: Final = "to-be-emptied"
"""The file beside RocksDB's own that says so, and why."""
_LOCKED: Final = ("While lock file", "lock hold by current process")
_DAMAGED: Final = ("Corruption", "IO error: No such file or directory", "Not implemented")
"""How RocksDB begins to say that files are damaged, missing, or in the form of another release."""


def rocksdict() -> Any:
    """Return the package that reads and writes RocksDB. Raises MissingExtra."""
    with imports_of_extra("rocksdb", FEATURE):
        import rocksdict
    return rocksdict


class RocksMap(MutableMapping[bytes, bytes]):
    """The map in one directory, which one process has open at a time.

    What `write` has returned from survives the end of the process; after a failure of the machine the latest changes
    may be gone, with their marks. All methods raise FatalError, which names the directory, if the disk fails.
    """

    def __init__(self, directory: Path, lock_wait_s: float = _LOCK_WAIT_S) -> None:
        """Open or make the directory; one whose files are damaged, or were found to be, is emptied.

        Raises FatalError if another process has it open for longer than `lock_wait_s`.
        """
        self._directory, self._note = directory, directory / _NOTE
        self._db = self._open(lock_wait_s)

    def mark(self) -> bytes | None:
        """Return the mark that was written last, or None."""
        return self._get(_MARK_KEY)

    def write(self, changes: Iterable[Change], mark: bytes) -> None:
        """Apply changes and set the mark, all of it or nothing; a value of None removes its key."""
        batch = rocksdict().WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_MARK_KEY, mark)
        try:
            self._db.write(batch)
        except Exception as error:  # the binding knows no other class
            raise self._failed("written", error) from error

    def keys_from(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys that begin with `prefix`, in order, without looking at others."""
        cursor = self._db.iter()
        cursor.seek(prefix)
        while cursor.valid():
            key = cursor.key()
            if not key.startswith(prefix) or key == _MARK_KEY:
                return
            yield key
            cursor.next()
        try:
            cursor.status()  # a damaged block ends the keys without a word
        except Exception as error:  # the binding knows no other class
            del cursor  # or the traceback keeps it, and it the directory's lock
            raise self._failed("read", error) from error

    def empty(self) -> None:
        """Remove everything, the mark too."""
        self.close()
        self._remove_files()
        self._db = self._open(_LOCK_WAIT_S)

    def close(self) -> None:
        """Let another process open the directory."""
        _close(self._db)

    def __getitem__(self, key: bytes) -> bytes:
        if (value := self._get(key)) is None:
            raise KeyError(key)
        return value

    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        value = self._get(key)
        return default if value is None else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self._get(key) is not None

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.write([(key, value)], self.mark() or b"")

    def __delitem__(self, key: bytes) -> None:
        self.write([(key, None)], self.mark() or b"")

    def __iter__(self) -> Iterator[bytes]:
        return self.keys_from(b"")

    def __len__(self) -> int:
        """Return about how many keys there are: exactly 0 if there is none."""
        if next(iter(self), None) is None:
            return 0
        return max(1, int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0) - 1)

    def _get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:  # the binding knows no other class
            raise self._failed("read", error) from error
        return value

    def _open(self, lock_wait_s: float) -> Any:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            return self._open_unlocked(lock_wait_s)
        except OSError as error:
            raise self._failed("made", error) from error

    def _open_unlocked(self, lock_wait_s: float) -> Any:
        for _ in until(lock_wait_s, 0.1):
            try:
                return self._open_undamaged()
            except Exception as error:
                if not any(words in str(error) for words in _LOCKED):
                    raise
        raise FatalError(
            f"another process has {self._directory} open: it runs as the same service and instance; stop it, or give "
            "this one its own ENSEMBLE_INSTANCE_ID or ENSEMBLE_STATE_DIR"
        )

    def _open_undamaged(self) -> Any:
        """Open the directory, and empty it if its files are damaged. Raises what the binding does if it is locked."""
        try:
            db = self._open_once()
        except Exception as error:
            if any(words in str(error) for words in _LOCKED):
                raise
            if not _is_damage(error):  # such as too many open files: the copy may be sound
                raise self._failed("opened", error) from error
            return self._open_emptied(str(error))
        if not self._note.exists():
            return db
        _close(db)
        return self._open_emptied(self._note.read_text(encoding="utf-8", errors="replace"))

    def _open_emptied(self, reason: str) -> Any:
        log.warning("state.rebuilt", directory=str(self._directory), reason=reason)
        self._remove_files()
        try:
            return self._open_once()
        except Exception as error:  # the binding knows no other class
            raise self._failed("opened", error) from error

    def _open_once(self) -> Any:
        return rocksdict().Rdict(str(self._directory), _options())

    def _remove_files(self) -> None:
        """Remove all files, the note last, so that the next open finishes what was cut short."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._set_note("a removal of its files was cut short")
            for path in list(self._directory.iterdir()):
                if path != self._note:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            self._note.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("emptied", error) from error

    def _set_note(self, reason: str) -> bool:
        """Have the next open empty the directory. Return whether it will: a full disk may refuse even that."""
        with suppress(OSError):
            self._note.write_text(reason, encoding="utf-8")
        return self._note.exists()

    def _failed(self, action: str, error: Exception) -> FatalError:
        """Return what to raise; damaged files are noted, so that the next start does not meet them again."""
        remedy = "remove the cause, such as a full disk, or set ENSEMBLE_STATE_DIR to another disk, then start again"
        if _is_damage(error):
            is_noted = self._set_note(str(error))
            remedy = "start again: the copy is made anew" if is_noted else "delete the directory, then start again"
        return FatalError(
            f"{self._directory} cannot be {action}: {error}. Nothing is lost, for state lies in changelogs; {remedy}"
        )


def _is_damage(error: Exception) -> bool:
    return str(error).startswith(_DAMAGED) and "Too many open files" not in str(error)


def _close(db: Any) -> None:
    """Close RocksDB, which it is afterwards in any case.

    It raises if what lies in memory cannot be written to a table. Nothing is lost by that: RocksDB's log has it, and
    what is not there either is read from the changelog.
    """
    with suppress(Exception):
        db.close()


@cache
def _block_cache() -> Any:
    return rocksdict().Cache(_BLOCK_CACHE)


def _options() -> Any:
    package = rocksdict()
    options = package.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(2)
    options.set_compression_type(package.DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    table = package.BlockBasedOptions()
    table.set_block_cache(_block_cache())
    table.set_cache_index_and_filter_blocks(True)
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
