"""What the processes of services have counted of themselves, from their /metrics."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from ensemble.operations.endpoints import Endpoints, ask_processes, fetch
from ensemble.operations.values import Result

_LIMIT_S: Final = 1.0


class ServiceCounters(Result):
    """What the processes of one service have counted since each was started, added up."""

    batches: float = 0
    """Batches that were committed."""
    batch_seconds: float = 0
    """How long those took, from a poll to its commit."""
    aborts: float = 0
    """Transactions that were aborted."""
    failures: float = 0
    """Attempts that failed and are repeated."""

    def since(self, before: ServiceCounters) -> ServiceCounters:
        """Return what was counted since then; all that is counted now, if a process was started anew meanwhile."""
        mine, theirs = dict(self), dict(before)
        if any(mine[name] < theirs[name] for name in mine):
            return self
        return ServiceCounters(**{name: mine[name] - theirs[name] for name in mine})


def ask_counters(endpoints: Endpoints, limit_s: float = _LIMIT_S) -> dict[str, ServiceCounters]:
    """Return what all processes of a service have counted. Services of which one does not answer are left out.

    Never fails; all are asked at once.
    """
    answers = ask_processes(endpoints, lambda url: _ask(url, endpoints.token, limit_s))
    complete = {name: each for name, each in answers.items() if each and None not in each}
    return {name: _sum([counters for counters in each if counters]) for name, each in complete.items()}


def parse_counters(text: str) -> ServiceCounters:
    """Read the counters of a process from what Prometheus reads. Raises ValueError if it is nothing of the kind."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = _FIELDS.get((sample.name, sample.labels.get("outcome", "")))
            if name is not None:
                values[name] = values.get(name, 0.0) + sample.value
    return ServiceCounters(**values)


_FIELDS: Final[Mapping[tuple[str, str], str]] = {
    ("ensemble_batch_seconds_count", ""): "batches",
    ("ensemble_batch_seconds_sum", ""): "batch_seconds",
    ("ensemble_transaction_aborts_total", ""): "aborts",
    ("ensemble_records_total", "failures"): "failures",
}


def _ask(url: str, token: str, limit_s: float) -> ServiceCounters | None:
    try:
        return parse_counters(fetch(f"{url.rstrip('/')}/metrics", token, limit_s).decode())
    except (OSError, ValueError, HTTPException):
        return None


def _sum(each: list[ServiceCounters]) -> ServiceCounters:
    return ServiceCounters(**{name: sum(dict(one)[name] for one in each) for name in ServiceCounters.model_fields})
