"""Dead letters and parked keys of all services, in a view: what failed, why, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any, Final

from ensemble.clock import moment_of
from ensemble.errors import UndecodableRecord
from ensemble.kafka.client import TopicPlace
from ensemble.messages import GenericDecoder
from ensemble.operations.dead_letter import OPEN, Status, group_of, normalise
from ensemble.operations.dead_letter_filter import DeadLetterFilter
from ensemble.operations.errors import NotFound
from ensemble.operations.service_topics import DEAD_LETTER, PARKED
from ensemble.operations.values import Position, Result
from ensemble.operations.view import FROM_ITS_BEGINNING, SQLITE_LIMIT, Change, FoldRecord, RecordsByTopic, View
from ensemble.state import KeyState, PauseState, RecordState, ResolutionState, describe_state_key
from ensemble.system_messages import DeadLetter

_OPEN: Final = tuple(sorted(OPEN))
_NO_LIMIT: Final = -1
"""What SQLite takes for none."""


class DeadLetterSummary(Result):
    """One dead letter. `waiting` records of its key wait behind it; an operator has decided it, if `decided_by`."""

    position: Position
    service: str
    origin: Position
    type: str
    key: str
    parking_key: str
    failed_at: datetime | None
    status: Status
    waiting: int
    error: str
    message: str
    handler: str
    stage: str
    attempts: int | None
    generation: int
    group: str
    decided_by: str | None
    decided_because: str | None
    decided_at: datetime | None


class DeadLetterGroup(Result):
    """The dead letters of one cause."""

    group: str
    service: str
    handler: str
    error: str
    message: str
    count: int
    open: int
    oldest: datetime | None
    newest: datetime | None


class ParkedKeySummary(Result):
    """A key whose records wait behind one that failed."""

    service: str
    partition: int
    key: str
    status: str
    depth: int
    since: datetime | None
    head: str
    attempts: int
    next_attempt_at: datetime | None
    blocked_on: str
    error: str
    message: str
    handler: str
    policy: str


class FailureTotals(Result):
    """How much of one service waits for an operator, or for a next attempt."""

    dead_letters: int = 0
    """Those that an operator may still decide on."""
    parked_keys: int = 0
    parked_records: int = 0


class FailuresProjection:
    """Folds dead letters, and what services keep of parked keys, pauses and operators' decisions."""

    name = "failures"
    version = 1
    tables: Sequence[str] = ("dead_letters", "parked_keys", "parked_records", "resolutions", "pauses")
    max_age_s = 20 * 3600.0
    schema = """
        CREATE TABLE dead_letters (
            service TEXT, partition INTEGER, offset INTEGER, type TEXT, key TEXT, parking_key BLOB, parking_name TEXT,
            origin_topic TEXT, origin_partition INTEGER, origin_offset INTEGER, generation INTEGER, failed_at INTEGER,
            error TEXT, message TEXT, handler TEXT, stage TEXT, attempts INTEGER, disposition TEXT, cause TEXT,
            general TEXT, PRIMARY KEY (service, partition, offset)
        ) WITHOUT ROWID;
        CREATE TABLE parked_keys (
            service TEXT, partition INTEGER, key BLOB, status TEXT, first INTEGER, next INTEGER, since INTEGER,
            due_at INTEGER, attempts INTEGER, error TEXT, message TEXT, handler TEXT, policy TEXT, blocked_on TEXT,
            PRIMARY KEY (service, partition, key)
        ) WITHOUT ROWID;
        CREATE TABLE parked_records (
            service TEXT, partition INTEGER, key BLOB, number INTEGER, origin_topic TEXT, origin_partition INTEGER,
            origin_offset INTEGER, type TEXT, state_offset INTEGER, PRIMARY KEY (service, partition, key, number)
        ) WITHOUT ROWID;
        CREATE TABLE resolutions (
            service TEXT, partition INTEGER, key BLOB, origin_topic TEXT, origin_partition INTEGER,
            origin_offset INTEGER, generation INTEGER, how TEXT, requested_by TEXT, reason TEXT, at INTEGER,
            PRIMARY KEY (service, partition, key, origin_topic, origin_partition, origin_offset, generation)
        ) WITHOUT ROWID;
        CREATE TABLE pauses (
            service TEXT, partition INTEGER, scope TEXT, name TEXT, operation_id TEXT, requested_by TEXT, reason TEXT,
            at INTEGER, PRIMARY KEY (service, partition, scope, name)
        ) WITHOUT ROWID
    """
    indexes = """
        CREATE INDEX IF NOT EXISTS dead_letters_time ON dead_letters (failed_at);
        CREATE INDEX IF NOT EXISTS dead_letters_cause ON dead_letters (cause, failed_at);
        CREATE INDEX IF NOT EXISTS dead_letters_key ON dead_letters (key);
        CREATE INDEX IF NOT EXISTS dead_letters_parked ON dead_letters (parking_name)
    """

    def __init__(self, decoder: GenericDecoder, since: int | None = None) -> None:
        """Take a decoder of the runtime's own records and of the application's messages.

        With `since` (epoch milliseconds) older dead letters are left out, in a view that is not kept.
        """
        self._decoder, self._since = decoder, since

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [name for name in existing if name.endswith((DEAD_LETTER, PARKED))]

    def begin(self, topic: str, now: int) -> int | None:  # noqa: ARG002  a time is given, or none
        return self._since if topic.endswith(DEAD_LETTER) else FROM_ITS_BEGINNING

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        changes: list[Change] = []
        for topic, some in records.items():
            if topic.endswith(DEAD_LETTER):
                rows = [self._letter_row(topic.removesuffix(DEAD_LETTER), record) for record in some]
                db.executemany(f"INSERT OR REPLACE INTO dead_letters VALUES ({_marks(20)})", rows)
                changes += (Change(self.name, row[4]) for row in rows)
            else:
                latest = {(record.partition(), record.key()): record for record in some}
                for record in latest.values():
                    changes += self._fold_state(db, topic.removesuffix(PARKED), record)
        return changes

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        letters = {place: start for place, start in starts.items() if place[0].endswith(DEAD_LETTER)}
        rows = [(topic.removesuffix(DEAD_LETTER), partition, start) for (topic, partition), start in letters.items()]
        db.executemany("DELETE FROM dead_letters WHERE service = ? AND partition = ? AND offset < ?", rows)

    def _letter_row(self, service: str, record: FoldRecord) -> tuple[Any, ...]:
        letter = DeadLetter.of(record)
        name, key = self._type_of(letter), (letter.key or b"").decode(errors="replace")
        failed_at = letter.failed_at if letter.failed_at is not None else record.timestamp()[1]
        general = normalise(letter.message, (key, letter.parking_name))
        topic, partition, offset = letter.origin
        cause = group_of(service, letter.handler, letter.exception, general)
        return (
            service, record.partition(), record.offset(), name, key, letter.parking_key, letter.parking_name,
            topic, _int64(partition), _int64(offset), len(letter.lineage), failed_at, letter.exception,
            letter.message, letter.handler, letter.stage, _int64(letter.attempts), letter.disposition or "skip", cause,
            general,
        )  # fmt: skip

    def _type_of(self, letter: DeadLetter) -> str:
        """Return the message type; of an unreadable record the one that its headers claim."""
        if letter.value is None:
            return "(tombstone)"
        try:
            return self._decoder.name_of(letter.value).rpartition(".")[2]
        except UndecodableRecord:
            return letter.text("ce_type").rpartition(".")[2] or "(unreadable)"

    def _fold_state(self, db: Connection, service: str, record: FoldRecord) -> Iterator[Change]:
        place, at = describe_state_key(record.key() or b""), (service, record.partition())
        if place is None:
            return
        table, columns, key = _PLACES[type(place)](place)
        where = " AND ".join(f"{name} = ?" for name in ("service", "partition", *columns))
        db.execute(f"DELETE FROM {table} WHERE {where}", (*at, *key))
        if record.value() is not None:
            fields = self._decoder.decode(record.value()).fields
            row = (*at, *key, *_ROWS[type(place)](fields, record.offset()))
            db.execute(f"INSERT INTO {table} VALUES ({_marks(len(row))})", row)
        yield Change(self.name, str(key[0] if isinstance(key[0], str) else key[0].decode(errors="backslashreplace")))


class Failures:
    """Answers questions about the dead letters and parked keys of a view."""

    def __init__(self, view: View) -> None:
        """Take a view that has the failures' projection; whoever asks has it synced before."""
        self._view = view

    def list(self, which: DeadLetterFilter, limit: int | None = None, offset: int = 0) -> tuple[DeadLetterSummary, ...]:
        """Return the dead letters that match, the newest first; all of them without a limit."""
        where, parameters = _condition(which)
        query = f"{_STATUS} WHERE {where} ORDER BY failed_at DESC, service, partition, offset DESC LIMIT ? OFFSET ?"
        with self._view.read() as db:
            return tuple(map(_summary, db.execute(query, [*parameters, _NO_LIMIT if limit is None else limit, offset])))

    def get(self, position: Position) -> DeadLetterSummary:
        """Return the dead letter at a position. Raises NotFound."""
        query = f"{_STATUS} WHERE service = ? AND partition = ? AND offset = ?"
        at = position.topic.removesuffix(DEAD_LETTER), position.partition, position.offset
        with self._view.read() as db:
            row = db.execute(query, at).fetchone()
        if row is None:
            raise NotFound(f"no dead letter at {position}", subject=str(position))
        return _summary(row)

    def groups(self, which: DeadLetterFilter) -> tuple[DeadLetterGroup, ...]:
        """Return the causes of the dead letters that match, the one with most first."""
        where, parameters = _condition(which)
        query = (
            "SELECT cause, service, handler, error, general, COUNT(*), "
            f"SUM(status IN {_OPEN}), MIN(failed_at), MAX(failed_at) FROM ({_STATUS} WHERE {where}) "
            "GROUP BY cause ORDER BY 6 DESC, 1"
        )
        with self._view.read() as db:
            return tuple(map(_group, db.execute(query, parameters)))

    def totals(self) -> dict[str, FailureTotals]:
        """Return how much waits, by service; services of which nothing does are left out."""
        with self._view.read() as db:
            letters = dict(db.execute(f"SELECT service, SUM(status IN {_OPEN}) FROM ({_STATUS}) GROUP BY service"))
            parked = {row[0]: row[1:] for row in db.execute(_PARKED_TOTALS)}
        totals = {}
        for service in letters.keys() | parked.keys():
            keys, records = parked.get(service, (0, 0))
            totals[service] = FailureTotals(
                dead_letters=letters.get(service, 0), parked_keys=keys, parked_records=records
            )
        return totals

    def bins(self, start: int, end: int, width: int) -> dict[int, int]:
        """Return the number of dead letters by the second (epoch) from which on, added up by `width` seconds.

        Those are counted that failed from `start` to before `end`, whatever became of them.
        """
        query = (
            "SELECT failed_at / 1000 / :width * :width, COUNT(*) FROM dead_letters "
            "WHERE failed_at >= 1000 * :start AND failed_at < 1000 * :end GROUP BY 1"
        )
        with self._view.read() as db:
            return dict(db.execute(query, {"start": start, "end": end, "width": width}).fetchall())

    def causes(self) -> frozenset[str]:
        """Return the groups of all dead letters, whatever became of them."""
        return self._values("cause")

    def types(self) -> frozenset[str]:
        """Return the message types of all dead letters."""
        return self._values("type")

    def _values(self, column: str) -> frozenset[str]:
        with self._view.read() as db:
            return frozenset(row[0] for row in db.execute(f"SELECT DISTINCT {column} FROM dead_letters"))

    def parked(
        self, service: str | None = None, status: str | None = None, key: str | None = None
    ) -> tuple[ParkedKeySummary, ...]:
        """Return the parked keys that match, the oldest first."""
        with self._view.read() as db:
            rows = db.execute(_PARKED, (service, service, status, status)).fetchall()
        keys = map(_parked, rows)
        return tuple(parked for parked in keys if key in {None, parked.key})


_PLACES: Final[Mapping[Any, Any]] = {
    KeyState: lambda place: ("parked_keys", ("key",), (place.key,)),
    RecordState: lambda place: ("parked_records", ("key", "number"), (place.key, place.number)),
    PauseState: lambda place: ("pauses", ("scope", "name"), (place.scope, place.name)),
    ResolutionState: lambda place: (
        "resolutions",
        ("key", "origin_topic", "origin_partition", "origin_offset", "generation"),
        (place.key, *place.place, place.generation),
    ),
}
"""By what lies under a key: its table, the columns of its key behind service and partition, and their values."""
_ROWS: Final[Mapping[Any, Any]] = {
    KeyState: lambda s, _: (
        s.get("status"), s.get("first"), s.get("next"), s.get("since"), s.get("due_at"), s.get("attempts"),
        s.get("error"), s.get("words"), s.get("handler"), s.get("policy"), s.get("blocked_on"),
    ),
    RecordState: lambda s, offset: (s.get("topic"), s.get("partition"), s.get("offset"), s.get("message"), offset),
    PauseState: lambda s, _: (s.get("operation_id"), s.get("requested_by"), s.get("reason"), s.get("at")),
    ResolutionState: lambda s, _: (s.get("how"), s.get("requested_by"), s.get("reason"), s.get("at")),
}  # fmt: skip
_STATUS: Final = """
    SELECT * FROM (
        SELECT d.service, d.partition, d.offset, d.type, d.key, d.parking_name, d.origin_topic, d.origin_partition,
            d.origin_offset, d.generation, d.failed_at, d.error, d.message, d.handler, d.stage, d.attempts, d.cause,
            d.general,
            CASE
                WHEN r.how IS NOT NULL THEN r.how
                WHEN p.number IS NOT NULL AND p.number = k.first AND k.status = 'dead_lettered' THEN 'parked'
                WHEN p.number IS NOT NULL THEN 'retrying'
                WHEN d.disposition = 'skip' THEN 'skipped'
                ELSE 'gone'
            END AS status,
            CASE WHEN r.how IS NULL AND p.number IS NOT NULL THEN k.next - p.number - 1 ELSE 0 END AS waiting,
            r.requested_by, r.reason, r.at
        FROM dead_letters d
        LEFT JOIN resolutions r ON r.service = d.service AND r.partition = d.partition
            AND r.key = CAST(d.parking_name AS BLOB) AND r.origin_topic = d.origin_topic
            AND r.origin_partition = d.origin_partition AND r.origin_offset = d.origin_offset
            AND r.generation = d.generation
        LEFT JOIN parked_keys k ON k.service = d.service AND k.partition = d.partition AND k.key = d.parking_key
        LEFT JOIN parked_records p ON p.service = d.service AND p.partition = d.partition AND p.key = d.parking_key
            AND p.origin_topic = d.origin_topic AND p.origin_partition = d.origin_partition
            AND p.origin_offset = d.origin_offset
    )
"""
_PARKED: Final = """
    SELECT k.service, k.partition, k.key, k.status, k.next - k.first, k.since, r.type, k.attempts, k.due_at,
        k.blocked_on, k.error, k.message, k.handler, k.policy
    FROM parked_keys k LEFT JOIN parked_records r
        ON r.service = k.service AND r.partition = k.partition AND r.key = k.key AND r.number = k.first
    WHERE (? IS NULL OR k.service = ?) AND (? IS NULL OR k.status = ?) ORDER BY k.since, k.service, k.key
"""

_PARKED_TOTALS: Final = "SELECT service, COUNT(*), SUM(next - first) FROM parked_keys GROUP BY service"


def _condition(which: DeadLetterFilter) -> tuple[str, list[Any]]:
    clauses, parameters = ["1"], list[Any]()
    equal = {"service": which.service, "type": which.type, "error": which.error, "cause": which.group}
    conditions: list[tuple[str, str | int | None]] = [(f"{column} = ?", value) for column, value in equal.items()]
    conditions += [("failed_at >= ?", which.since), ("failed_at <= ?", which.until)]
    for clause, value in conditions:
        if value is not None:
            clauses.append(clause)
            parameters.append(value)
    if which.key is not None:
        clauses.append("(key = ? OR parking_name = ?)")
        parameters += [which.key, which.key]
    if which.open_only:
        clauses.append(f"status IN {_OPEN}")
    return " AND ".join(clauses), parameters


def _summary(row: Sequence[Any]) -> DeadLetterSummary:
    service, partition, offset, name, key, parking_name, topic, origin_partition, origin_offset, generation = row[:10]
    failed_at, error, message, handler, stage, attempts, cause, _, status, waiting, by, why, at = row[10:]
    return DeadLetterSummary(
        position=Position(topic=service + DEAD_LETTER, partition=partition, offset=offset),
        service=service,
        origin=Position(topic=topic, partition=origin_partition, offset=origin_offset),
        type=name,
        key=key,
        parking_key=parking_name,
        failed_at=moment_of(failed_at),
        status=status,
        waiting=waiting,
        error=error,
        message=message,
        handler=handler,
        stage=stage,
        attempts=attempts if attempts >= 0 else None,
        generation=generation,
        group=cause,
        decided_by=by or None,
        decided_because=why or None,
        decided_at=moment_of(at),
    )


def _group(row: Sequence[Any]) -> DeadLetterGroup:
    values = (*row[:7], moment_of(row[7]), moment_of(row[8]))
    return DeadLetterGroup(**dict(zip(DeadLetterGroup.model_fields, values, strict=True)))


def _parked(row: Sequence[Any]) -> ParkedKeySummary:
    service, partition, key, status, depth, since, head, attempts, due_at, *texts = row
    values = (
        service, partition, key.decode(errors="backslashreplace"), status, depth, moment_of(since), head or "",
        attempts, moment_of(due_at), *texts,
    )  # fmt: skip
    return ParkedKeySummary(**dict(zip(ParkedKeySummary.model_fields, values, strict=True)))


def _int64(number: int | None) -> int:
    """Return a number of a header that anybody may have written, or -1 if it is none, or too large."""
    return number if number is not None and abs(number) < SQLITE_LIMIT else -1


def _marks(count: int) -> str:
    return ", ".join("?" * count)
