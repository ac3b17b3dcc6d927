"""A view: projections over topics, read on to their ends whenever somebody asks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from typing import Final, Self

from ensemble.clock import moment_of
from ensemble.kafka.client import TopicPlace
from ensemble.kafka.errors import ClusterError
from ensemble.operations.errors import Unreachable
from ensemble.operations.outgoing import now
from ensemble.operations.values import Result
from ensemble.operations.view.feed import Change, Feed
from ensemble.operations.view.projection import FoldRecord, Projection
from ensemble.operations.view.source import Source, SourceReader
from ensemble.operations.view.storage import Storage, is_damage, set_offsets

OnProgress = Callable[[int, int], None]
"""Called with how many records are done, and of about how many."""

_FORMAT: Final = 1
"""Another number builds the rows of all projections anew."""
_CHUNK: Final = 4_000
_POLL_S: Final = 0.2
_STALL_S: Final = 60.0
_SETTLE_S: Final = 5.0
"""How long transactions that are open at the ends are waited for."""


class Synced(Result):
    """How far a view is: everything that was committed at `as_of` is in it.

    It is not current if another process writes the file; then it is as that process last left it, and `as_of` is None
    if it has never been complete.
    """

    as_of: datetime | None
    is_current: bool


@dataclass
class _Reading:
    """A projection with the partitions that it reads, and the next offset of each."""

    projection: Projection
    offsets: dict[TopicPlace, int]
    identity: str
    starts: dict[TopicPlace, int]
    topics: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.topics = frozenset(topic for topic, _ in self.offsets)


class View:
    """Rows of some projections, in a file or in memory; use it in a `with`.

    `sync` reads on from where the file is, so it is cheap to ask again. Rows and offsets are written in one
    transaction: a process that ends at any time, or a chunk that fails, loses and repeats nothing. Any thread may
    sync, and read meanwhile.
    """

    def __init__(
        self,
        source: Source,
        projections: Sequence[Projection],
        path: Path | None = None,
        *,
        stall_s: float = _STALL_S,
        chunk: int = _CHUNK,
    ) -> None:
        """Open the file; nothing is read yet. Raises Unreachable if it cannot be used."""
        self._source, self._projections = source, tuple(projections)
        self._storage = Storage(path)
        self._stall_s, self._chunk = stall_s, chunk
        self._lock = threading.Lock()
        self._reader: SourceReader | None = None
        self._readings: list[_Reading] = []
        self.feed = Feed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and the consumer."""
        with self._lock:
            self._stop_reading()
            self._storage.close()

    def sync(self, on_progress: OnProgress | None = None) -> Synced:
        """Read on to the ends that the topics have now, and return how far the view is.

        What one Kafka transaction wrote to several partitions is in the view as a whole.

        A damaged file is built anew. Raises Unreachable if the cluster does not answer, if no record comes for
        `stall_s`, or if the file cannot be written.
        """
        with self._lock:
            if not self._storage.acquire():
                return Synced(as_of=self.as_of(), is_current=False)
            try:
                as_of = now()
                self._read_on_or_anew(as_of, on_progress)
            except ClusterError as error:
                self._stop_reading()
                raise Unreachable(str(error)) from None
            except BaseException:
                self._stop_reading()
                raise
            finally:
                self._storage.release()
            return Synced(as_of=moment_of(as_of), is_current=True)

    def is_filled(self) -> bool:
        """Return whether its rows are there and still right: a sync would only read what came since.

        No record is read, and nothing is written. Raises ClusterError if the cluster does not answer.
        """
        try:
            return self.as_of() is not None and all(
                self._is_right(projection, identity, self._source.starts(places), now())
                for projection, identity, places in self._identities()
            )
        except DatabaseError:  # what is damaged will be built anew
            return False

    def as_of(self) -> datetime | None:
        """Return what was committed when is in all rows; None as long as some are being read for the first time."""
        times = [self._storage.as_of(projection.name) for projection in self._projections]
        return None if None in times or not times else moment_of(min(at for at in times if at is not None))

    def offsets(self, projection: str) -> dict[TopicPlace, int]:
        """Return the next offset of each partition that a projection reads; rows read afterwards are no older."""
        return self._storage.offsets_of(projection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection to query the tables with, for one answer. Raises Unreachable if the file cannot be read."""
        with self._storage.answering(), self._storage.reading() as db:
            yield db

    # -- reading on -----------------------------------------------------------------------------------------------

    def _read_on_or_anew(self, as_of: int, on_progress: OnProgress | None) -> None:
        """Read on from where the file is, or all of it again if the file turns out to be damaged."""
        with self._storage.answering():
            try:
                self._read_on(as_of, on_progress)
            except DatabaseError as error:
                if not is_damage(error):
                    raise
                self._stop_reading()
                self._storage.replace()
                self._read_on(as_of, on_progress)

    def _read_on(self, as_of: int, on_progress: OnProgress | None) -> None:
        self._readings = self._plan(as_of)
        offsets = _least(self._readings)
        ends = self._source.ends(list(offsets))
        reader = self._reader_at(offsets)
        behind = {place: end for place, end in ends.items() if end > reader.positions[place]}
        total, missing = sum(end - reader.positions[place] for place, end in behind.items()), 0
        for _ in self._chunks(reader, behind):
            if on_progress:
                missing = sum(max(end - reader.positions[place], 0) for place, end in behind.items())
                on_progress(total - missing, total)
        settled = self._source.high_watermarks(list(offsets))
        for _ in self._chunks(reader, settled, limit_s=_SETTLE_S):
            pass
        for reading in self._readings:
            self._storage.finish(reading.projection, reading.identity, as_of, reading.starts)

    def _plan(self, now: int) -> list[_Reading]:
        """Return where each projection reads on, after those were emptied whose rows are no longer right."""
        return [self._reading(*each, now) for each in self._identities()]

    def _identities(self) -> Iterator[tuple[Projection, dict[str, object], list[TopicPlace]]]:
        """Yield each projection with what its rows would be made from now."""
        existing, cluster = self._source.topics(), self._source.cluster_id()
        names = {p.name: sorted(p.topics(existing)) for p in self._projections}
        ids = self._source.topic_ids(sorted({topic for topics in names.values() for topic in topics}))
        for projection in self._projections:
            topics = names[projection.name]
            identity: dict[str, object] = {
                "view": [_FORMAT, projection.version, cluster],
                "topics": {t: ids[t] for t in topics},
            }
            places = [(topic, partition) for topic in topics for partition in range(existing[topic])]
            yield projection, identity, places

    def _reading(
        self, projection: Projection, identity: dict[str, object], places: list[TopicPlace], now: int
    ) -> _Reading:
        starts, text = self._source.starts(places), json.dumps(identity)
        stored = self._storage.offsets_of(projection.name)
        if not self._is_right(projection, identity, starts, now):
            self._storage.rebuild(projection, text)
            stored = {}
        fresh = [place for place in places if place not in stored]
        begin = starts | self._begin(projection, fresh, now)
        return _Reading(projection, {place: stored.get(place, begin[place]) for place in places}, text, starts)

    def _begin(self, projection: Projection, fresh: Sequence[TopicPlace], now: int) -> dict[TopicPlace, int]:
        """Return where to begin with the partitions of which not all is read."""
        times = {place: projection.begin(place[0], now) for place in fresh}
        begin: dict[TopicPlace, int] = {}
        for at in {at for at in times.values() if at is not None}:
            begin |= self._source.offsets_at([place for place in fresh if times[place] == at], at)
        return begin

    def _is_right(
        self, projection: Projection, identity: Mapping[str, object], starts: Mapping[TopicPlace, int], now: int
    ) -> bool:
        stored = self._storage.offsets_of(projection.name)
        return self._is_usable(projection, identity, now) and self._is_in_range(stored, starts)

    def _is_usable(self, projection: Projection, identity: Mapping[str, object], now: int) -> bool:
        """Return whether the rows are those of this cluster, its topics and this release, and not too old."""
        text, as_of = self._storage.identity_of(projection.name), self._storage.as_of(projection.name)
        if text is None or (as_of is not None and now - as_of > 1000 * projection.max_age_s):
            return False
        before, topics = json.loads(text), identity["topics"]
        assert isinstance(topics, dict)
        return bool(before["view"] == identity["view"]) and all(
            topics.get(topic) == topic_id for topic, topic_id in before["topics"].items()
        )

    def _is_in_range(self, stored: Mapping[TopicPlace, int], starts: Mapping[TopicPlace, int]) -> bool:
        """Return whether every partition still has what comes next, or has come to the very offset."""
        if not all(place in starts for place in stored):
            return False
        if any(offset < starts[place] for place, offset in stored.items()):
            return False
        ends = self._source.high_watermarks(list(stored)) if stored else {}
        return all(offset <= ends[place] for place, offset in stored.items())

    def _reader_at(self, offsets: Mapping[TopicPlace, int]) -> SourceReader:
        """Return the reader that stands at these offsets: the one of the last sync, if nothing came between."""
        if self._reader is not None and self._reader.positions == offsets:
            return self._reader
        self._stop_reading()
        self._reader = self._source.reader()
        self._reader.start(offsets)
        return self._reader

    def _stop_reading(self) -> None:
        if self._reader is not None:
            with suppress(RuntimeError):  # it is closed already
                self._reader.close()
            self._reader = None

    def _chunks(self, reader: SourceReader, ends: Mapping[TopicPlace, int], limit_s: float = inf) -> Iterator[None]:
        """Fold chunk after chunk until the ends are reached, or the time is up."""
        records: list[FoldRecord] = []
        began = moved_at = time.monotonic()
        before = dict(reader.positions)
        while (behind := reader.behind(ends)) and time.monotonic() - began <= limit_s:
            records += reader.fetch(_POLL_S)
            if reader.positions != before:
                moved_at, before = time.monotonic(), dict(reader.positions)
            elif time.monotonic() - moved_at > self._stall_s:
                raise Unreachable(f"nothing came for {self._stall_s:g} s while reading {behind[0][0]}; is Kafka up?")
            if len(records) >= self._chunk:
                self._fold(records, reader.positions)
                records = []
                yield
        self._fold(records, reader.positions)
        yield

    def _fold(self, records: Sequence[FoldRecord], positions: Mapping[TopicPlace, int]) -> None:
        changes: list[Change] = []
        by_topic: dict[str, list[FoldRecord]] = {}
        for record in records:
            by_topic.setdefault(record.topic() or "", []).append(record)
        with self._storage.writing() as db:
            for reading in self._readings:
                changed = reading.projection.fold(db, _fresh(by_topic, reading))
                changes += changed if self.feed.has_subscribers else ()
                moved = {p: positions[p] for p, offset in reading.offsets.items() if positions[p] > offset}
                set_offsets(db, reading.projection.name, moved)
        for reading in self._readings:
            reading.offsets |= {p: positions[p] for p, offset in reading.offsets.items() if positions[p] > offset}
        self.feed.publish(changes)


def _fresh(by_topic: Mapping[str, list[FoldRecord]], reading: _Reading) -> dict[str, list[FoldRecord]]:
    """Return the records that a projection has not seen: another one of the view may be further behind."""
    offsets, fresh = reading.offsets, {}
    for topic in reading.topics & by_topic.keys():
        records = by_topic[topic]
        fresh[topic] = [r for r in records if (r.offset() or 0) >= offsets[topic, r.partition() or 0]]
    return fresh


def _least(readings: Sequence[_Reading]) -> dict[TopicPlace, int]:
    least: dict[TopicPlace, int] = {}
    for reading in readings:
        for place, offset in reading.offsets.items():
            least[place] = min(offset, least.get(place, offset))
    return least
