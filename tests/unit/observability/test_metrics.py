"""What the gauges and counters of a service say, read as a scraper reads them."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ensemble.engine.batch import Counts
from ensemble.observability.metrics import LoopMetrics

NOW = 1_750_000_100_000


class Parking:
    def __init__(self, *entries: tuple[str, int], records: int) -> None:
        self._entries = [SimpleNamespace(status=status, since=since) for status, since in entries]
        self.record_count = records

    def entries(self) -> list[SimpleNamespace]:
        return self._entries


def task(*entries: tuple[str, int], records: int = 0, in_flight: int = 0, outputs: int = 0, **counts: int) -> Any:
    """Make what the metrics read of a partition's task."""
    return SimpleNamespace(
        stores=SimpleNamespace(parking=Parking(*entries, records=records)),
        calls=SimpleNamespace(in_flight=range(in_flight)),
        outputs=range(outputs),
        counts=SimpleNamespace(**counts),
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> LoopMetrics:
    return LoopMetrics("payment", registry)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"ensemble_{name}", {"service": "payment", **labels})


def test_parked_keys_are_counted_by_status_and_the_oldest_gives_the_age(
    metrics: LoopMetrics, registry: CollectorRegistry
) -> None:
    tasks = [
        task(("retrying", NOW - 5_000), ("dead_lettered", NOW - 90_000), records=3, in_flight=1),
        task(("retrying", NOW - 7_000), records=4, in_flight=2),
    ]
    metrics.record_parked(tasks, NOW)
    assert [value(registry, "parked_keys", status=status) for status in ("retrying", "dead_lettered")] == [2, 1]
    assert value(registry, "parked_oldest_seconds") == 90
    assert value(registry, "parked_records") == 7
    assert value(registry, "calls_in_flight") == 3

    metrics.record_parked([task()], NOW)
    assert value(registry, "parked_keys", status="retrying") == 0
    assert value(registry, "parked_oldest_seconds") == 0


def test_a_batch_counts_its_outcomes_outputs_and_time(metrics: LoopMetrics, registry: CollectorRegistry) -> None:
    metrics.record_batch([task(outputs=2, handled=3, parked=0), task(outputs=1, handled=1)], seconds=0.5)
    assert value(registry, "records_total", outcome="handled") == 4
    assert value(registry, "records_total", outcome="parked") == 0
    assert value(registry, "outputs_total") == 3
    assert (value(registry, "batch_seconds_count"), value(registry, "batch_seconds_sum")) == (1, 0.5)


def test_every_outcome_counts_from_zero_so_that_a_rate_sees_the_first(
    metrics: LoopMetrics, registry: CollectorRegistry
) -> None:
    assert [value(registry, "records_total", outcome=name) for name in vars(Counts())] == [0] * 7


def test_each_gauge_says_what_was_set_last(metrics: LoopMetrics, registry: CollectorRegistry) -> None:
    metrics.record_stopped(2, ["Charger.charge"])
    assert value(registry, "partitions_stopped") == 2
    assert value(registry, "outages", handler="Charger.charge") == 1
    metrics.record_stopped(0, [])
    assert value(registry, "outages", handler="Charger.charge") is None
    metrics.record_expiring(3)
    metrics.record_open_transactions(4, 5.5)
    metrics.record_stuck(6)
    metrics.record_clock_skew(7)
    metrics.record_abort()
    metrics.watch_partitions(lambda: 8)
    names = (
        "partitions_expiring",
        "open_transaction_records",
        "open_transaction_seconds",
        "stuck_seconds",
        "clock_skew_seconds",
        "transaction_aborts_total",
        "partitions",
    )
    assert [value(registry, name) for name in names] == [3, 4, 5.5, 6, 7, 1, 8]


def test_batches_are_counted_by_bounds_from_two_milliseconds_to_fifteen_seconds(
    metrics: LoopMetrics, registry: CollectorRegistry
) -> None:
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    bounds = [sample.labels["le"] for sample in samples if sample.name == "ensemble_batch_seconds_bucket"]
    assert bounds == ["0.002", "0.004", "0.006", "0.01", "0.02", "0.05", "0.1", "0.25", "1.0", "5.0", "15.0", "+Inf"]
