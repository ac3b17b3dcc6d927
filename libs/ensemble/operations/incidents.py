"""Incidents: handlers that failed so often for one cause that their service stopped trying."""

from __future__ import annotations

from ensemble.operations import service_topics
from ensemble.operations.audit import Audit, AuditProjection, Incident
from ensemble.operations.session import Session
from ensemble.operations.view import View


def list_incidents(
    session: Session, service: str | None, *, open_only: bool, view: View | None = None
) -> tuple[Incident, ...]:
    """Return the incidents, newest first, from a view with the audit, or else from the topics.

    Raises NotFound if the cluster has no such service.
    """
    service_topics.service_names(session, service)
    with session.view(AuditProjection(session.decoder), what="incidents", view=view) as synced:
        return Audit(synced).incidents(service, open_only=open_only)
