"""A small file of the control room's own: what is in it may be lost, and nobody waits for its disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ensemble.operations import Unreachable
from ensemble.operations.view import transaction


class OwnFile:
    """An SQLite database, or one in memory without a path. Any thread may use it; so may several processes."""

    def __init__(self, path: Path | None, schema: str) -> None:
        """Open the file, with these tables. Raises Unreachable if that is not possible."""
        try:
            name = str(path or ":memory:")
            self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=5)
            self._lock = threading.Lock()
            with self._lock:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.executescript(schema)
        except sqlite3.Error as error:
            raise Unreachable(f"{path} cannot be opened: {error}", subject=str(path)) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the database to one thread; what the block has written is there as a whole, or not at all."""
        with self._lock, transaction(self._db):
            yield self._db
