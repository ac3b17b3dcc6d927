"""A real Prometheus reads a service: promtool finds nothing wrong, and every query of the dashboard has an answer."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from ensemble.engine.batch import Counts
from ensemble.free_ports import free_ports
from ensemble.observability.health import HealthServer
from ensemble.observability.metrics import STATUSES, LoopMetrics
from ensemble.testing.on_kafka import wait_for
from tests.support.grafana_dashboard import DASHBOARD, EXPRESSIONS
from tests.support.prometheus_api import Prometheus
from tests.support.prometheus_files import PROMETHEUS, alerts, program

SERVICE = "payment"
SINCE = 1_750_000_000_000
TASK: Any = SimpleNamespace(
    stores=SimpleNamespace(
        parking=SimpleNamespace(
            entries=lambda: [SimpleNamespace(status=status, since=SINCE) for status in STATUSES], record_count=5
        )
    ),
    calls=SimpleNamespace(in_flight=range(1)),
    outputs=range(2),
    counts=SimpleNamespace(**dict.fromkeys(vars(Counts()), 1)),
)


def troubled() -> LoopMetrics:
    """Return the metrics of a service that has everything that a dashboard shows."""
    metrics = LoopMetrics(SERVICE)
    metrics.watch_partitions(lambda: 4)
    metrics.record_batch([TASK], 0.01)
    metrics.record_parked([TASK], SINCE + 7_200_000)
    metrics.record_stopped(1, ["Charger.charge"])
    metrics.record_expiring(1)
    metrics.record_open_transactions(3, 60)
    metrics.record_stuck(60)
    metrics.record_clock_skew(2)
    metrics.record_abort()
    return metrics


@pytest.fixture
def scraped() -> Iterator[int]:
    """Serve those metrics as a service does; return the port."""
    [port] = free_ports(1)
    server = HealthServer(str, str, troubled().registry)
    server.start("127.0.0.1", port)
    yield port
    server.stop()


@pytest.fixture
def prometheus(scraped: int, tmp_path: Path) -> Iterator[Prometheus]:
    """Start a Prometheus that reads them once a second, with our rules."""
    [port] = free_ports(1)
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text()) | {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(PROMETHEUS / "alerts.yml")],
        "scrape_configs": [{"job_name": "ensemble", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program("prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)
        yield Prometheus(f"127.0.0.1:{port}")
        process.terminate()
        process.wait(30)


def test_every_query_of_the_dashboard_shows_something_and_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    # given a service in all kinds of trouble
    # when a Prometheus reads it
    wait_for(lambda: prometheus.replicas() == {SERVICE: 1}, "Prometheus reads the service", 60)

    # then no panel stays empty, the variable has its values, and no rule has an error
    wait_for(lambda: not prometheus.empty(EXPRESSIONS, may_be_empty=()), "every panel shows something", 60)
    [variable] = DASHBOARD["templating"]["list"]
    assert variable["query"]["query"] == "label_values(ensemble_partitions, service)"
    wait_for(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"}, "every rule was evaluated", 60)
    rules = {rule["name"]: rule["state"] for rule in prometheus.rules()}
    assert set(rules) == {alert.name for alert in alerts()}
    assert {name for name, state in rules.items() if state == "firing"} >= {"EnsembleStuck", "EnsembleOpenTransaction"}


def promtool(*arguments: str, text: str = "") -> str:
    done = subprocess.run([program("promtool"), *arguments], input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 and "FAILED" not in done.stdout else done.stdout + done.stderr


def test_the_rules_fire_when_they_should_and_are_silent_on_a_healthy_day() -> None:
    assert promtool("test", "rules", str(PROMETHEUS / "alerts.test.yml")) == ""


def test_prometheus_takes_the_configuration_with_the_rules() -> None:
    assert promtool("check", "config", str(PROMETHEUS / "prometheus.yml")) == ""


def test_the_names_of_the_metrics_follow_the_conventions() -> None:
    text = generate_latest(troubled().registry).decode()
    assert promtool("check", "metrics", text=text) == ""
    assert "counter" in promtool("check", "metrics", text="# TYPE ensemble_outputs counter\nensemble_outputs 1\n")
