"""The provider's ledger: one append-only SQLite table that survives the death of the process."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL,
    order_id TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT, status TEXT NOT NULL, reason TEXT,
    entry_id TEXT NOT NULL, charge_key TEXT, at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds ON entries (charge_key) WHERE charge_key IS NOT NULL;
"""
_LOCK_WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One final result. `amount` is what was captured, refunded, or asked for and declined."""

    seq: int
    kind: Literal["charge", "refund"]
    key: str
    fingerprint: str
    order_id: str
    amount: int
    currency: str | None
    status: Literal["captured", "declined", "refunded"]
    reason: str | None
    entry_id: str
    charge_key: str | None
    at: int


class LedgerError(Exception):
    """The ledger file cannot be opened; the message says which file and what to do."""


class Ledger:
    """Entries by key and in order. An entry that `append` returned from is read again after kill -9.

    One process owns the file; it runs with synchronous=NORMAL, so a power cut may cost the last entries.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.last_seq = int(connection.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()[0])

    @classmethod
    def open(cls, path: Path) -> "Ledger":
        """Open or create the file and lock it for this process."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(_connect(path))
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(_advice(path, error)) from error

    def append(self, entries: Sequence[Entry]) -> None:
        """All entries in one transaction: all are kept or none."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", [astuple(entry) for entry in entries]
            )

    def find(self, key: str) -> Entry | None:
        """Return the final result under this idempotency key."""
        return _entry(self._connection.execute("SELECT * FROM entries WHERE key = ?", (key,)).fetchone())

    def find_refund_of(self, charge_key: str) -> Entry | None:
        """Return the refund that closed this charge key."""
        query = "SELECT * FROM entries WHERE charge_key = ? ORDER BY seq LIMIT 1"
        return _entry(self._connection.execute(query, (charge_key,)).fetchone())

    def page(self, after: int, limit: int) -> list[Entry]:
        """Entries in the order in which they became final."""
        query = "SELECT * FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"
        return [Entry(*row) for row in self._connection.execute(query, (after, limit))]

    def close(self) -> None:
        """Folds the write-ahead log into the file and unlocks it."""
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _advice(path: Path, error: Exception) -> str:
    if "locked" in str(error):
        return f"the ledger {path} is in use by another sandbox: stop that one or choose another file with --ledger"
    return f"the ledger {path} cannot be used ({error}): choose another file with --ledger"


def _entry(row: Any) -> Entry | None:
    return None if row is None else Entry(*row)
