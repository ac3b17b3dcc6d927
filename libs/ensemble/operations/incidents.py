"""Incidents: handlers that failed so often for one cause that their service stopped trying."""

from __future__ import annotations

from typing import Any

from ensemble.clock import epoch_ms, rfc3339
from ensemble.operations import service_topics
from ensemble.operations.audit import Audit, AuditProjection, Incident
from ensemble.operations.outgoing import now
from ensemble.operations.session import Session
from ensemble.operations.view import View


def list_incidents(
    session: Session, service: str | None, *, open_only: bool, view: View | None = None
) -> list[dict[str, Any]]:
    """Return one row for each incident, newest first, from a view with the audit, or else from the topics.

    Raises NotFound if the cluster has no such service.
    """
    service_topics.service_names(session, service)
    with session.view(AuditProjection(session.decoder), what="incidents", view=view) as synced:
        incidents, at = Audit(synced).incidents(service, open_only=open_only), now()
    return [_row(incident, at) for incident in incidents]


def _row(incident: Incident, at: int) -> dict[str, Any]:
    opened, closed = incident.opened_at, incident.closed_at
    began = epoch_ms(opened) if opened else at
    return {
        "incident": incident.incident_id,
        "service": incident.service,
        "handler": incident.handler,
        "cause": incident.cause,
        "failures": incident.failures,
        "opened": rfc3339(began),
        "closed": None if closed is None else rfc3339(epoch_ms(closed)),
        "lasted_ms": (at if closed is None else epoch_ms(closed)) - began,
    }
