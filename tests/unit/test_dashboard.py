"""The dashboard shows metrics that exist."""

import json
import re
from pathlib import Path

from prometheus_client import generate_latest

from ensemble.batch import Counts
from ensemble.metrics import LoopMetrics

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "ensemble.json"
EXPRESSIONS = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]


def test_every_panel_asks_for_a_metric_that_a_service_has() -> None:
    metrics = LoopMetrics("payment")
    exposed = set(re.findall(r"ensemble_\w+", generate_latest(metrics.registry).decode()))
    for expression in EXPRESSIONS:
        assert set(re.findall(r"ensemble_\w+", expression)) <= exposed


def test_outcomes_are_spelled_as_they_are_counted() -> None:
    asked = {name for expression in EXPRESSIONS for name in re.findall(r'outcome="(\w+)"', expression)}
    assert asked
    assert asked <= set(vars(Counts()))
