"""The dashboard shows metrics that exist, and Grafana is told where it and its data are."""

import re
from itertools import combinations
from typing import Any

import yaml
from prometheus_client import generate_latest

from ensemble.engine.batch import Counts
from ensemble.observability.metrics import LoopMetrics
from tests.support.grafana_dashboard import DASHBOARD, EXPRESSIONS, GRAFANA, PANELS

ROOT = GRAFANA.parents[1]


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def provisioned(what: str) -> dict[str, Any]:
    """The one thing of its kind that Grafana is given."""
    [path] = (GRAFANA / "provisioning" / what).glob("*.yml")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["apiVersion"] == 1
    [provider] = content["providers" if what == "dashboards" else what]
    return dict(provider)


def mounts(service: str) -> dict[str, str]:
    """What of the checkout a container sees, by the path where it sees it."""
    volumes = (volume.split(":") for volume in read("docker-compose.yml")["services"][service]["volumes"])
    return {at: source for source, at, *_ in volumes if source.startswith("./")}


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_every_panel_asks_for_a_metric_that_a_service_has() -> None:
    metrics = LoopMetrics("payment")
    exposed = set(re.findall(r"ensemble_\w+", generate_latest(metrics.registry).decode()))
    for expression in EXPRESSIONS:
        assert set(re.findall(r"ensemble_\w+", expression)) <= exposed


def test_every_metric_has_a_panel() -> None:
    queries = " ".join(EXPRESSIONS)
    assert [metric.name for metric in LoopMetrics("payment").registry.collect() if metric.name not in queries] == []


def test_outcomes_are_spelled_as_they_are_counted() -> None:
    outcomes = {name for expression in EXPRESSIONS for name in re.findall(r'outcome="(\w+)"', expression)}
    assert outcomes
    assert outcomes <= set(vars(Counts()))


def test_every_panel_asks_the_source_that_grafana_is_given() -> None:
    source = provisioned("datasources")
    datasources = [panel["datasource"] for panel in PANELS]
    datasources += [target.get("datasource", datasources[0]) for panel in PANELS for target in panel["targets"]]
    datasources += [variable["datasource"] for variable in DASHBOARD["templating"]["list"]]
    assert {(each["type"], each["uid"]) for each in datasources} == {(source["type"], source["uid"])}


def test_grafana_reaches_prometheus_under_its_name_in_compose() -> None:
    services = read("docker-compose.yml")["services"]
    assert provisioned("datasources")["url"] == "http://prometheus:9090"
    assert services["prometheus"]["profiles"] == services["grafana"]["profiles"] == ["observability"]


def test_grafana_looks_for_dashboards_where_compose_puts_them() -> None:
    mounted = mounts("grafana")
    assert mounted[provisioned("dashboards")["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"


def test_panels_have_names_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    assert not [pair for pair in combinations([panel["gridPos"] for panel in PANELS], 2) if overlap(*pair)]
