"""The audit trail of an application: operators' commands joined with what services have answered."""

from __future__ import annotations

from ensemble.operations.audit import Audit, AuditEntry, AuditFilter, AuditProjection
from ensemble.operations.service_topics import service_names
from ensemble.operations.session import Session
from ensemble.operations.view import View


def list_audit(session: Session, which: AuditFilter, limit: int, view: View | None = None) -> tuple[AuditEntry, ...]:
    """Return the commands that match, newest first, from a view with the audit, or else from the topics.

    Raises NotFound if the cluster has no such service.
    """
    service_names(session, which.service)
    with session.view(AuditProjection(session.decoder), what="the audit trail", view=view) as synced:
        return Audit(synced).list(limit, which)
