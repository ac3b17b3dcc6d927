"""How many messages went where, second by second, in a view: of the last hour, from headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any, Final

from ensemble.clock import moment_of
from ensemble.kafka.client import TopicPlace, readable
from ensemble.operations.values import Result
from ensemble.operations.view import Change, FoldRecord, RecordsByTopic, View

_HOUR_S: Final = 3_600


class EdgeTraffic(Result):
    """The messages of one type that one sender wrote to one topic, in a time."""

    sender: str
    type: str
    topic: str
    messages: int


class TrafficSecond(Result):
    """The messages of one edge in one second."""

    at: datetime | None
    messages: int


class TrafficProjection:
    """Counts messages by sender, type, topic and second. Nothing is decoded; rows older than an hour are dropped."""

    name = "traffic"
    version = 1
    tables: Sequence[str] = ("traffic",)
    max_age_s = float("inf")
    history_ms: int | None = 1_000 * _HOUR_S
    schema = """
        CREATE TABLE traffic (
            second INTEGER, sender TEXT, type TEXT, topic TEXT, count INTEGER, PRIMARY KEY (second, sender, type, topic)
        ) WITHOUT ROWID
    """
    indexes = ""

    def __init__(self, topics: Collection[str]) -> None:
        """Take the topics whose messages are counted."""
        self._topics = frozenset(topics)

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [name for name in existing if name in self._topics]

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        counts = Counter(_edge(topic, record) for topic, some in records.items() for record in some)
        db.executemany(_ADD, ((*edge, count) for edge, count in counts.items()))
        newest = db.execute("SELECT MAX(second) FROM traffic").fetchone()[0] or 0
        db.execute("DELETE FROM traffic WHERE second <= ?", (newest - _HOUR_S,))
        return (Change(self.name, f"{sender} {kind} {topic}") for _, sender, kind, topic in counts)

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Keep the hour, also of records that the topics no longer have."""


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
        return tuple(EdgeTraffic(**dict(zip(EdgeTraffic.model_fields, row, strict=True))) for row in rows)

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


def _edge(topic: str, record: FoldRecord) -> tuple[int, str, str, str]:
    """Return second, sender, type and topic; a record without headers was written by an unknown sender."""
    headers = dict(readable(record).headers() or ())  # type: ignore[arg-type]  # the client's, or a double of it
    sender, kind = _text(headers.get("ce_source")).rpartition("/")[2], _text(headers.get("ce_type")).rpartition(".")[2]
    return record.timestamp()[1] // 1000, sender, kind, topic


def _text(value: Any) -> str:
    return bytes(value or b"").decode(errors="replace")
