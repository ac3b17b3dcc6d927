"""A projection for the tests of views: the last value of each key, and a count of events, which shows a repetition."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from ensemble.kafka.client import TopicPlace
from ensemble.operations.view import Change, RecordsByTopic, View


class LatestValues:
    """Keeps the last value of each key of the states, and how many events each key had."""

    tables: Sequence[str] = ("latest", "counts")
    max_age_s = 3600.0
    schema = "CREATE TABLE latest (key PRIMARY KEY, value); CREATE TABLE counts (key PRIMARY KEY, n)"
    indexes = "CREATE INDEX IF NOT EXISTS by_value ON latest (value)"

    def __init__(
        self,
        states: str = "shop.states",
        events: str = "shop.events",
        *,
        version: int = 1,
        history_ms: int | None = None,
    ) -> None:
        self.name, self.version, self.history_ms = "latest", version, history_ms
        self.states, self.events = states, events
        self.fails_at = -1
        self.expired_before: dict[TopicPlace, int] = {}

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [topic for topic in (self.states, self.events) if topic in existing]

    def begin(self, topic: str, now: int) -> int | None:
        return None if self.history_ms is None or topic != self.events else now - self.history_ms

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        last = {record.key(): record.value() for record in records.get(self.states, ())}
        for key, value in last.items():
            db.execute("DELETE FROM latest WHERE key = ?", (key,))
            if value is not None:
                db.execute("INSERT INTO latest VALUES (?, ?)", (key, value))
        for record in records.get(self.events, ()):
            db.execute("INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (record.key(),))
        self.fails_at -= 1
        if self.fails_at == 0:
            raise RuntimeError("the process ends here")
        return [Change(self.name, key.decode()) for key in last]

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        self.expired_before = dict(starts)


def rows(view: View) -> tuple[list[Any], list[Any]]:
    with view.read() as db:
        return (
            db.execute("SELECT key, value FROM latest ORDER BY key").fetchall(),
            db.execute("SELECT key, n FROM counts ORDER BY key").fetchall(),
        )
