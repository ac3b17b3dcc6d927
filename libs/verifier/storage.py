"""All that was read, in SQLite files of its own: written in the order of reading, read order by order.

Subjects are spread over buckets by a hash. A bucket is so small that it is sorted in memory, and each bucket is judged
by itself, in whichever process.
"""

from __future__ import annotations

import json
import marshal
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from zlib import crc32

from verifier.facts import Message, Position, Raw
from verifier.flow import EXTERNAL_TOPICS

MESSAGE, STATE, KEPT, BOOKING, WAITED = range(5)
"""The sorts of entries: messages; notes of the order state, another changelog, the provider, what waits or waited."""
_PENDING: Final = 10_000
"""So many entries are written at once."""
_PRAGMAS: Final = """
    PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
"""
_RAW: Final = "CREATE TABLE raw (topic, partition, offset, key, value, headers, PRIMARY KEY (topic, partition, offset))"

Note = tuple[int, str, int, int, int, Any]
"""Sort, topic, partition, offset, time, and content: bytes of a state, or plain values."""
Rows = tuple[str, list[Message], list[Note]]
"""A subject with its messages and notes."""


@dataclass(frozen=True)
class Files:
    """Where the entries lie: a file for each process that reads records, and in each one a table for each bucket."""

    directory: Path
    count: int
    buckets: int

    @property
    def paths(self) -> list[Path]:
        return [self.directory / f"{number}.db" for number in range(self.count)]


class Storage(AbstractContextManager["Storage"]):
    """Takes what one process reads, by subject: an order's id, or what stands for one."""

    def __init__(self, files: Files, number: int) -> None:
        self._buckets = files.buckets
        self._connection = sqlite3.connect(files.paths[number], isolation_level=None, cached_statements=files.buckets)
        self._connection.executescript(_PRAGMAS + _RAW)
        for bucket in range(files.buckets):
            self._connection.execute(f"CREATE TABLE entry_{bucket} (subject TEXT, sort INTEGER, id INTEGER, content)")
            self._connection.execute(f"CREATE TABLE id_{bucket} (id INTEGER)")
        self._pending: list[list[tuple[str, int, int | None, bytes]]] = [[] for _ in range(files.buckets)]
        self._pending_ids: list[list[tuple[int]]] = [[] for _ in range(files.buckets)]
        self._count = self._bookings = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        self._connection.close()

    def add_message(self, subject: str, message: Message) -> None:
        """Add a message."""
        message_id = _hash(message.message_id)
        if message.topic not in EXTERNAL_TOPICS:
            self._pending_ids[message_id % self._buckets].append((message_id,))
        self._add(subject, MESSAGE, message_id, message)

    def add_note(self, subject: str, note: Note) -> None:
        """Add what else is known of a subject."""
        self._add(subject, note[0], None, note)

    def _add(self, subject: str, sort: int, message_id: int | None, content: tuple[Any, ...]) -> None:
        bucket = crc32(subject.encode()) % self._buckets
        self._pending[bucket].append((subject, sort, message_id, marshal.dumps(tuple(content))))
        self._count += 1
        if self._count >= _PENDING:
            self.flush()

    def add_booking(self, order_id: str, at: int, content: tuple[Any, ...]) -> None:
        """Add an entry of the provider's ledger, behind those before."""
        self._bookings += 1
        self.add_note(order_id, (BOOKING, "", 0, self._bookings, at, content))

    def add_raw(self, position: Position, raw: Raw) -> None:
        """Keep the bytes of a dead letter, or of the record that it was."""
        headers = json.dumps([(name, None if value is None else value.hex()) for name, value in raw.headers])
        row = (*position, raw.key, raw.value, headers)
        self._connection.execute("INSERT OR REPLACE INTO raw VALUES (?, ?, ?, ?, ?, ?)", row)

    def flush(self) -> None:
        """Write what was added."""
        self._connection.execute("BEGIN")
        for bucket in range(self._buckets):
            self._connection.executemany(f"INSERT INTO entry_{bucket} VALUES (?, ?, ?, ?)", self._pending[bucket])
            self._connection.executemany(f"INSERT INTO id_{bucket} VALUES (?)", self._pending_ids[bucket])
            self._pending[bucket].clear()
            self._pending_ids[bucket].clear()
        self._connection.execute("COMMIT")
        self._count = 0

    def forget_bookings(self) -> None:
        """Remove what was read of a ledger that could not be read to its end."""
        self.flush()
        for bucket in range(self._buckets):
            self._connection.execute(f"DELETE FROM entry_{bucket} WHERE sort = ?", (BOOKING,))


class Archive(AbstractContextManager["Archive"]):
    """Reads what all storages have taken. One process goes through some of the buckets, and looks up in all."""

    def __init__(self, files: Files, number: int) -> None:
        self._own_buckets = range(number, files.buckets, files.count)
        self._buckets, self._has_ids = files.buckets, False
        self._connection = sqlite3.connect(":memory:", isolation_level=None, uri=True)
        self._connection.execute("PRAGMA temp_store = FILE")
        self._schemas = [f"file_{number}" for number in range(files.count)]
        for schema, path in zip(self._schemas, files.paths, strict=True):
            self._connection.execute(f"ATTACH ? AS {schema}", (f"{path.as_uri()}?mode=ro",))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def cases(self) -> Iterator[Rows]:
        """Return each subject of the own buckets with its messages and notes, each topic's and partition's in order."""
        for bucket in self._own_buckets:
            tables = self._all("subject, sort, content", f"entry_{bucket}")
            for subject, rows in groupby(self._connection.execute(f"{tables} ORDER BY subject"), itemgetter(0)):
                messages, notes = [], []
                for _, sort, content in rows:
                    entry = marshal.loads(content)  # noqa: S302  a file of our own
                    if sort == MESSAGE:
                        messages.append(Message._make(entry))
                    else:
                        notes.append(entry)
                messages.sort(key=_PLACE_OF_MESSAGE)
                notes.sort(key=_PLACE_OF_NOTE)
                yield subject, messages, notes

    def _all(self, columns: str, table: str) -> str:
        return " UNION ALL ".join(f"SELECT {columns} FROM {schema}.{table}" for schema in self._schemas)

    def with_id(self, message_id: str) -> list[Message]:
        """Return all messages with this id; the first question makes an index."""
        return [each for each in self._with_hash(_hash(message_id)) if each.message_id == message_id]

    def _with_hash(self, number: int) -> list[Message]:
        if not self._has_ids:
            self._make_ids()
        messages = []
        for table, row in self._connection.execute("SELECT place, row FROM ids WHERE id = ?", (number,)).fetchall():
            (content,) = self._connection.execute(f"SELECT content FROM {table} WHERE rowid = ?", (row,)).fetchone()
            messages.append(Message._make(marshal.loads(content)))  # noqa: S302  as above
        return sorted(messages, key=_PLACE_OF_MESSAGE)

    def _make_ids(self) -> None:
        self._connection.execute("CREATE TEMP TABLE ids (id INTEGER, place TEXT, row INTEGER)")
        for schema in self._schemas:
            for bucket in range(self._buckets):
                table = f"{schema}.entry_{bucket}"
                rows = f"SELECT id, '{table}', rowid FROM {table} WHERE sort = {MESSAGE}"
                self._connection.execute(f"INSERT INTO ids {rows}")
        self._connection.execute("CREATE INDEX temp.ids_by_id ON ids (id)")
        self._has_ids = True

    def repeated_ids(self) -> Iterator[Message]:
        """Return each message whose id an earlier one on its topic has, but on topics that outsiders write to."""
        for bucket in self._own_buckets:
            ids = self._all("id", f"id_{bucket}")
            repeated = f"SELECT id FROM ({ids}) GROUP BY id HAVING COUNT(*) > 1"
            for (number,) in self._connection.execute(repeated).fetchall():
                seen: set[tuple[str, str]] = set()
                for message in self._with_hash(number):
                    identity = message.topic, message.message_id
                    if identity in seen and message.topic not in EXTERNAL_TOPICS:
                        yield message
                    seen.add(identity)

    def raw(self, position: Position) -> Raw | None:
        """Return the bytes that were kept of a record, None if no record lies there."""
        sql = "SELECT key, value, headers FROM {}.raw WHERE topic = ? AND partition = ? AND offset = ?"
        rows = (self._connection.execute(sql.format(schema), position).fetchone() for schema in self._schemas)
        row = next(filter(None, rows), None)
        if row is None:
            return None
        pairs = ((name, None if text is None else bytes.fromhex(text)) for name, text in json.loads(row[2]))
        return Raw(row[0], row[1], tuple(pairs))


_PLACE_OF_MESSAGE: Final = itemgetter(0, 1, 2)
_PLACE_OF_NOTE: Final = itemgetter(0, 1, 2, 3)


def _hash(message_id: str) -> int:
    """Return a number of 60 bits for an id; those of services are 32 hexadecimal digits as random as a hash."""
    try:
        return int(message_id[:15], 16)
    except ValueError:
        return int(blake2b(message_id.encode(), digest_size=7).hexdigest(), 16)
