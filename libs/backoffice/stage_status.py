"""How the stage looks at a time: what runs over its lines, what waits at its services, and where it fails. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote, urlencode

from backoffice.stage import Stage, StageEdge, StageNode
from ensemble import OUTSIDE
from ensemble.clock import duration, moment_of
from ensemble.operations import (
    DeadLetterSummary,
    EdgeTraffic,
    Incident,
    ParkedKeySummary,
    Result,
    TrafficEdge,
    WorkPause,
    percentile,
)
from ensemble.quantities import quantity

_LETTER: Final = 7.2
_BADGE_ROW: Final = 22.0
_SECOND_MS: Final = 1_000
_SHORT_MS: Final = 10_000


class StageBadge(Result):
    """Something about a service that one should know, the page that says more, and where it stands on the stage."""

    text: str
    tone: Literal["calm", "alarm"]
    url: str
    x: float = 0
    y: float = 0
    width: float = 0


class EdgeStatus(Result):
    """The messages of a line in the window, how fast they came, and why it fails, if it does."""

    messages: int
    per_second: float
    p50_ms: int | None = None
    """How long after the message that caused them; None if no cause was seen. The same for `p99_ms`."""
    p99_ms: int | None = None
    text: str = ""
    """All of that in short: `3.2/s · 12 / 80 ms`."""
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
    delays: Mapping[TrafficEdge, Counter[int]] = field(default_factory=dict)
    parked: Sequence[ParkedKeySummary] = ()
    dead_letters: Sequence[DeadLetterSummary] = ()
    """Those that are still open."""
    pauses: Sequence[WorkPause] = ()
    incidents: Sequence[Incident] = ()
    """Those that are still open."""
    behind: Mapping[str, int] = field(default_factory=dict)
    """Offsets by service."""
    hidden: Mapping[str, int] = field(default_factory=dict)
    """Offsets that a transaction that hangs hides from a service, for those that it does."""
    stopped: Mapping[str, int | None] = field(default_factory=dict)
    """The services of which no process runs, and since when (epoch milliseconds), where that is known."""
    unready: Collection[str] = ()
    """The services of which a process is not ready."""
    steps: Mapping[str, int] = field(default_factory=dict)
    """How many orders are at each step."""

    def as_of(self, at: int) -> StageFacts:
        """Return what was so already at a time (epoch milliseconds).

        What ended since is known of incidents alone, and of no step how many orders were at it.
        """
        moment = moment_of(at)
        return replace(
            self,
            steps={},
            parked=[key for key in self.parked if _is_up_to(key.since, moment)],
            dead_letters=[letter for letter in self.dead_letters if _is_up_to(letter.failed_at, moment)],
            pauses=[pause for pause in self.pauses if _is_up_to(pause.since, moment)],
            incidents=[
                incident
                for incident in self.incidents
                if _is_up_to(incident.opened_at, moment) and not _is_up_to(incident.closed_at, moment)
            ],
        )


def _is_up_to(at: datetime | None, moment: datetime | None) -> bool:
    return at is not None and moment is not None and at <= moment


def status_of(stage: Stage, facts: StageFacts, at: int, seconds: int) -> StageStatus:
    """Return how the stage looks, by what was written in the `seconds` up to `at`."""
    failures = _failures(facts)
    return StageStatus(
        at=at,
        seconds=seconds,
        edges={edge.id: _edge(edge, stage, facts, seconds=seconds, failures=failures) for edge in stage.edges},
        nodes={
            node.name: tuple(_with_places(node, [*_badges(node.name, facts, at), *_steps(node, facts)]))
            for node in stage.nodes
            if node.kind != "outside"
        },
    )


def _edge(
    edge: StageEdge,
    stage: Stage,
    facts: StageFacts,
    *,
    seconds: int,
    failures: Mapping[tuple[str, str], tuple[str, str]],
) -> EdgeStatus:
    services = {node.name for node in stage.nodes if node.kind != "outside"}
    on_edge = {(message.type, message.topic) for message in edge.messages}

    def goes_along(sender: str, message: str, topic: str) -> bool:
        return (message, topic) in on_edge and (sender if sender in services else OUTSIDE) == edge.source

    count = sum(row.messages for row in facts.traffic if goes_along(row.sender, row.type, row.topic))
    delays = sum((counts for key, counts in facts.delays.items() if goes_along(*key)), Counter[int]())
    failure, url = next(
        (failures[edge.target, message.type] for message in edge.messages if (edge.target, message.type) in failures),
        ("", ""),
    )
    rate, p50_ms, p99_ms = round(count / max(seconds, 1), 2), percentile(delays, 0.5), percentile(delays, 0.99)
    return EdgeStatus(
        messages=count,
        per_second=rate,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        text=_in_short(count, rate, p50_ms, p99_ms),
        failure=failure,
        url=url,
    )


def _in_short(count: int, rate: float, p50_ms: int | None, p99_ms: int | None) -> str:
    """Return rate and percentiles as they stand beside a line; nothing where nothing runs."""
    if not count:
        return ""
    if p50_ms is None or p99_ms is None:
        return f"{rate:g}/s"
    half, slow = _latency(p50_ms), _latency(p99_ms)
    value, unit = half.rsplit(" ", 1)
    return f"{rate:g}/s · {value if slow.endswith(f' {unit}') else half} / {slow}"


def _latency(milliseconds: int) -> str:
    if milliseconds < _SECOND_MS:
        return f"{milliseconds} ms"
    return duration(milliseconds) if milliseconds >= 10 * _SECOND_MS else f"{milliseconds / _SECOND_MS:.1f} s"


def _with_places(node: StageNode, badges: Iterable[StageBadge]) -> Iterator[StageBadge]:
    """Yield the badges that the node has room for, each in its place: beside each other, then below."""
    left_edge, right_edge = node.x + 12, node.x + node.width - 8
    x, y = left_edge, node.y + 52
    for badge in badges:
        width = round(len(badge.text) * _LETTER + 14, 1)
        if x > left_edge and x + width > right_edge:
            x, y = left_edge, y + _BADGE_ROW
        if y + _BADGE_ROW > node.y + node.height:
            return
        yield badge.model_copy(update={"x": x, "y": y, "width": width})
        x += width + 6


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


def _badges(service: str, facts: StageFacts, at: int) -> Iterable[StageBadge]:
    parked = sum(key.service == service for key in facts.parked)
    letters = Counter(letter.service for letter in facts.dead_letters)[service]
    is_paused = any((pause.scope, pause.name) == ("service", service) for pause in facts.pauses)
    has_incident = any(incident.service == service for incident in facts.incidents)
    is_stopped = service in facts.stopped
    behind, of_service = facts.behind.get(service, 0), f"?service={quote(service, safe='')}"
    states: Sequence[tuple[object, str, Literal["calm", "alarm"], str]] = (
        (is_stopped, _stopped_since(facts.stopped.get(service), at), "alarm", f"/consumers{of_service}"),
        (service in facts.unready and not is_stopped, "not ready", "alarm", f"/consumers{of_service}"),
        (has_incident, "circuit open", "alarm", "/incidents"),
        (is_paused, "paused", "alarm", "/pauses"),
        (facts.hidden.get(service), "transaction hangs", "alarm", f"/consumers{of_service}"),
        (letters, quantity(letters, "dead letter"), "alarm", f"/dead-letters{of_service}"),
        (parked, f"{parked:,} parked", "alarm", f"/parked{of_service}"),
        (behind, f"{behind:,} behind", "calm", f"/consumers{of_service}"),
    )
    return (StageBadge(text=text, tone=tone, url=url) for is_so, text, tone, url in states if is_so)


def _steps(node: StageNode, facts: StageFacts) -> Iterator[StageBadge]:
    """Yield how many orders the conductor has at each step."""
    if node.kind == "conductor":
        for step, orders in sorted(facts.steps.items()):
            url = f"/orders?{urlencode({'where': f'step={step}'})}"
            yield StageBadge(text=f"{quantity(orders, 'order')} at {step}", tone="calm", url=url)


def _stopped_since(since: int | None, at: int) -> str:
    """Return for how long: a time of day would be that of a zone, and nobody's."""
    if since is None or at - since < _SHORT_MS:
        return "not running"
    return f"not running: {duration(at - since)}"
