"""A running Prometheus, asked through its API."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

LIMIT_S = 90.0
MAY_BE_EMPTY = ("ALERTS", "ensemble_outages")
GIVEN_BY_GRAFANA = {"$service": ".*", "$__rate_interval": "1m"}


class Prometheus:
    def __init__(self, address: str) -> None:
        self._api = f"http://{address}/api/v1"

    def replicas(self) -> dict[str, int]:
        """How many replicas of each service it reads; none while it starts."""
        try:
            rows = self.query("count by (service) (ensemble_partitions)")
        except OSError:
            return {}
        return {series["metric"]["service"]: int(series["value"][1]) for series in rows}

    def empty(self, expressions: Iterable[str], may_be_empty: Sequence[str] = MAY_BE_EMPTY) -> list[str]:
        """Which of a dashboard's panels show nothing. That there are no alerts and no outages is no gap."""
        required = [each for each in expressions if not any(name in each for name in may_be_empty)]
        return [each for each in required if not self.query(each)]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what a panel of Grafana would get."""
        for name, value in GIVEN_BY_GRAFANA.items():
            expression = expression.replace(name, value)
        return list(self._get(f"query?{urlencode({'query': expression})}")["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules: how each is, and whether it fires."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, question: str) -> Any:
        with urlopen(f"{self._api}/{question}", timeout=LIMIT_S) as answer:
            return json.load(answer)["data"]
