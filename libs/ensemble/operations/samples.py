"""How the services were, every few seconds of the last hour: what no topic tells, kept in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from ensemble.errors import EnsembleError
from ensemble.kafka.client import TopicPlace
from ensemble.operations.endpoints import Endpoints
from ensemble.operations.lag import LagSource, PartitionLag, read_lag
from ensemble.operations.readiness import ask_readiness
from ensemble.operations.service_metrics import ServiceCounters, ask_counters

_HOUR_MS: Final = 3_600_000
_HUNG_AFTER_MS: Final = 15_000
_OLD_AFTER_MS: Final = 30_000


class SampledCluster(LagSource, Protocol):
    """What is asked of a cluster: a `ClusterClient` answers it."""

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...


@dataclass(frozen=True)
class Sample:
    """How all services were at a time (epoch milliseconds)."""

    at: int
    lags: Sequence[PartitionLag] | None = None
    """None: the brokers did not answer."""
    hung: Mapping[TopicPlace, int] = field(default_factory=dict)
    """Offsets that readers do not see, behind a transaction that has been open for long."""
    counters: Mapping[str, ServiceCounters] = field(default_factory=dict)
    """What processes have counted; services that did not answer are missing."""
    stopped: Mapping[str, int | None] = field(default_factory=dict)
    """The services of which no process runs, with the time of the first sample that said so.

    None where the first sample of all did: since when is not known.
    """
    unready: Mapping[str, str] = field(default_factory=dict)
    """Why a process of a service is not ready, for those of which one is not."""

    @property
    def behind(self) -> dict[str, int]:
        """How many offsets each service is behind its inputs."""
        behind: dict[str, int] = {}
        for lag in self.lags or ():
            behind[lag.group] = behind.get(lag.group, 0) + lag.behind
        return behind

    @property
    def hidden(self) -> dict[str, int]:
        """How many offsets of its inputs a transaction that hangs hides from each service that has any."""
        hidden: dict[str, int] = {}
        for lag in self.lags or ():
            if count := self.hung.get((lag.topic, lag.partition)):
                hidden[lag.group] = hidden.get(lag.group, 0) + count
        return hidden


class Samples:
    """The samples of the last hour. One thread takes them; any thread may read."""

    def __init__(
        self,
        cluster: SampledCluster,
        services: Sequence[str],
        endpoints: Endpoints | None = None,
        stopped: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """Ask these services' groups, and their processes where addresses are known; `stopped` says who does not run.

        `stopped` may raise an EnsembleError: then nothing is known of that.
        """
        self._cluster, self._services, self._endpoints = cluster, services, endpoints or Endpoints()
        self._ask_stopped = stopped
        self._stopped: Mapping[str, int | None] | None = None
        self._samples: deque[Sample] = deque()
        self._open: dict[tuple[TopicPlace, int], int] = {}

    @property
    def has_endpoints(self) -> bool:
        """Whether processes are asked what they have counted."""
        return bool(self._endpoints.urls)

    def take(self, at: int) -> Sample:
        """Ask, and keep the answers as those of a time (epoch milliseconds); never fails."""
        sample = Sample(at, **self._ask_processes())
        with suppress(EnsembleError):
            lags = read_lag(self._cluster, self._services)
            sample = replace(sample, lags=lags, hung=self._hung(lags, at), stopped=self._note_stopped(at))
        self._samples.append(sample)
        while self._samples[0].at <= at - _HOUR_MS:
            self._samples.popleft()
        return sample

    def all(self) -> tuple[Sample, ...]:
        """Return all samples, the oldest first."""
        return tuple(self._samples)

    def at(self, moment: int) -> Sample | None:
        """Return the latest sample that was taken up to a moment (epoch milliseconds).

        None if there is none of the 30 seconds before: an older one says nothing of the moment.
        """
        samples = self.all()
        place = bisect_right(samples, moment, key=lambda sample: sample.at)
        if not place or moment - samples[place - 1].at > _OLD_AFTER_MS:
            return None
        return samples[place - 1]

    def _ask_processes(self) -> dict[str, Any]:
        if not self.has_endpoints:
            return {}
        answers = ask_readiness(self._endpoints)
        reasons = {name: [each.reason for each in answer if not each.is_ready] for name, answer in answers.items()}
        unready = {name: each[0] for name, each in reasons.items() if each}
        return {"counters": ask_counters(self._endpoints), "unready": unready}

    def _note_stopped(self, at: int) -> Mapping[str, int | None]:
        """Return who does not run, and since when: of who did not when it was first asked, nobody knows that."""
        before, since = (self._stopped, at) if self._stopped is not None else ({}, None)
        self._stopped = {name: before.get(name, since) for name in self._ask_stopped()}
        return self._stopped

    def _hung(self, lags: Sequence[PartitionLag], at: int) -> dict[TopicPlace, int]:
        """Return the offsets behind transactions that have been open since samples that are long ago."""
        ends = {(lag.topic, lag.partition): lag.end for lag in lags}
        highs = self._cluster.high_watermarks(list(ends))
        is_open = {(place, end) for place, end in ends.items() if highs[place] > end}
        self._open = {key: self._open.get(key, at) for key in is_open}
        return {place: highs[place] - end for (place, end), since in self._open.items() if at - since >= _HUNG_AFTER_MS}
