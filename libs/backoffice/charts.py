"""The last hour as charts: columns over time, from what was counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ensemble.operations import Result, Sample, ServiceCounters, TrafficBin, percentile

Unit = Literal["per second", "per minute", "milliseconds", "offsets"]
Column = list[float | None]
"""A value for each moment; None where nothing is known."""
BIN_S: Final = 10
_ORDERS: Final = {"placed": "OrderPlaced", "completed": "OrderCompleted", "cancelled": "OrderCancelled"}
_PER_SECOND: Final = 1 / BIN_S
_PER_MINUTE: Final = 60 / BIN_S


class Chart(Result):
    """One chart: its lines by their names."""

    unit: Unit
    lines: Mapping[str, Sequence[float | None]]


class Charts(Result):
    """All charts over the same moments (epoch seconds), each the beginning of ten seconds."""

    at: Sequence[int]
    charts: Mapping[str, Chart]


@dataclass(frozen=True)
class ChartFacts:
    """What was counted in an hour; bins are as long as `BIN_S`."""

    traffic: Sequence[TrafficBin]
    delays: Mapping[tuple[int, str, str], Counter[int]]
    """By second, sender and type."""
    dead_letters: Mapping[int, int]
    """By second."""
    samples: Sequence[Sample]


def charts_of(facts: ChartFacts, steps: Mapping[str, frozenset[str]], services: Sequence[str], end: int) -> Charts:
    """Return the charts of the hour that ends at a second (epoch).

    `steps` are the types of event that answer each step of an order.
    """
    at = list(range(end - 3_600, end, BIN_S))
    return Charts(at=at, charts=_Bins(at, facts, steps, services).charts())


@dataclass(frozen=True)
class _Bins:
    at: Sequence[int]
    facts: ChartFacts
    steps: Mapping[str, frozenset[str]]
    services: Sequence[str]

    def charts(self) -> dict[str, Chart]:
        lag, commits, retries, aborts = self._of_samples()
        return {
            "orders": Chart(unit="per second", lines={name: self._rate({kind}) for name, kind in _ORDERS.items()}),
            "messages": Chart(
                unit="per second", lines={"commands": self._rate_of(_is_command), "events": self._rate_of(_is_event)}
            ),
            "steps": Chart(unit="milliseconds", lines=self._latencies()),
            "lag": Chart(unit="offsets", lines=lag),
            "commits": Chart(unit="milliseconds", lines=commits),
            "retries": Chart(unit="per minute", lines={"failed attempts": retries, "aborted transactions": aborts}),
            "failures": Chart(
                unit="per minute",
                lines={
                    "dead letters": self._column(self.facts.dead_letters, _PER_MINUTE),
                    "commands given up": self._rate({"CommandFailed"}, _PER_MINUTE),
                },
            ),
        }

    def _column(self, counts: Mapping[int, float], factor: float) -> Column:
        return [counts.get(second, 0) * factor for second in self.at]

    def _rate(self, types: set[str], factor: float = _PER_SECOND) -> Column:
        return self._rate_of(lambda each: each.type in types, factor)

    def _rate_of(self, takes: Callable[[TrafficBin], bool], factor: float = _PER_SECOND) -> Column:
        counts: Counter[int] = Counter()
        for each in filter(takes, self.facts.traffic):
            counts[each.second] += each.messages
        return self._column(counts, factor)

    def _latencies(self) -> dict[str, Column]:
        """Return how long steps took to be answered: the median, and the slowest of a hundred."""
        lines: dict[str, Column] = {}
        for name, types in self.steps.items():
            bins: dict[int, Counter[int]] = {}
            for (second, _, kind), counts in self.facts.delays.items():
                if kind in types:
                    bins.setdefault(second, Counter()).update(counts)
            for label, share in ((name, 0.5), (f"{name} p99", 0.99)):
                lines[label] = [percentile(bins.get(second, {}), share) for second in self.at]
        return lines

    def _of_samples(self) -> tuple[dict[str, Column], dict[str, Column], Column, Column]:
        """Return lag and time to the commit by service, retries and aborts of all."""
        lag: dict[str, Column] = {name: [None] * len(self.at) for name in self.services}
        commits: dict[str, Column] = {name: [None] * len(self.at) for name in self.services}
        retries: Column = [None] * len(self.at)
        aborts: Column = [None] * len(self.at)
        for place, before, sample in self._samples_by_bin():
            for name in self.services if sample.lags is not None else ():
                lag[name][place] = sample.behind.get(name, 0)
            if before is None:
                continue
            counted = _counted(before, sample)
            for name, each in counted.items():
                if name in commits and each.batches:
                    commits[name][place] = round(1_000 * each.batch_seconds / each.batches, 1)
            if counted:
                a_minute = 60_000 / max(sample.at - before.at, 1)
                retries[place] = round(a_minute * sum(each.failures for each in counted.values()), 2)
                aborts[place] = round(a_minute * sum(each.aborts for each in counted.values()), 2)
        return lag, commits, retries, aborts

    def _samples_by_bin(self) -> Iterable[tuple[int, Sample | None, Sample]]:
        """Yield the last sample of each bin with its place, and that of the bin before."""
        last = {sample.at // 1_000 // BIN_S * BIN_S: sample for sample in self.facts.samples}
        places = {second: place for place, second in enumerate(self.at)}
        before: Sample | None = None
        for second, sample in last.items():
            if second in places:
                yield places[second], before, sample
            before = sample


def _counted(before: Sample, sample: Sample) -> dict[str, ServiceCounters]:
    return {
        name: counters.since(before.counters[name])
        for name, counters in sample.counters.items()
        if name in before.counters
    }


def _is_command(each: TrafficBin) -> bool:
    return each.topic.endswith(".commands")


def _is_event(each: TrafficBin) -> bool:
    return not _is_command(each)
