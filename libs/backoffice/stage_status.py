"""How the stage looks at a time: what runs over its lines, what waits at its services, and where it fails. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from backoffice.stage import Stage, StageEdge
from ensemble import OUTSIDE
from ensemble.operations import (
    DeadLetterSummary,
    EdgeTraffic,
    Incident,
    ParkedKeySummary,
    PartitionLag,
    Result,
    WorkPause,
    quantity,
)


class StageBadge(Result):
    """Something about a service that one should know, and the page that says more."""

    text: str
    tone: Literal["calm", "alarm"]
    url: str


class EdgeStatus(Result):
    """The messages of a line in the window, and why it fails, if it does."""

    messages: int
    per_second: float
    failure: str = ""
    url: str = ""
    """The page that shows the cause of the failure."""


class StageStatus(Result):
    """All lines and services by their names. `at` is the end of the window, in epoch milliseconds."""

    at: int
    seconds: int
    edges: Mapping[str, EdgeStatus]
    nodes: Mapping[str, tuple[StageBadge, ...]]


@dataclass(frozen=True)
class StageFacts:
    """What is known at a time."""

    traffic: Sequence[EdgeTraffic] = ()
    parked: Sequence[ParkedKeySummary] = ()
    dead_letters: Sequence[DeadLetterSummary] = ()
    """Those that are still open."""
    pauses: Sequence[WorkPause] = ()
    incidents: Sequence[Incident] = ()
    """Those that are still open."""
    lags: Sequence[PartitionLag] = ()


def status_of(stage: Stage, facts: StageFacts, at: int, seconds: int) -> StageStatus:
    """Return how the stage looks, by what was written in the `seconds` up to `at`."""
    failures = _failures(facts)
    return StageStatus(
        at=at,
        seconds=seconds,
        edges={edge.id: _edge(edge, stage, facts.traffic, seconds=seconds, failures=failures) for edge in stage.edges},
        nodes={node.name: tuple(_badges(node.name, facts)) for node in stage.nodes if node.kind != "outside"},
    )


def _edge(
    edge: StageEdge,
    stage: Stage,
    traffic: Iterable[EdgeTraffic],
    *,
    seconds: int,
    failures: Mapping[tuple[str, str], tuple[str, str]],
) -> EdgeStatus:
    services = {node.name for node in stage.nodes if node.kind != "outside"}
    on_edge = {(message.type, message.topic) for message in edge.messages}
    count = sum(
        row.messages
        for row in traffic
        if (row.type, row.topic) in on_edge and (row.sender if row.sender in services else OUTSIDE) == edge.source
    )
    failure, url = next(
        (failures[edge.target, message.type] for message in edge.messages if (edge.target, message.type) in failures),
        ("", ""),
    )
    return EdgeStatus(messages=count, per_second=round(count / max(seconds, 1), 2), failure=failure, url=url)


def _failures(facts: StageFacts) -> dict[tuple[str, str], tuple[str, str]]:
    """Return by service and message type why such messages fail there, and the page of the cause."""
    failures = {
        (key.service, key.head): (f"{key.error}: {key.message}" if key.error else key.blocked_on,
                                  f"/parked?service={quote(key.service, safe='')}")
        for key in facts.parked
    }  # fmt: skip
    for letter in reversed(facts.dead_letters):
        why = f"{letter.error}: {letter.message}"
        failures[letter.service, letter.type] = (why, f"/dead-letters?group={quote(letter.group, safe='')}")
    return failures


def _badges(service: str, facts: StageFacts) -> Iterable[StageBadge]:
    behind = sum(lag.behind for lag in facts.lags if lag.group == service)
    parked = sum(key.service == service for key in facts.parked)
    letters = Counter(letter.service for letter in facts.dead_letters)[service]
    of_service = f"?service={quote(service, safe='')}"
    for incident in facts.incidents:
        if incident.service == service:
            yield StageBadge(text="circuit open", tone="alarm", url="/incidents")
            break
    for pause in facts.pauses:
        if (pause.scope, pause.name) == ("service", service):
            yield StageBadge(text="paused", tone="alarm", url="/pauses")
    if letters:
        yield StageBadge(text=quantity(letters, "dead letter"), tone="alarm", url=f"/dead-letters{of_service}")
    if parked:
        yield StageBadge(text=f"{parked:,} parked", tone="alarm", url=f"/parked{of_service}")
    if behind:
        yield StageBadge(text=f"{behind:,} behind", tone="calm", url=f"/consumers{of_service}")
