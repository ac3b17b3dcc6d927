"""Metrics of one service process, added up once a batch. Base units, Prometheus names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ensemble.engine.batch import Counts
from ensemble.engine.task import PartitionTask
from ensemble.system_messages.state import ParkedStatus

STATUSES: Final[tuple[str, ...]] = get_args(ParkedStatus)


class LoopMetrics:
    """Counts what the loop does, in a registry of its own, so that tests can have several."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        names, own = ["service"], self.registry
        records = Counter("ensemble_records", "Records by outcome", [*names, "outcome"], registry=own)
        self._records = {outcome: records.labels(service, outcome) for outcome in vars(Counts())}
        """Of every outcome, from 0 on, or no rate sees the first one of a process."""
        self._outputs = Counter("ensemble_outputs", "Messages put out", names, registry=own).labels(service)
        self._batches = Histogram(
            "ensemble_batch_seconds",
            "From a poll to its commit",
            names,
            registry=own,
            buckets=(0.002, 0.004, 0.006, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 15),
        ).labels(service)
        self._aborts = Counter("ensemble_transaction_aborts", "Transactions aborted", names, registry=own).labels(
            service
        )
        self._partitions = Gauge("ensemble_partitions", "Partitions running", names, registry=own).labels(service)
        self._parked = Gauge("ensemble_parked_keys", "Keys held back", [*names, "status"], registry=own)
        self._parked_records = _gauge("ensemble_parked_records", "Records that wait parked", service, own)
        self._parked_oldest = _gauge("ensemble_parked_oldest_seconds", "Age of the oldest parked key", service, own)
        self._in_flight = _gauge("ensemble_calls_in_flight", "Slow calls under way", service, own)
        self._stopped = _gauge("ensemble_partitions_stopped", "Partitions that take no records", service, own)
        self._stuck = _gauge("ensemble_stuck_seconds", "How long the same offsets have made no progress", service, own)
        self._skew = _gauge("ensemble_clock_skew_seconds", "How far a clock is wrong, at least", service, own)
        self._expiring = _gauge("ensemble_partitions_expiring", "Partitions whose unread records expire", service, own)
        self._outages = Gauge("ensemble_outages", "Handlers that are out", [*names, "handler"], registry=own)
        self._hidden = _gauge("ensemble_open_transaction_records", "Input behind an open transaction", service, own)
        self._hidden_for = _gauge("ensemble_open_transaction_seconds", "How long the oldest is open", service, own)
        self._service = service

    def record_batch(self, tasks: Iterable[PartitionTask], seconds: float) -> None:
        """Count a batch that was committed."""
        self._batches.observe(seconds)
        for task in tasks:
            self._outputs.inc(len(task.outputs))
            for outcome, count in vars(task.counts).items():
                if count:
                    self._records[outcome].inc(count)

    def record_parked(self, tasks: Iterable[PartitionTask], now: int) -> None:
        """Set the gauges of parked keys and calls in flight, as of `now` (epoch milliseconds)."""
        entries = [entry for task in tasks for entry in task.stores.parking.entries()]
        for status in STATUSES:
            self._parked.labels(self._service, status).set(sum(entry.status == status for entry in entries))
        self._parked_oldest.set(max((now - entry.since for entry in entries), default=0) / 1000)
        self._parked_records.set(sum(task.stores.parking.record_count for task in tasks))
        self._in_flight.set(sum(len(task.calls.in_flight) for task in tasks))

    def record_stopped(self, stopped: int, out: Iterable[str]) -> None:
        """Set the number of partitions that take no records, and the handlers whose circuit is open."""
        self._stopped.set(stopped)
        self._outages.clear()
        for handler in out:
            self._outages.labels(self._service, handler).set(1)

    def record_expiring(self, partitions: int) -> None:
        """Set in how many partitions unread records have used up half of their retention."""
        self._expiring.set(partitions)

    def record_open_transactions(self, records: int, seconds: float) -> None:
        """Set how many input records an open transaction hides from readers, and for how long already."""
        self._hidden.set(records)
        self._hidden_for.set(seconds)

    def record_stuck(self, seconds: float) -> None:
        """Set for how long batches of the same offsets have failed, again and again."""
        self._stuck.set(seconds)

    def record_clock_skew(self, seconds: float) -> None:
        """Set how far this machine's clock is behind another one, at least."""
        self._skew.set(seconds)

    def record_abort(self) -> None:
        """Count a batch that was aborted."""
        self._aborts.inc()

    def watch_partitions(self, partitions: Callable[[], int]) -> None:
        """Set what returns the number of partitions that run, called whenever the metrics are read."""
        self._partitions.set_function(partitions)


def _gauge(name: str, help_text: str, service: str, registry: CollectorRegistry) -> Gauge:
    """Return a gauge of the whole service."""
    return Gauge(name, help_text, ["service"], registry=registry).labels(service)
