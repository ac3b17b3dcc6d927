"""Metrics of one service process, added up once a batch. Base units, Prometheus names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ensemble.task import PartitionTask


class LoopMetrics:
    """What the loop counts. One registry a process, so that tests can have several."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        names, own = ["service"], self.registry
        self._records = Counter("ensemble_records", "Records by outcome", [*names, "outcome"], registry=own)
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
        self._service = service

    def batch(self, tasks: Iterable[PartitionTask], seconds: float) -> None:
        """One batch was committed."""
        self._batches.observe(seconds)
        for task in tasks:
            self._outputs.inc(len(task.outputs))
            for outcome, count in vars(task.counts).items():
                if count:
                    self._records.labels(self._service, outcome).inc(count)

    def aborted(self) -> None:
        """One batch was thrown away."""
        self._aborts.inc()

    def running(self, partitions: Callable[[], int]) -> None:
        """How many partitions this process works on, asked whenever somebody looks."""
        self._partitions.set_function(partitions)
