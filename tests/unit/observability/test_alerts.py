"""The alert rules ask for metrics that exist, lead to a runbook, and are each shown to fire."""

import re
from pathlib import Path

from prometheus_client import generate_latest

from ensemble.engine.batch import Counts
from ensemble.observability.metrics import STATUSES, LoopMetrics
from ensemble.policies.service import ParkingLimits
from tests.support.prometheus_files import CHECKOUT, alerts, read

ALERTS = alerts()
NAMES = [alert.name for alert in ALERTS]
EXPRESSIONS = " ".join(alert.expression for alert in ALERTS)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings that are one word."""
    return {heading.lower() for heading in re.findall(r"^#+ (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


def test_every_alert_asks_for_metrics_that_a_service_has() -> None:
    exposed = set(re.findall(r"ensemble_\w+", generate_latest(LoopMetrics("payment").registry).decode()))
    for alert in ALERTS:
        metrics = set(re.findall(r"ensemble_\w+", alert.expression))
        assert metrics
        assert metrics <= exposed, alert.name


def test_every_alert_leads_to_a_runbook_of_its_own_that_exists() -> None:
    anchors = headings(CHECKOUT / "docs" / "operations.md")
    assert {alert.runbook for alert in ALERTS} == {f"docs/operations.md#{name.lower()}" for name in NAMES}
    assert [name for name in NAMES if name.lower() not in anchors] == []
    assert {name for name in anchors if name.startswith("ensemble")} == {name.lower() for name in NAMES}


def test_the_table_of_metrics_names_every_alert_beside_a_metric_that_it_asks_for() -> None:
    rows = re.findall(r"^\| `(\w+)` .*\| (.*) \|$", (CHECKOUT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    said = {(metric, name) for metric, cell in rows for name in re.findall(r"\[(\w+)\]", cell)}
    asked = {alert.name: alert.expression for alert in ALERTS}
    assert {name for _, name in said} == set(NAMES)
    assert [(metric, name) for metric, name in said if metric not in asked[name]] == []


def test_labels_are_spelled_as_services_spell_them() -> None:
    outcomes = set(re.findall(r'outcome="(\w+)"', EXPRESSIONS))
    statuses = {status for value in re.findall(r'status=~"([\w|]+)"', EXPRESSIONS) for status in value.split("|")}
    assert outcomes
    assert statuses
    assert outcomes <= set(vars(Counts()))
    assert statuses <= set(STATUSES)


def test_half_of_what_may_be_parked_is_half_of_the_default() -> None:
    [alert] = [alert for alert in ALERTS if alert.name == "EnsembleParkingFills"]
    assert f"0.5 * {ParkingLimits().per_partition} *" in alert.expression


def test_every_alert_is_shown_to_fire() -> None:
    shown = [case for test in read("alerts.test.yml")["tests"] for case in test.get("alert_rule_test", [])]
    assert {case["alertname"] for case in shown if case["exp_alerts"]} == set(NAMES)


def test_alerts_have_one_of_two_severities_and_prometheus_loads_them() -> None:
    assert {alert.severity for alert in ALERTS} == {"page", "ticket"}
    assert len(NAMES) == len(set(NAMES))
    assert read("prometheus.yml")["rule_files"] == ["alerts.yml"]
