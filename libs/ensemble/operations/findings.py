"""What is not as it should be in a status, with the command that shows more of it, or mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from ensemble.clock import duration, epoch_ms
from ensemble.operations.audit import Incident, WorkPause
from ensemble.operations.status import ServiceStatus, Status
from ensemble.operations.values import Result
from ensemble.program import command
from ensemble.quantities import quantity


class Finding(Result):
    """One thing that is not as it should be. A warning may be meant so; a problem waits for somebody."""

    severity: Literal["warning", "problem"]
    subject: str
    message: str
    next_command: str = ""
    """What to type next, empty if no command helps."""


def problem(subject: str, message: str, next_command: str = "") -> Finding:
    """Return a finding that waits for somebody."""
    return Finding(severity="problem", subject=subject, message=message, next_command=next_command)


def warning(subject: str, message: str, next_command: str = "") -> Finding:
    """Return a finding that may be meant so."""
    return Finding(severity="warning", subject=subject, message=message, next_command=next_command)


def findings_of(status: Status) -> tuple[Finding, ...]:
    """Return all findings of a status, problems first. Pure."""
    return problems_first((
        *service_findings(status), *lag_findings(status), *incident_findings(status), *failure_findings(status),
        *pause_findings(status),
    ))  # fmt: skip


def problems_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the problems before the warnings, both in their order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity != "problem"))


def service_findings(status: Status) -> Iterator[Finding]:
    """Yield services that do not run, processes that are not ready, and partitions that no process has."""
    for service in status.services:
        name = service.service
        if service.state == "stopped":
            message = f"{name} does not run: {service.reason}{_waiting(service, status.as_of)}"
            yield problem(name, message, command(f"run {name}"))
        elif service.state == "unready":
            show = command(f"records get {service.next_unread}") if service.next_unread else ""
            yield problem(name, f"{name} is not ready: {service.reason}", show)
        elif missing := service.partitions - service.assigned:
            message = f"{missing} of {service.partitions} partitions of {name} have no process: its group is changing"
            yield warning(name, message, command("status"))


def lag_findings(status: Status) -> Iterator[Finding]:
    """Yield services that run and do not keep up, and records that a service has lost."""
    for service in status.services:
        name = service.service
        if service.state == "lagging":
            advice = ""
            if (processes := len(service.instances)) < service.partitions:
                have = "process has" if processes == 1 else "processes have"
                advice = f"; {processes} {have} its {service.partitions} partitions, another one takes a part"
            message = f"{name} does not keep up{_waiting(service, status.as_of)}{advice}"
            yield problem(name, message, command(f"consumers lag --service {name}"))
        if service.lost:
            message = f"{service.lost} records were removed before {name} has read them"
            yield problem(name, message, command(f"consumers set-offsets {name} --to state"))


def incident_findings(status: Status) -> Iterator[Finding]:
    """Yield the incidents that are open."""
    for incident in status.incidents:
        yield problem(
            incident.service, _in_words(incident, status.as_of), command(f"incidents list --service {incident.service}")
        )


def failure_findings(status: Status) -> Iterator[Finding]:
    """Yield services with dead letters that nobody has decided on, or with parked keys."""
    for service in status.services:
        name = service.service
        if count := service.dead_letters:
            message = f"{quantity(count, 'dead letter')} of {name} wait{'s' * (count == 1)} for a decision"
            yield problem(name, message, command(f"dead-letters list --service {name}"))
        if keys := service.parked_keys:
            message = f"{name} holds back {quantity(service.parked_records, 'record')} of {quantity(keys, 'key')}"
            yield warning(name, message, command(f"parked list --service {name}"))


def pause_findings(status: Status) -> Iterator[Finding]:
    """Yield all pauses: one that was meant to be short is easily forgotten."""
    for pause in status.pauses:
        yield warning(f"{pause.scope} {pause.name}", _pause(pause, status.as_of), _resume(pause))


def _waiting(service: ServiceStatus, as_of: datetime | None) -> str:
    if not service.behind:
        return ""
    since = f", {service.next_unread} for {_age(service.unread_since, as_of)}" if service.unread_since else ""
    return f"; {quantity(service.behind, 'offset')} behind{since}"


def _in_words(incident: Incident, as_of: datetime | None) -> str:
    return (
        f"{incident.handler} of {incident.service} has failed for {_age(incident.opened_at, as_of)} "
        f"and only probes now: {incident.cause}"
    )


def _pause(pause: WorkPause, as_of: datetime | None) -> str:
    waiting = [progress.service for progress in pause.services if progress.pending]
    missing = f"; {', '.join(waiting)} did not acknowledge it yet" if waiting else ""
    return (
        f"{pause.scope} {pause.name} has been paused for {_age(pause.since, as_of)} by {pause.requested_by}: "
        f"{pause.reason}{missing}"
    )


def _resume(pause: WorkPause) -> str:
    return command(f"pauses end {pause.scope} {pause.name} --reason '...'")


def _age(since: datetime | None, as_of: datetime | None) -> str:
    """Return how long ago something was; of a time that its writer has made up, that it is not known."""
    return "an unknown time" if since is None or as_of is None else duration(epoch_ms(as_of) - epoch_ms(since))
