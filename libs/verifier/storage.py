"""All that was read, in SQLite files of its own: written in the order of reading, read order by order.

Subjects are spread over buckets by a hash. A row holds a chunk, a few entries of one bucket; a bucket is so small that
it is read as a whole, and each one is judged by itself, in whichever process.
"""

from __future__ import annotations

import marshal
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from verifier.facts import Message

STATE, KEPT, BOOKING, PARKING = range(4)
"""The sorts of notes: the order state, another changelog, the provider, what waits or waited."""
NO_ORDER: Final = "\0"
"""Before the subject of what is about no order: no order is called so."""
_PENDING: Final = 20_000
"""So many entries are written at once."""
_NOTE_LENGTH: Final = 6
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS chunk (bucket INTEGER, content BLOB);
CREATE INDEX IF NOT EXISTS chunks_by_bucket ON chunk (bucket);
"""

Note = tuple[int, str, int, int, int, Any]
"""Sort, topic, partition, offset, time, and content: bytes of a state, or plain values."""
Rows = tuple[str, list[Message], list[Note]]
"""A subject with its messages and notes."""


@dataclass(frozen=True)
class Files:
    """Where the entries lie: a file for each process that reads records."""

    directory: Path
    count: int
    buckets: int

    def open(self, number: int) -> sqlite3.Connection:
        """Return a connection to one of the files. Nobody needs it after a crash."""
        connection = sqlite3.connect(self.directory / f"{number}.db")
        connection.executescript(_SCHEMA)
        return connection


class Storage:
    """Takes what one process reads, by subject: an order's id, or what stands for one."""

    def __init__(self, files: Files, number: int) -> None:
        self._files, self._number = files, number
        self._pending: list[tuple[list[str], list[bytes]]] = [([], []) for _ in range(files.buckets)]
        self._count = 0

    def add(self, subject: str, entry: tuple[Any, ...]) -> None:
        """Add a message, as the plain values of its fields, or a note."""
        subjects, entries = self._pending[crc32(subject.encode()) % len(self._pending)]
        subjects.append(subject)
        entries.append(marshal.dumps(entry))
        self._count += 1
        if self._count >= _PENDING:
            self.flush()

    def flush(self) -> None:
        """Write what was added, so that it can be read."""
        chunks = ((bucket, marshal.dumps(chunk)) for bucket, chunk in enumerate(self._pending) if chunk[0])
        with closing(self._files.open(self._number)) as file, file:
            file.executemany("INSERT INTO chunk VALUES (?, ?)", chunks)
        self._count = 0
        for subjects, entries in self._pending:
            subjects.clear()
            entries.clear()


def read_rows(files: Files, number: int, step: int) -> Iterator[Rows]:
    """Yield the subjects of every so many buckets, each with its messages and notes, each partition's in order."""
    for bucket in range(number, files.buckets, step):
        for subject, raws in sorted(_bucket(files, bucket).items()):
            entries = [marshal.loads(raw) for raw in raws]  # noqa: S302  our own file
            messages = sorted(Message._make(entry) for entry in entries if len(entry) != _NOTE_LENGTH)
            yield subject, messages, sorted(entry for entry in entries if len(entry) == _NOTE_LENGTH)


def _bucket(files: Files, bucket: int) -> Mapping[str, list[bytes]]:
    """Return what is there of each subject, still as bytes, which take least memory."""
    by_subject: defaultdict[str, list[bytes]] = defaultdict(list)
    for number in range(files.count):
        with closing(files.open(number)) as file:
            for (chunk,) in file.execute("SELECT content FROM chunk WHERE bucket = ? ORDER BY rowid", (bucket,)):
                for subject, entry in zip(*marshal.loads(chunk), strict=True):  # noqa: S302  our own file
                    by_subject[subject].append(entry)
    return by_subject
