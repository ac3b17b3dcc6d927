"""All that was read, in files of its own: written in the order of reading, read order by order.

Subjects are spread over buckets by a hash. A file holds chunks, each a few entries of one bucket; a bucket is so small
that it is read as a whole, and each one is judged by itself, in whichever process.
"""

from __future__ import annotations

import marshal
import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from zlib import crc32

from verifier.facts import Message, Position, Raw
from verifier.flow import EXTERNAL_TOPICS

STATE, KEPT, BOOKING, WAITED, RAW = range(5)
"""The sorts of notes: the order state, another changelog, the provider, what waits or waited, a dead letter's bytes."""
NO_ORDER: Final = "\0"
"""Before the subject of what is about no order: no order is called so."""
_PENDING: Final = 20_000
"""So many entries are written at once."""
_NOTE_LENGTH: Final = 6
_ID: Final = Message._fields.index("message_id")
_SIZE_BYTES: Final = 4
"""Before a chunk: `marshal` would read a file byte by byte."""

Note = tuple[int, str, int, int, int, Any]
"""Sort, topic, partition, offset, time, and content: bytes of a state, or plain values."""
Rows = tuple[str, list[Message], list[Note]]
"""A subject with its messages and notes."""
Chunk = tuple[list[str], list[bytes], list[int]]
"""Some of a bucket: subjects, for each a message or a note as bytes, and numbers of ids that must be unique."""


@dataclass(frozen=True)
class Files:
    """Where the entries lie: a file for each process that reads records."""

    directory: Path
    count: int
    buckets: int

    @property
    def paths(self) -> list[Path]:
        return [self.directory / f"{number}.chunks" for number in range(self.count)]


class Storage(AbstractContextManager["Storage"]):
    """Takes what one process reads, by subject: an order's id, or what stands for one."""

    def __init__(self, files: Files, number: int) -> None:
        self._path, self._buckets = files.paths[number], files.buckets
        self._file = self._path.open("wb")
        self._places = [array("Q") for _ in range(files.buckets)]
        self._pending: list[Chunk] = [([], [], []) for _ in range(files.buckets)]
        self._count = self._bookings = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
            _index_of(self._path).write_bytes(marshal.dumps(self._places))
        self._file.close()

    def add_message(self, subject: str, message: tuple[Any, ...]) -> None:
        """Add a message, as the plain values of its fields."""
        if message[0] not in EXTERNAL_TOPICS:
            number = _number_of(message[_ID])
            self._pending[number % self._buckets][2].append(number)
        self._add(subject, message)

    def add_note(self, subject: str, note: Note) -> None:
        """Add what else is known of a subject."""
        self._add(subject, note)

    def _add(self, subject: str, entry: tuple[Any, ...]) -> None:
        subjects, entries, _ = self._pending[crc32(subject.encode()) % self._buckets]
        subjects.append(subject)
        entries.append(marshal.dumps(entry))
        self._count += 1
        if self._count >= _PENDING:
            self._flush()

    def add_booking(self, order_id: str, at: int, content: tuple[Any, ...]) -> None:
        """Add an entry of the provider's ledger, behind those before."""
        self._bookings += 1
        self.add_note(order_id, (BOOKING, "", 0, self._bookings, at, content))

    def add_raw(self, position: Position, raw: Raw, source: Position) -> None:
        """Keep the bytes of a dead letter, or of the record that it was: that is their subject."""
        self.add_note(f"{NO_ORDER}{source}", (RAW, *position, 0, tuple(raw)))

    def _flush(self) -> None:
        for places, chunk in zip(self._places, self._pending, strict=True):
            if any(chunk):
                places.append(self._file.tell())
                raw = marshal.dumps(chunk)
                self._file.write(len(raw).to_bytes(_SIZE_BYTES) + raw)
                for part in chunk:
                    part.clear()
        self._count = 0


class Archive(AbstractContextManager["Archive"]):
    """Reads what all storages have taken. One process goes through some of the buckets, and looks up in all."""

    def __init__(self, files: Files, number: int) -> None:
        self._own_buckets = range(number, files.buckets, files.count)
        self._open = ExitStack()
        self._files = [self._open.enter_context(path.open("rb")) for path in files.paths]
        self._places = [_read_index(path) for path in files.paths]
        self._repeated: list[int] = []
        self._by_id: sqlite3.Connection | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()
        if self._by_id is not None:
            self._by_id.close()

    def cases(self) -> Iterator[Rows]:
        """Yield each subject of the own buckets with its messages and notes, each topic's and partition's in order."""
        for bucket in self._own_buckets:
            for subject, raws in sorted(self._bucket(bucket).items()):
                messages: list[Message] = []
                notes: list[Note] = []
                for entry in map(marshal.loads, raws):
                    if len(entry) == _NOTE_LENGTH:
                        notes.append(entry)
                    else:
                        messages.append(Message._make(entry))
                messages.sort()
                notes.sort()
                yield subject, messages, notes

    def _bucket(self, bucket: int) -> Mapping[str, list[bytes]]:
        """Return what is there of each subject, still as bytes, which take least memory; look at the ids meanwhile."""
        by_subject: defaultdict[str, list[bytes]] = defaultdict(list)
        ids: list[int] = []
        for file, places in enumerate(self._places):
            for place in places[bucket]:
                subjects, entries, some_ids = self._chunk(file, place)
                for subject, entry in zip(subjects, entries, strict=True):
                    by_subject[subject].append(entry)
                ids += some_ids
        if len(set(ids)) < len(ids):
            self._repeated += (number for number, count in Counter(ids).items() if count > 1)
        return by_subject

    def _chunk(self, file: int, place: int) -> Chunk:
        opened = self._files[file]
        opened.seek(place)
        chunk: Chunk = marshal.loads(opened.read(int.from_bytes(opened.read(_SIZE_BYTES))))  # noqa: S302  our own file
        return chunk

    def _messages(self, file: int, place: int) -> Iterator[Message]:
        entries = map(marshal.loads, self._chunk(file, place)[1])
        return (Message._make(entry) for entry in entries if len(entry) != _NOTE_LENGTH)

    def with_id(self, message_id: str) -> list[Message]:
        """Return all messages with this id; the first question makes an index."""
        return [each for each in self._with_number(_number_of(message_id)) if each.message_id == message_id]

    def _with_number(self, number: int) -> list[Message]:
        if self._by_id is None:
            self._by_id = self._index()
        chunks = self._by_id.execute("SELECT DISTINCT file, place FROM ids WHERE id = ?", (number,)).fetchall()
        messages = (message for at in chunks for message in self._messages(*at))
        return sorted(each for each in messages if _number_of(each.message_id) == number)

    def _index(self) -> sqlite3.Connection:
        """Return in which chunks each id is, from a file that goes with its connection."""
        index = sqlite3.connect("", isolation_level=None)
        index.execute("CREATE TABLE ids (id INTEGER, file INTEGER, place INTEGER)")
        for file, buckets in enumerate(self._places):
            for place in (place for places in buckets for place in places):
                rows = ((_number_of(message.message_id), file, place) for message in self._messages(file, place))
                index.executemany("INSERT INTO ids VALUES (?, ?, ?)", rows)
        index.execute("CREATE INDEX ids_by_id ON ids (id)")
        return index

    def repeated_ids(self) -> Iterator[Message]:
        """Yield each message whose id an earlier one on its topic has, in the buckets that `cases` has gone through.

        Topics that outsiders write to are left out.
        """
        for number in self._repeated:
            seen: set[tuple[str, str]] = set()
            for message in self._with_number(number):
                identity = message.topic, message.message_id
                if identity in seen and message.topic not in EXTERNAL_TOPICS:
                    yield message
                seen.add(identity)


def _index_of(path: Path) -> Path:
    return path.with_suffix(".index")


def _read_index(path: Path) -> list[array[int]]:
    """Return where the chunks of each bucket lie in a file."""
    places = marshal.loads(_index_of(path).read_bytes())  # noqa: S302  a file of our own
    return [array("Q", raw) for raw in places]


def _number_of(message_id: str) -> int:
    """Return a number of 60 bits for an id; those of services are 32 hexadecimal digits as random as a hash."""
    try:
        return int(message_id[:15], 16)
    except ValueError:
        return int(blake2b(message_id.encode(), digest_size=7).hexdigest(), 16)
