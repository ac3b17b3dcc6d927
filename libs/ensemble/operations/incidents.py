"""Incidents: handlers that failed so often for one cause that their service stopped trying."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ensemble.clock import rfc3339
from ensemble.operations import service_topics
from ensemble.operations.entries import Entry
from ensemble.operations.outgoing import now
from ensemble.operations.session import Session


def list_incidents(session: Session, service: str | None, *, open_only: bool) -> list[dict[str, Any]]:
    """Return one row for each incident, newest first."""
    names = service_topics.topics(session, service_topics.service_names(session, service), service_topics.OPERATIONS)
    entries = map(session.decode, session.client.read(session.client.places(names), session.progress("incidents")))
    rows = fold_incidents(entries, now())
    return [row for row in rows if not open_only or row["closed"] is None]


def fold_incidents(entries: Iterable[Entry], at: int) -> list[dict[str, Any]]:
    """Fold records into incidents. Pure."""
    by_id: dict[str, dict[str, Any]] = {}
    for entry in sorted(entries, key=lambda entry: entry.record.timestamp):
        fields = entry.fields
        if entry.type in {"IncidentOpened", "IncidentClosed"}:
            by_id.setdefault(fields["incident_id"], _row(fields))
        if entry.type == "IncidentClosed":
            by_id[fields["incident_id"]]["closed"] = fields["at"]
    rows = sorted(by_id.values(), key=lambda row: -int(row["opened"]))
    return [_with_times(row, at) for row in rows]


def _row(fields: Any) -> dict[str, Any]:
    """Return the row of an incident from its opening, or from its end if the opening has expired."""
    return {
        "incident": fields["incident_id"],
        "service": fields["service"],
        "handler": fields["handler"],
        "cause": fields["cause"],
        "failures": fields.get("failures"),
        "opened": fields.get("since", fields["at"]),
        "closed": None,
    }


def _with_times(row: dict[str, Any], at: int) -> dict[str, Any]:
    end = row["closed"] or at
    times = {"opened": rfc3339(row["opened"]), "closed": row["closed"] and rfc3339(row["closed"])}
    return {**row, **times, "lasted_ms": end - row["opened"]}
