"""How an application is, in one answer: its services, what waits, what failed, and what is held on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ensemble.clock import moment_of
from ensemble.operations.audit import Audit, AuditProjection, Incident, WorkPause
from ensemble.operations.consumers import ServiceConsumers, list_consumers
from ensemble.operations.endpoints import Endpoints
from ensemble.operations.failures import Failures, FailuresProjection, FailureTotals
from ensemble.operations.outgoing import now
from ensemble.operations.readiness import Readiness, ask_readiness
from ensemble.operations.session import Session
from ensemble.operations.values import Result
from ensemble.operations.view import Projection, View

LAGGING_AFTER: Final = timedelta(seconds=15)
"""A service whose next record waits for longer is behind; one that is busy reads on within a second."""
ServiceState = Literal["stopped", "unready", "paused", "lagging", "running"]


class ClusterStatus(Result):
    """The cluster that was asked."""

    id: str
    bootstrap_servers: str
    brokers: int


class ServiceStatus(ServiceConsumers):
    """One service: its consumers, what failed in it, and what its processes say of themselves."""

    state: ServiceState
    reason: str
    """Why it is in this state, empty if it runs."""
    parked_keys: int
    parked_records: int
    dead_letters: int
    """Those that an operator may still decide on."""
    incidents: int
    readiness: tuple[Readiness, ...]
    """Nothing where no address of a process is known."""


class Status(Result):
    """An application at `as_of`: its services, the incidents that are open, and all pauses."""

    as_of: datetime | None
    cluster: ClusterStatus
    services: tuple[ServiceStatus, ...]
    incidents: tuple[Incident, ...]
    pauses: tuple[WorkPause, ...]


def status_projections(session: Session) -> list[Projection]:
    """Return what a view needs for `read_status`."""
    return [FailuresProjection(session.decoder), AuditProjection(session.decoder)]


def read_status(session: Session, view: View, endpoints: Endpoints | None = None) -> Status:
    """Return how the application is, from a synced view with `status_projections`, and from brokers.

    Of topics no more is read than the first records that wait. `endpoints` says where processes answer /readyz.

    Raises ClusterError if the cluster does not answer.
    """
    audit, at = Audit(view), moment_of(now())
    with ThreadPoolExecutor() as threads:  # brokers and processes are asked at once: each answer takes its time
        consumers, cluster = threads.submit(list_consumers, session), threads.submit(_read_cluster, session)
        readiness = threads.submit(ask_readiness, endpoints or Endpoints())
        incidents, pauses = audit.incidents(open_only=True), audit.pauses()
        facts = _Facts(
            at=at,
            totals=Failures(view).totals(),
            incidents=Counter(incident.service for incident in incidents),
            pauses={pause.name: pause for pause in pauses if pause.scope == "service"},
            readiness=readiness.result(),
        )
        services = tuple(map(facts.status_of, consumers.result()))
        return Status(as_of=at, cluster=cluster.result(), services=services, incidents=incidents, pauses=pauses)


def _read_cluster(session: Session) -> ClusterStatus:
    client = session.client
    return ClusterStatus(
        id=client.cluster_id(), bootstrap_servers=client.bootstrap_servers, brokers=len(client.brokers())
    )


@dataclass(frozen=True)
class _Facts:
    """What is known of all services beside their consumers, to say how one is. Pure."""

    at: datetime | None
    totals: Mapping[str, FailureTotals]
    incidents: Mapping[str, int]
    pauses: Mapping[str, WorkPause]
    readiness: Mapping[str, tuple[Readiness, ...]]

    def status_of(self, consumers: ServiceConsumers) -> ServiceStatus:
        state, reason = self._state_of(consumers)
        return ServiceStatus(
            **dict(consumers),
            **dict(self.totals.get(consumers.service, FailureTotals())),
            state=state,
            reason=reason,
            incidents=self.incidents.get(consumers.service, 0),
            readiness=self.readiness.get(consumers.service, ()),
        )

    def _state_of(self, consumers: ServiceConsumers) -> tuple[ServiceState, str]:
        unready = [answer for answer in self.readiness.get(consumers.service, ()) if not answer.is_ready]
        if not consumers.instances:
            return "stopped", "its group has no members"
        if unready:
            return "unready", unready[0].reason
        if (pause := self.pauses.get(consumers.service)) is not None:
            return "paused", f"paused by {pause.requested_by}: {pause.reason}"
        if (since := consumers.unread_since) and self.at and self.at - since > LAGGING_AFTER:
            return "lagging", f"{consumers.next_unread} has not been read yet"
        return "running", ""
