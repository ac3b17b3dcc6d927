"""Incidents: handlers that failed so often for one cause that their service stopped trying."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ensemble.clock import rfc3339
from ensemble.command_line import services
from ensemble.command_line.connection import progress
from ensemble.command_line.entries import Entry, entry_of
from ensemble.command_line.publishing import now

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


def list_incidents(access: ClusterClient, service: str | None, *, open_only: bool) -> list[dict[str, Any]]:
    """Return one row for each incident, newest first."""
    names = services.topics(access, services.service_names(access, service), services.OPERATIONS)
    entries = map(entry_of, access.read(access.places(names), progress("incidents")))
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
