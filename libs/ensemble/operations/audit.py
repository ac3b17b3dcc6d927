"""What operators have had done, in a view: their commands, each partition's answer, pauses, incidents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any, Final, Literal

from ensemble.clock import moment_of
from ensemble.errors import UndecodableRecord
from ensemble.kafka.client import TopicPlace
from ensemble.messages import GenericDecoder
from ensemble.operations.service_topics import CONTROL, OPERATIONS
from ensemble.operations.values import Position, Result
from ensemble.operations.view import FROM_ITS_BEGINNING, Change, FoldRecord, RecordsByTopic, View


class AuditEntry(Result):
    """One operator's command to one service, and what its partitions have answered."""

    operation_id: str
    service: str
    operation: str
    target: str
    requested_by: str
    reason: str
    at: datetime | None
    partitions: int
    """How many partitions the command was written to."""
    answered: int
    outcomes: tuple[str, ...]
    position: Position
    """Where one of its records lies."""


class AuditFilter(Result):
    """Which commands are meant: all that every given filter takes."""

    since: int = 0
    """In epoch milliseconds."""
    requested_by: str | None = None
    service: str | None = None
    target: str | None = None
    """A part of what they were about: a parking key, a position, `step payment`."""


class PauseProgress(Result):
    """How far a pause has got in one service: `pending` partitions have not taken it yet."""

    service: str
    partitions: int
    acknowledged: int
    pending: int


class WorkPause(Result):
    """A pause of a step, a command type or a service, also one that no partition has taken yet."""

    scope: Literal["service", "step", "command"]
    name: str
    since: datetime | None
    requested_by: str
    reason: str
    services: tuple[PauseProgress, ...]

    @property
    def is_everywhere(self) -> bool:
        """Whether every partition that was told has taken it."""
        return all(not service.pending for service in self.services)


class Incident(Result):
    """An outage of a handler: it failed so often for one cause that its service stopped trying."""

    incident_id: str
    service: str
    handler: str
    cause: str
    failures: int | None
    opened_at: datetime | None
    closed_at: datetime | None


class AuditProjection:
    """Folds operators' commands and the services' answers."""

    name = "audit"
    version = 1
    tables: Sequence[str] = ("operations", "answers", "incidents")
    max_age_s = float("inf")
    schema = """
        CREATE TABLE operations (
            service TEXT, partition INTEGER, offset INTEGER, operation_id TEXT, operation TEXT, scope TEXT, name TEXT,
            target TEXT, requested_by TEXT, reason TEXT, at INTEGER, PRIMARY KEY (service, partition, offset)
        ) WITHOUT ROWID;
        CREATE TABLE answers (
            operation_id TEXT, service TEXT, partition INTEGER, outcome TEXT, words TEXT, at INTEGER,
            PRIMARY KEY (operation_id, service, partition)
        ) WITHOUT ROWID;
        CREATE TABLE incidents (
            incident_id TEXT PRIMARY KEY, service TEXT, handler TEXT, cause TEXT, failures INTEGER, opened INTEGER,
            closed INTEGER
        ) WITHOUT ROWID
    """
    indexes = """
        CREATE INDEX IF NOT EXISTS operations_time ON operations (at);
        CREATE INDEX IF NOT EXISTS operations_target ON operations (scope, name)
    """

    def __init__(self, decoder: GenericDecoder) -> None:
        """Take a decoder of the runtime's own records."""
        self._decoder = decoder

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [name for name in existing if name.endswith((CONTROL, OPERATIONS))]

    def begin(self, topic: str, now: int) -> int | None:  # noqa: ARG002  all topics alike
        return FROM_ITS_BEGINNING

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        changes: list[Change] = []
        for topic, some in records.items():
            for record in some:
                changes += self._fold_one(db, topic, record)
        return changes

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Keep all rows: commands are kept for ever, and answers explain them."""

    def _fold_one(self, db: Connection, topic: str, record: FoldRecord) -> Iterator[Change]:
        try:
            decoded = self._decoder.decode(record.value() or b"")
        except UndecodableRecord:
            return
        kind, fields = decoded.name.rpartition(".")[2], decoded.fields
        if topic.endswith(CONTROL) and "operation_id" in fields:
            service = topic.removesuffix(CONTROL)
            row = (service, record.partition(), record.offset(), fields["operation_id"], kind, *_about(fields))
            db.execute("INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            yield Change(self.name, fields["operation_id"])
        elif kind == "OperationDone":
            names = ("operation_id", "service", "partition", "outcome", "words", "at")
            row = tuple(fields.get(name) for name in names)
            db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
            yield Change(self.name, fields["operation_id"])
        elif kind in {"IncidentOpened", "IncidentClosed"}:
            db.execute(_PUT_INCIDENT, _incident_row(fields, is_closed=kind == "IncidentClosed"))
            yield Change(self.name, fields["incident_id"])


class Audit:
    """Answers what operators have had done, from a view with the projections of the audit and of the failures."""

    def __init__(self, view: View) -> None:
        """Take a view that was synced."""
        self._view = view

    def list(self, limit: int, which: AuditFilter | None = None) -> tuple[AuditEntry, ...]:
        """Return the commands that match, the newest first."""
        f = which or AuditFilter()
        parameters = (f.since, f.requested_by, f.requested_by, f.service, f.service, f.target, f.target, limit)
        with self._view.read() as db:
            return tuple(map(_entry, db.execute(_ENTRIES, parameters)))

    def incidents(self, service: str | None = None, *, open_only: bool = False) -> tuple[Incident, ...]:
        """Return the incidents, the newest first."""
        with self._view.read() as db:
            rows = db.execute(_INCIDENTS, (service, service, not open_only)).fetchall()
        return tuple(
            Incident(
                incident_id=row[0], service=row[1], handler=row[2], cause=row[3], failures=row[4],
                opened_at=moment_of(row[5]), closed_at=moment_of(row[6]),
            )
            for row in rows
        )  # fmt: skip

    def pauses(self) -> tuple[WorkPause, ...]:
        """Return the pauses that partitions have taken, and those that were written and wait to be taken."""
        with self._view.read() as db:
            taken, last = db.execute(_TAKEN).fetchall(), db.execute(_LAST_ASKED).fetchall()
        pauses: dict[tuple[str, str], _Pause] = {}
        for scope, name, service, partition, by, reason, at in taken:
            pauses.setdefault((scope, name), _Pause()).add(service, partition, (by, reason, at), is_taken=True)
        for scope, name, service, partition, by, reason, at, operation, is_answered in last:
            is_pending = operation == "PauseWork" and not is_answered
            if is_pending:
                pauses.setdefault((scope, name), _Pause()).add(service, partition, (by, reason, at), is_taken=False)
        return tuple(pause.value(*about) for about, pause in sorted(pauses.items()))


class _Pause:
    """Who asked for a pause first, and the partitions that have taken it or are to take it."""

    def __init__(self) -> None:
        self._requests: list[tuple[str, str, int]] = []
        self._taken: dict[str, set[int]] = {}
        self._pending: dict[str, set[int]] = {}

    def add(self, service: str, partition: int, request: tuple[str, str, int], *, is_taken: bool) -> None:
        self._requests.append(request)
        if not is_taken and partition in self._taken.get(service, ()):
            return
        (self._taken if is_taken else self._pending).setdefault(service, set()).add(partition)

    def value(self, scope: Any, name: str) -> WorkPause:
        by, reason, at = min(self._requests, key=lambda request: request[2])
        services = tuple(
            PauseProgress(
                service=service,
                partitions=len(self._taken.get(service, set()) | self._pending.get(service, set())),
                acknowledged=len(self._taken.get(service, ())),
                pending=len(self._pending.get(service, ())),
            )
            for service in sorted(self._taken.keys() | self._pending.keys())
        )
        return WorkPause(scope=scope, name=name, since=moment_of(at), requested_by=by, reason=reason, services=services)


_PUT_INCIDENT: Final = (
    "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "failures = coalesce(failures, excluded.failures), opened = min(opened, excluded.opened), "
    "closed = coalesce(closed, excluded.closed)"
)
_ENTRIES: Final = """
    SELECT o.operation_id, o.service, o.operation, o.target, o.requested_by, o.reason, MIN(o.at),
        COUNT(DISTINCT o.partition), COUNT(DISTINCT a.partition), GROUP_CONCAT(DISTINCT a.outcome),
        o.partition, o.offset
    FROM operations o LEFT JOIN answers a
        ON a.operation_id = o.operation_id AND a.service = o.service AND a.partition = o.partition
    WHERE o.at >= ? AND (? IS NULL OR o.requested_by = ?) AND (? IS NULL OR o.service = ?)
        AND (? IS NULL OR instr(o.target, ?) > 0)
    GROUP BY o.operation_id, o.service, o.operation ORDER BY MIN(o.at) DESC, o.operation_id LIMIT ?
"""
_INCIDENTS: Final = """
    SELECT incident_id, service, handler, cause, failures, opened, closed FROM incidents
    WHERE (? IS NULL OR service = ?) AND (? OR closed IS NULL) ORDER BY opened DESC, incident_id
"""
_TAKEN: Final = """
    SELECT scope, name, service, partition, requested_by, reason, at FROM pauses ORDER BY service, partition
"""
_LAST_ASKED: Final = """
    SELECT o.scope, o.name, o.service, o.partition, o.requested_by, o.reason, o.at, o.operation,
        EXISTS (
            SELECT 1 FROM answers a
            WHERE a.operation_id = o.operation_id AND a.service = o.service AND a.partition = o.partition
        )
    FROM operations o
    JOIN (
        SELECT service, partition, scope, name, MAX(offset) AS offset FROM operations WHERE scope IS NOT NULL
        GROUP BY service, partition, scope, name
    ) last ON last.service = o.service AND last.partition = o.partition AND last.offset = o.offset
    ORDER BY o.service, o.partition
"""


def _about(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return scope, name, target, and who asked why and when."""
    scope, name = fields.get("scope"), fields.get("name")
    place = "/".join(str(fields[part]) for part in ("topic", "partition", "offset") if part in fields)
    target = f"{scope} {name}" if scope else " ".join(filter(None, (fields.get("parking_key"), place)))
    return scope, name, target, fields.get("requested_by", ""), fields.get("reason", ""), fields.get("at", 0)


def _incident_row(fields: Mapping[str, Any], *, is_closed: bool) -> tuple[Any, ...]:
    """Return the row of an incident by its opening, or by its end if the opening has expired."""
    opened, closed = (fields.get("since", fields["at"]), fields["at"]) if is_closed else (fields["at"], None)
    who = fields["incident_id"], fields["service"], fields["handler"], fields["cause"]
    return *who, fields.get("failures"), opened, closed


def _entry(row: Sequence[Any]) -> AuditEntry:
    operation_id, service, operation, target, by, reason, at, partitions, answered, outcomes, partition, offset = row
    return AuditEntry(
        operation_id=operation_id,
        service=service,
        operation=operation,
        target=target,
        requested_by=by,
        reason=reason,
        at=moment_of(at),
        partitions=partitions,
        answered=answered,
        outcomes=tuple(sorted(outcomes.split(","))) if outcomes else (),
        position=Position(topic=service + CONTROL, partition=partition, offset=offset),
    )
