"""How the services were, every few seconds of the last hour: what no topic tells, kept in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ensemble.errors import EnsembleError
from ensemble.kafka.client import TopicPlace
from ensemble.operations.endpoints import Endpoints
from ensemble.operations.lag import LagSource, PartitionLag, read_lag
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

    def __init__(self, cluster: SampledCluster, services: Sequence[str], endpoints: Endpoints | None = None) -> None:
        """Ask these services' groups, and their processes where addresses are known."""
        self._cluster, self._services, self._endpoints = cluster, services, endpoints or Endpoints()
        self._samples: deque[Sample] = deque()
        self._open: dict[tuple[TopicPlace, int], int] = {}

    @property
    def has_endpoints(self) -> bool:
        """Whether processes are asked what they have counted."""
        return bool(self._endpoints.urls)

    def take(self, at: int) -> Sample:
        """Ask, and keep the answers as those of a time (epoch milliseconds); never fails."""
        counters = ask_counters(self._endpoints) if self.has_endpoints else {}
        try:
            lags = read_lag(self._cluster, self._services)
            sample = Sample(at, lags, self._hung(lags, at), counters)
        except EnsembleError:
            sample = Sample(at, counters=counters)
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

    def _hung(self, lags: Sequence[PartitionLag], at: int) -> dict[TopicPlace, int]:
        """Return the offsets behind transactions that have been open since samples that are long ago."""
        ends = {(lag.topic, lag.partition): lag.end for lag in lags}
        highs = self._cluster.high_watermarks(list(ends))
        is_open = {(place, end) for place, end in ends.items() if highs[place] > end}
        self._open = {key: self._open.get(key, at) for key in is_open}
        return {place: highs[place] - end for (place, end), since in self._open.items() if at - since >= _HUNG_AFTER_MS}
