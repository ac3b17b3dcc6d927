"""How many messages went where and how fast, second by second, in a view: of the last hour, from headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from sqlite3 import Connection
from typing import Any, Final, NamedTuple

from ensemble.clock import moment_of
from ensemble.kafka.client import TopicPlace, readable
from ensemble.operations.delays import delay_class, percentile
from ensemble.operations.values import Result
from ensemble.operations.view import Change, FoldRecord, RecordsByTopic, View

_HOUR_S: Final = 3_600
_MOST_IDS: Final = 100_000
"""So many messages back a cause is looked for: about 30 MB."""
_MOST_HOPS: Final = 10
TrafficEdge = tuple[str, str, str]
"""Sender, type and topic."""


class EdgeTraffic(Result):
    """The messages of one type that one sender wrote to one topic, in a time.

    The percentiles say how long after the message of another sender that caused them they were written, directly or
    through messages of their own sender, in milliseconds to a tenth: what that message waited, and what was done about
    it. They are None where no cause was seen.
    """

    sender: str
    type: str
    topic: str
    messages: int
    per_second: float = 0.0
    p50_ms: int | None = None
    p99_ms: int | None = None


class TrafficSecond(Result):
    """The messages of one edge in one second."""

    at: datetime | None
    messages: int


class TrafficBin(NamedTuple):
    """The messages of one edge from one second on, for as long as was asked for."""

    second: int
    """Epoch seconds."""
    sender: str
    type: str
    topic: str
    messages: int


class TrafficProjection:
    """Counts messages, and their delays behind their causes, by sender, type, topic and second.

    Nothing is decoded; rows older than an hour are dropped. Causes are remembered in memory alone: after a restart the
    delays of the first messages are missing.
    """

    name = "traffic"
    version = 3
    tables: Sequence[str] = ("traffic", "delays")
    max_age_s = float("inf")
    schema = """
        CREATE TABLE traffic (
            second INTEGER, sender TEXT, type TEXT, topic TEXT, count INTEGER, PRIMARY KEY (second, sender, type, topic)
        ) WITHOUT ROWID;
        CREATE TABLE delays (
            second INTEGER, sender TEXT, type TEXT, topic TEXT, class INTEGER, count INTEGER,
            PRIMARY KEY (second, sender, type, topic, class)
        ) WITHOUT ROWID
    """
    indexes = ""

    def __init__(self, topics: Collection[str]) -> None:
        """Take the topics whose messages are counted."""
        self._topics = frozenset(topics)
        self._written: dict[bytes, _Written] = {}

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [name for name in existing if name in self._topics]

    def begin(self, topic: str, now: int) -> int | None:  # noqa: ARG002  all topics alike
        return now - 1_000 * _HOUR_S

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        messages = [_message(topic, record) for topic, some in records.items() for record in some]
        self._remember(messages)
        counts = Counter(message.edge for message in messages)
        delays = Counter((*m.edge, cls) for m in messages if (cls := self._delay_class(m)) is not None)
        db.executemany(_ADD, ((*edge, count) for edge, count in counts.items()))
        db.executemany(_ADD_DELAY, ((*edge, count) for edge, count in delays.items()))
        newest = db.execute("SELECT MAX(second) FROM traffic").fetchone()[0] or 0
        for table in self.tables:
            db.execute(f"DELETE FROM {table} WHERE second <= ?", (newest - _HOUR_S,))
        return (Change(self.name, f"{sender} {kind} {topic}") for _, sender, kind, topic in counts)

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Keep the hour, also of records that the topics no longer have."""

    def _remember(self, messages: Sequence[_Message]) -> None:
        """Remember when messages were written; those that were remembered first are forgotten."""
        self._written.update((m.id, _Written(m.written_at, m.edge[1], m.causation_id)) for m in messages if m.id)
        for message_id in list(islice(self._written, max(len(self._written) - _MOST_IDS, 0))):
            del self._written[message_id]

    def _delay_class(self, message: _Message) -> int | None:
        """Return the class of the delay behind what another sender has written, None if that was not seen."""
        sender, cause = message.edge[1], self._written.get(message.causation_id)
        for _ in range(_MOST_HOPS):
            if cause is None or cause.sender != sender:
                break
            cause = self._written.get(cause.causation_id)
        return None if cause is None or cause.sender == sender else delay_class(message.written_at - cause.at)


class Traffic:
    """Answers what went where in a view that has the traffic's projection and was synced."""

    def __init__(self, view: View) -> None:
        self._view = view

    def edges(self, now: int, seconds: int = 60) -> tuple[EdgeTraffic, ...]:
        """Return the messages of each edge in the last seconds before `now` (epoch milliseconds), most first."""
        query = (
            "SELECT sender, type, topic, SUM(count) FROM traffic WHERE second > ? AND second <= ? "
            "GROUP BY sender, type, topic ORDER BY 4 DESC, 1, 2, 3"
        )
        with self._view.read() as db:
            rows = db.execute(query, (now // 1000 - seconds, now // 1000)).fetchall()
        delays = self.delays(now, seconds)
        return tuple(
            EdgeTraffic(
                sender=sender, type=kind, topic=topic, messages=count, per_second=round(count / seconds, 2),
                p50_ms=percentile(delays.get((sender, kind, topic), {}), 0.5),
                p99_ms=percentile(delays.get((sender, kind, topic), {}), 0.99),
            )
            for sender, kind, topic, count in rows
        )  # fmt: skip

    def delays(self, now: int, seconds: int = 60) -> dict[TrafficEdge, Counter[int]]:
        """Return how often each class of delay was seen on each edge in the last seconds before `now`.

        Counts of several edges can be added up; `percentile` makes milliseconds of them.
        """
        delays: dict[TrafficEdge, Counter[int]] = {}
        with self._view.read() as db:
            for sender, kind, topic, number, count in db.execute(_DELAYS, (now // 1000 - seconds, now // 1000)):
                delays.setdefault((sender, kind, topic), Counter())[number] = count
        return delays

    def bins(self, start: int, end: int, width: int) -> list[TrafficBin]:
        """Return the messages of all edges from one second (epoch) to before another, added up by `width` seconds."""
        query = (
            "SELECT second / :width * :width, sender, type, topic, SUM(count) FROM traffic "
            "WHERE second >= :start AND second < :end GROUP BY 1, 2, 3, 4"
        )
        with self._view.read() as db:
            return list(map(TrafficBin._make, db.execute(query, {"start": start, "end": end, "width": width})))

    def delay_bins(self, start: int, end: int, width: int) -> dict[tuple[int, str, str], Counter[int]]:
        """Return the delays by second, sender and type, for the same seconds as `bins`."""
        query = (
            "SELECT second / :width * :width, sender, type, class, SUM(count) FROM delays "
            "WHERE second >= :start AND second < :end GROUP BY 1, 2, 3, 4"
        )
        delays: dict[tuple[int, str, str], Counter[int]] = {}
        with self._view.read() as db:
            for second, sender, kind, number, count in db.execute(query, {"start": start, "end": end, "width": width}):
                delays.setdefault((second, sender, kind), Counter())[number] = count
        return delays

    def latest(self, since: int) -> dict[tuple[int, str, str, str], int]:
        """Return the messages by second, sender, type and topic, from a second (epoch) on."""
        with self._view.read() as db:
            rows = db.execute("SELECT second, sender, type, topic, count FROM traffic WHERE second >= ?", (since,))
            return {(second, sender, kind, topic): count for second, sender, kind, topic, count in rows}

    def seconds(self, sender: str, kind: str, topic: str) -> tuple[TrafficSecond, ...]:
        """Return the seconds of the last hour in which messages went over an edge, the oldest first."""
        query = "SELECT second, count FROM traffic WHERE sender = ? AND type = ? AND topic = ? ORDER BY second"
        with self._view.read() as db:
            rows = db.execute(query, (sender, kind, topic)).fetchall()
        return tuple(TrafficSecond(at=moment_of(1000 * second), messages=count) for second, count in rows)


_ADD: Final = "INSERT INTO traffic VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"


_ADD_DELAY: Final = (
    "INSERT INTO delays VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
)
_DELAYS: Final = (
    "SELECT sender, type, topic, class, SUM(count) FROM delays WHERE second > ? AND second <= ? "
    "GROUP BY sender, type, topic, class"
)


class _Written(NamedTuple):
    """What is remembered of a message: when and by whom it was written, and because of which one."""

    at: int
    sender: str
    causation_id: bytes


class _Message(NamedTuple):
    """What the headers of a record say."""

    edge: tuple[int, str, str, str]
    """Second, sender, type and topic."""
    written_at: int
    id: bytes
    causation_id: bytes


def _message(topic: str, record: FoldRecord) -> _Message:
    """Read the headers; a record without any was written by an unknown sender."""
    headers = dict(readable(record).headers() or ())  # type: ignore[arg-type]  # the client's, or a double of it
    sender, kind = _text(headers.get("ce_source")).rpartition("/")[2], _text(headers.get("ce_type")).rpartition(".")[2]
    at = record.timestamp()[1]
    ids = bytes(headers.get("ce_id") or b""), bytes(headers.get("ce_causationid") or b"")
    return _Message((at // 1000, sender, kind, topic), at, *ids)


def _text(value: Any) -> str:
    return bytes(value or b"").decode(errors="replace")
