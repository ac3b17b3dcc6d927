"""What the doctor asks about any application: its cluster, its declarations, its services, this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ensemble.clock import SKEW_TOLERANCE_MS, duration, epoch_ms
from ensemble.embedded import EmbeddedKafkaError, check_open_files
from ensemble.kafka.client import TopicPlace
from ensemble.operations.consumers import list_readers
from ensemble.operations.doctor import Answer, Examination
from ensemble.operations.findings import (
    Finding,
    failure_findings,
    incident_findings,
    lag_findings,
    pause_findings,
    problem,
    service_findings,
    warning,
)
from ensemble.operations.outgoing import now
from ensemble.operations.permissions import Others, compare_permissions
from ensemble.operations.schema_registry import has_registry, registry_problems
from ensemble.operations.session import Session
from ensemble.operations.status import Status
from ensemble.operations.topics import TopicSummary, compare_topics
from ensemble.program import command
from ensemble.quantities import quantity
from ensemble.topology import BrokerLifetimes, check_topology

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.operations.consumers import PartitionReader
    from ensemble.service.service import Service

_HUNG_AFTER_S: Final = 15.0
"""Longer than any transaction of a living service takes."""
_LOOK_EVERY_S: Final = 1.0
_LEAST_FREE_BYTES: Final = 1 << 30
_LEAST_FREE_SHARE: Final = 0.05
_EXPIRING_AT: Final = 0.5
"""The share of a retention that may be used up without a word."""
_REGISTRY_LIMIT_S: Final = 10.0
_NAMED: Final = 3


@dataclass(frozen=True)
class Patient:
    """The application to examine, on this machine. `read_status` is called once, when the first question needs it."""

    session: Session
    read_status: Callable[[], Status]
    directories: Sequence[Path] = ()
    """Where this machine keeps data of the application."""


def examinations_of(patient: Patient) -> list[Examination]:
    """Return the questions about any application, in the order in which causes come before their effects."""
    session, client, status = patient.session, patient.session.client, cache(patient.read_status)
    services = cache(session.application.make_services)
    return [
        Examination("cluster", lambda: _ask_cluster(client)),
        Examination("topics", lambda: _ask_topics(session)),
        Examination("declarations", lambda: _ask_declarations(session, services())),
        Examination("registry", lambda: _ask_registry(session)),
        Examination("permissions", lambda: _ask_permissions(session)),
        Examination("clocks", lambda: _ask_clocks(session, status())),
        Examination("disk", lambda: _ask_disk(patient.directories)),
        Examination("open files", _ask_open_files),
        Examination("transactions", lambda: _ask_transactions(session)),
        Examination("services", lambda: Answer("all run, with all partitions", service_findings(status()))),
        Examination("lag", lambda: Answer("all keep up", lag_findings(status()))),
        Examination("offsets", lambda: _ask_offsets(session, status(), services())),
        Examination("incidents", lambda: Answer("none is open", incident_findings(status()))),
        Examination("failures", lambda: Answer("no dead letter and no parked key", failure_findings(status()))),
        Examination("pauses", lambda: Answer("nothing is paused", pause_findings(status()))),
    ]


def _ask_cluster(client: ClusterClient) -> Answer:
    replicas = client.replicas()
    leaderless = [f"{r.topic}[{r.partition}]" for r in replicas if not r.has_leader]
    thin = [f"{r.topic}[{r.partition}]" for r in replicas if r.has_leader and r.in_sync < r.replicas]
    describe = f"kafka-topics.sh --bootstrap-server {client.bootstrap_servers} --describe"
    findings = []
    if leaderless:
        findings.append(problem("cluster", f"no leader: {_names(leaderless)}; nobody can read or write there",
                                 f"{describe} --unavailable-partitions"))  # fmt: skip
    if thin:
        findings.append(warning("cluster", f"replicas are missing or behind: {_names(thin)}",
                                 f"{describe} --under-replicated-partitions"))  # fmt: skip
    return Answer(f"{quantity(len(client.brokers()), 'broker')}, all partitions have leaders and replicas", findings)


def _ask_topics(session: Session) -> Answer:
    rows = compare_topics(session.application, session.client)
    missing = [row.topic for row in rows if row.status == "missing"]
    findings = [problem("topics", f"missing: {_names(missing)}", command("topics apply"))] if missing else []
    wrong = [row for row in rows if row.status == "wrong"]
    findings += [problem(row.topic, f"{row.topic} is wrong: {row.detail}", command("topics list")) for row in wrong]
    advised = [row for row in rows if row.advice and row.status == "ok"]
    for reason in sorted(set(map(_reason_of, advised))):
        named = _names([row.topic for row in advised if _reason_of(row) == reason])
        findings.append(warning("topics", f"{reason}: {named}", command("topics list --json")))
    return Answer(f"{quantity(len(rows), 'topic')} as declared", findings)


def _reason_of(row: TopicSummary) -> str:
    """Return why a topic would better be set otherwise, without the command."""
    return row.advice.partition("; kafka-configs")[0]


def _ask_declarations(session: Session, services: Sequence[Service]) -> Answer:
    broker = BrokerLifetimes.of(session.client.broker_settings())
    problems = check_topology(services, session.application.catalogue, broker)
    show = command("topology check --cluster")
    findings = [problem(each.subject, f"{each.subject}: {each.reason}", show) for each in problems]
    return Answer("they agree, and everything is kept for long enough", findings)


def _ask_registry(session: Session) -> Answer:
    from ensemble.kafka.registry import Patience

    if not has_registry():
        return Answer("none is configured: ids come from the files")
    problems = registry_problems(session.application, Patience(_REGISTRY_LIMIT_S))
    fix = command("schemas register")
    findings = [problem(each.subject, f"{each.subject}: {each.reason}", fix) for each in problems]
    return Answer("it has all released schemas", findings)


def _ask_permissions(session: Session) -> Answer:
    if not session.client.broker_settings().get("authorizer.class.name"):
        return Answer("the cluster has no authorizer: everybody may do everything")
    rows = compare_permissions(session.application, session.client, Others())
    missing = sorted({row.principal for row in rows if row.status == "missing"})
    message = f"permissions are missing for {_names(missing)}"
    findings = [problem("permissions", message, command("acls apply"))] if missing else []
    return Answer(f"{quantity(len(rows), 'permission')} as needed", findings)


def _ask_clocks(session: Session, status: Status) -> Answer:
    client = session.client
    findings = [
        warning(service.service, f"{service.service} at {answer.url}: {answer.note}")
        for service in status.services
        for answer in service.readiness
        if answer.note
    ]
    findings += _future(client.last_written(client.places(_existing(session))), now())
    return Answer("no record is from the future", findings)


def _future(written: Mapping[TopicPlace, int], at: int) -> list[Finding]:
    """Return the finding that the newest of these records is from the future."""
    (topic, partition), newest = max(written.items(), key=lambda item: item[1], default=(("", 0), at))
    ahead_ms = newest - at
    if ahead_ms <= SKEW_TOLERANCE_MS:
        return []
    ahead = f"a record of {topic}[{partition}] is {duration(ahead_ms)} from the future"
    return [problem("clocks", f"{ahead}: this clock or its writer's is wrong", "timedatectl")]


def _ask_disk(directories: Sequence[Path], usage_of: Callable[[Path], Any] = shutil.disk_usage) -> Answer:
    """Look at this machine's disks; Kafka's protocol tells what topics take, but not what is free."""
    existing = [next(p for p in (path, *path.parents) if p.exists()) for path in directories]
    usages = {path: usage_of(path) for path in existing}
    findings = [
        problem(str(path), f"{usage.free / 1e9:.1f} GB are free at {path}", f"du -xh --max-depth=2 {path}")
        for path, usage in usages.items()
        if usage.free < max(_LEAST_FREE_BYTES, _LEAST_FREE_SHARE * usage.total)
    ]
    free = min((usage.free for usage in usages.values()), default=0)
    return Answer(f"{free / 1e9:,.0f} GB free on this machine; other brokers' disks are not asked", findings)


def _ask_open_files(check: Callable[[], None] = check_open_files) -> Answer:
    try:
        check()
    except EmbeddedKafkaError as error:
        return Answer("", [problem("open files", str(error), "ulimit -n 10000")])
    return Answer("this machine gives a process as many as a broker needs")


def _ask_transactions(session: Session) -> Answer:
    client = session.client
    return _transactions(_hung(client, client.places(_existing(session))), client.bootstrap_servers)


def _transactions(hung: Mapping[TopicPlace, int], servers: str) -> Answer:
    findings = [
        problem(
            topic,
            f"{quantity(count, 'offset')} of {topic}[{partition}] behind a transaction that is open for more than "
            f"{_HUNG_AFTER_S:g} s: nobody reads on there",
            f"kafka-transactions.sh --bootstrap-server {servers} describe-producers "
            f"--topic {topic} --partition {partition}",
        )
        for (topic, partition), count in hung.items()
    ]
    return Answer("none is open for long", findings)


def _hung(
    client: ClusterClient, places: Sequence[TopicPlace], after_s: float = _HUNG_AFTER_S, every_s: float = _LOOK_EVERY_S
) -> dict[TopicPlace, int]:
    """Return how many offsets lie behind a transaction that stays open, by partition: it waits only if one is open."""
    open_at, deadline = _open_at(client, places), time.monotonic() + after_s
    while open_at and time.monotonic() < deadline:
        time.sleep(every_s)
        present = _open_at(client, list(open_at))
        open_at = {place: end for place, end in open_at.items() if present.get(place) == end}
    highs = client.high_watermarks(list(open_at))
    return {place: highs[place] - end for place, end in open_at.items()}


def _open_at(client: ClusterClient, places: Sequence[TopicPlace]) -> dict[TopicPlace, int]:
    """Return the stable end of each partition that has records behind it."""
    stable, high = client.ends(places), client.high_watermarks(places)
    return {place: end for place, end in stable.items() if high[place] > end}


def _ask_offsets(session: Session, status: Status, services: Sequence[Service]) -> Answer:
    lifetimes = BrokerLifetimes.of(session.client.broker_settings())
    stopped = [s.service for s in status.services if s.state == "stopped"]
    topics = {topic.name: topic.lifetime_s for topic in session.application.catalogue.topics}
    findings = [
        *_expiring_offsets(session, [s for s in services if s.name in stopped], lifetimes.offsets_s),
        *_expiring_records(list_readers(session), topics),
    ]
    return Answer("no offset and no unread record expires soon", findings)


def _expiring_offsets(session: Session, stopped: Iterable[Service], kept_s: float) -> Iterator[Finding]:
    """Yield services without members: a broker forgets their offsets after a while."""
    counts = session.client.topics()
    for service in stopped:
        names = [topic.name for topic in service.changelogs if topic.name in counts]
        written = session.client.last_written(session.client.places(names))
        if not written:
            continue  # it has never run: nothing is forgotten
        idle_ms = now() - max(written.values())
        message = (
            f"{service.name} is stopped and wrote its state {duration(idle_ms)} ago; brokers forget its offsets "
            f"{duration(round(1000 * kept_s))} after it was stopped"
        )
        finding = problem if idle_ms > 1000 * kept_s * _EXPIRING_AT else warning
        yield finding(service.name, message, command(f"run {service.name}"))


def _expiring_records(readers: Iterable[PartitionReader], kept_s: Mapping[str, float]) -> Iterator[Finding]:
    present = datetime.now(UTC)
    for reader in readers:
        limit_s, since = kept_s.get(reader.topic, inf), reader.oldest_unread
        if since and limit_s < inf and present - since > timedelta(seconds=limit_s * _EXPIRING_AT):
            age = duration(epoch_ms(present) - epoch_ms(since))
            yield problem(
                reader.group,
                f"{reader.position} waits for {reader.group} for {age}; the topic keeps it for "
                f"{duration(round(1000 * limit_s))}",
                command(f"consumers lag --service {reader.group}"),
            )


def _existing(session: Session) -> list[str]:
    """Return the topics of the catalogue that the cluster has."""
    counts = session.client.topics()
    return [topic.name for topic in session.application.catalogue.topics if topic.name in counts]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
