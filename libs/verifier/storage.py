"""All that was read, in a SQLite file of its own: written in the order of reading, read order by order."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from verifier.facts import Message, Position, Raw

STATE, KEPT, BOOKING, WAITED = range(4)
"""The sorts of notes: of the order state, of another changelog, of the provider, of what waits or has waited."""
_MESSAGE_COLUMNS: Final = ", ".join(Message._fields)
_SCHEMA: Final = f"""
    CREATE TABLE message (subject TEXT, {_MESSAGE_COLUMNS});
    CREATE TABLE note (subject TEXT, sort INTEGER, topic, partition INTEGER, offset INTEGER, time INTEGER, content);
    CREATE TABLE raw (topic, partition, offset, key, value, headers, PRIMARY KEY (topic, partition, offset));
"""
_PRAGMAS: Final = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -32768;
"""
_INSERT_MESSAGE: Final = f"INSERT INTO message VALUES ({', '.join('?' * (len(Message._fields) + 1))})"
_INSERT_NOTE: Final = "INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?)"
_BATCH: Final = 2_000

Row = tuple[Any, ...]
Note = tuple[int, str, int, int, int, Any]
"""Sort, topic, partition, offset, time, and content: bytes of a state, or JSON."""


class Storage(AbstractContextManager["Storage"]):
    """Messages and notes by subject: an order's id, or what stands for one. The file is gone when the block ends."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="ensemble-verify-")
        self._connection = sqlite3.connect(Path(self._directory.name) / "records.db", isolation_level=None)
        self._connection.executescript(_PRAGMAS + _SCHEMA)
        self._messages: list[Row] = []
        self._notes: list[Row] = []
        self._has_ids = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._directory.cleanup()

    # -- writing --------------------------------------------------------------------------------------------------

    def add_message(self, subject: str, message: Row) -> None:
        """Add a message, in the order of the fields of `Message`."""
        self._messages.append((subject, *message))
        if len(self._messages) >= _BATCH:
            self.flush()

    def add_note(self, subject: str, note: Note) -> None:
        """Add what else is known of a subject."""
        self._notes.append((subject, *note))
        if len(self._notes) >= _BATCH:
            self.flush()

    def add_raw(self, position: Position, raw: Raw) -> None:
        """Keep the bytes of a dead letter, or of the record that it was."""
        headers = json.dumps([(name, None if value is None else value.hex()) for name, value in raw.headers])
        row = (*position, raw.key, raw.value, headers)
        self._connection.execute("INSERT OR REPLACE INTO raw VALUES (?, ?, ?, ?, ?, ?)", row)

    def flush(self) -> None:
        """Write what was added."""
        self._connection.execute("BEGIN")
        self._connection.executemany(_INSERT_MESSAGE, self._messages)
        self._connection.executemany(_INSERT_NOTE, self._notes)
        self._connection.execute("COMMIT")
        self._messages.clear()
        self._notes.clear()

    def forget_bookings(self) -> None:
        """Remove what was read of a ledger that could not be read to its end."""
        self.flush()
        self._connection.execute("DELETE FROM note WHERE sort = ?", (BOOKING,))

    # -- reading --------------------------------------------------------------------------------------------------

    def cases(self) -> Iterator[tuple[str, list[Message], list[Note]]]:
        """Return each subject with its messages and notes, each topic's and partition's in order."""
        self.flush()
        messages = self._by_subject("message", "topic, partition, offset")
        notes = self._by_subject("note", "sort, topic, partition, offset")
        message, note = next(messages, None), next(notes, None)
        make_message = Message._make
        while message or note:
            subject = min(each[0] for each in (message, note) if each)
            has_messages, has_notes = message and message[0] == subject, note and note[0] == subject
            yield (
                subject,
                [make_message(row[1:]) for row in message[1]] if message and has_messages else [],
                [row[1:] for row in note[1]] if note and has_notes else [],
            )
            message = next(messages, None) if has_messages else message
            note = next(notes, None) if has_notes else note

    def _by_subject(self, table: str, order: str) -> Iterator[tuple[str, Iterator[Row]]]:
        rows = self._connection.execute(f"SELECT * FROM {table} ORDER BY subject, {order}")
        return groupby(rows, itemgetter(0))

    def with_id(self, message_id: str) -> list[Message]:
        """Return all messages with this id; the first question makes an index."""
        if not self._has_ids:
            self._connection.execute("CREATE INDEX message_by_id ON message (message_id)")
            self._has_ids = True
        sql = f"SELECT {_MESSAGE_COLUMNS} FROM message WHERE message_id = ? ORDER BY topic, partition, offset"
        return [Message(*row) for row in self._connection.execute(sql, (message_id,))]

    def repeated_ids(self, external_topics: frozenset[str]) -> Iterator[Message]:
        """Return each message whose id an earlier one on its topic has, but on topics that outsiders write to."""
        repeated = f"""
            SELECT topic, message_id FROM message WHERE topic NOT IN ({", ".join("?" * len(external_topics))})
            GROUP BY topic, message_id HAVING COUNT(*) > 1
        """
        for topic, message_id in self._connection.execute(repeated, sorted(external_topics)).fetchall():
            yield from [each for each in self.with_id(message_id) if each.topic == topic][1:]

    def raw(self, position: Position) -> Raw | None:
        """Return the bytes that were kept of a record, None if no record lies there."""
        sql = "SELECT key, value, headers FROM raw WHERE topic = ? AND partition = ? AND offset = ?"
        row = self._connection.execute(sql, position).fetchone()
        if row is None:
            return None
        pairs = ((name, None if text is None else bytes.fromhex(text)) for name, text in json.loads(row[2]))
        return Raw(row[0], row[1], tuple(pairs))
