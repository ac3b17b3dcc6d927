"""The SQLite database of a view: rows and next offsets, changed together or not at all."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final

from ensemble.kafka.client import TopicPlace
from ensemble.operations.errors import Unreachable
from ensemble.operations.view.projection import Projection

_CACHE_KIB: Final = 48_000
_BUSY_S: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS view_projections (name TEXT PRIMARY KEY, identity TEXT NOT NULL, as_of INTEGER);
CREATE TABLE IF NOT EXISTS view_offsets (
    projection TEXT, topic TEXT, partition INTEGER, next INTEGER NOT NULL, PRIMARY KEY (projection, topic, partition)
) WITHOUT ROWID;
"""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Begin a transaction that writes; it is committed if the block ends, and rolled back if it raises."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class Storage:
    """One database in a file, or in memory; any thread may use it. Of a file one process writes at a time.

    Whoever reads sees all of a transaction or nothing of it, also while another process writes.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open or create the file, or a database in memory; a damaged file is replaced, for it is only a copy.

        Raises Unreachable if the file cannot be used.
        """
        self._path, self._lock = path, threading.RLock()
        self._guard: IO[bytes] | None = None
        self._db = sqlite3.connect(":memory:")
        with self.answering():
            try:
                self._connect()
            except sqlite3.DatabaseError as error:
                if not is_damage(error) or not self.acquire():
                    raise
                self.replace()
                self.release()

    def close(self) -> None:
        """Close the database; a file can be opened again."""
        with self._lock:
            self.release()
            self._db.close()

    def acquire(self) -> bool:
        """Become the one that writes. Return whether this process is: it is not while another one writes."""
        if self._path is None or self._guard is not None:
            return True
        guard = self._path.with_suffix(".lock").open("ab")
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            guard.close()
            return False
        self._guard = guard
        return True

    def release(self) -> None:
        """Let another process write."""
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def replace(self) -> None:
        """Remove the file, which is damaged, and begin an empty one. Only the process that writes may do so."""
        with self._lock:
            self._db.close()
            for suffix in ("", "-wal", "-shm") if self._path is not None else ():
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            self._connect()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Raise Unreachable, which names the file, for what the database cannot do."""
        try:
            yield
        except (OSError, sqlite3.DatabaseError) as error:
            advice = "; remove it: it is built anew from the topics" if is_damage(error) else ""
            raise Unreachable(
                f"the view {self._path} cannot be used: {error}{advice}", subject=str(self._path)
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Begin a transaction; it is committed if the block ends, and rolled back if it raises."""
        with self._lock, transaction(self._db):
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to read with, for one answer: all of its queries see the same state."""
        if self._path is None:
            with self._lock:
                yield self._db
            return
        with closing(self._open()) as db:
            db.execute("BEGIN")
            yield db

    # -- what is known of a projection ----------------------------------------------------------------------------

    def identity_of(self, name: str) -> str | None:
        """Return what the rows of a projection were made from, or None if there are none."""
        with self.reading() as db:
            row = db.execute("SELECT identity FROM view_projections WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def as_of(self, name: str) -> int | None:
        """Return when a projection was brought up to date (epoch milliseconds), or None if it never was."""
        with self.reading() as db:
            row = db.execute("SELECT as_of FROM view_projections WHERE name = ?", (name,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def offsets_of(self, name: str) -> dict[TopicPlace, int]:
        """Return the next offset of each partition that a projection has read."""
        with self.reading() as db:
            rows = db.execute("SELECT topic, partition, next FROM view_offsets WHERE projection = ?", (name,))
            return {(topic, partition): next_offset for topic, partition, next_offset in rows}

    def rebuild(self, projection: Projection, identity: str) -> None:
        """Remove all rows and offsets of a projection, and make its tables anew."""
        with self.writing() as db:
            for table in projection.tables:
                db.execute(f"DROP TABLE IF EXISTS {table}")
            db.execute("DELETE FROM view_offsets WHERE projection = ?", (projection.name,))
            db.execute("DELETE FROM view_projections WHERE name = ?", (projection.name,))
            db.execute("INSERT INTO view_projections VALUES (?, ?, NULL)", (projection.name, identity))
            _execute_all(db, projection.schema)

    def finish(self, projection: Projection, identity: str, as_of: int, starts: Mapping[TopicPlace, int]) -> None:
        """Note that a projection is up to date, with all of its indexes, and without what the topics have lost."""
        with self.writing() as db:
            projection.remove_expired(db, starts)
            _execute_all(db, projection.indexes)
            update = "UPDATE view_projections SET identity = ?, as_of = ? WHERE name = ?"
            db.execute(update, (identity, as_of, projection.name))

    def _open(self) -> sqlite3.Connection:
        name = ":memory:" if self._path is None else str(self._path)
        db = sqlite3.connect(name, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return db

    def _connect(self) -> None:
        self._db = self._open()
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # after a power cut it is as of some commit, offsets included
        _execute_all(self._db, _SCHEMA)


def is_damage(error: Exception) -> bool:
    """Return whether an error says that the file is no database, or not all of one any more."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def set_offsets(db: sqlite3.Connection, name: str, offsets: Mapping[TopicPlace, int]) -> None:
    """Set the next offsets of a projection, in the transaction of its rows."""
    rows = [(name, *place, offset) for place, offset in offsets.items()]
    db.executemany("INSERT OR REPLACE INTO view_offsets VALUES (?, ?, ?, ?)", rows)


def _execute_all(db: sqlite3.Connection, script: str) -> None:
    """Run the statements of a script; unlike `executescript` it stays in the transaction."""
    for statement in filter(str.strip, script.split(";")):
        db.execute(statement)
