"""The alert rules that Prometheus is given, as they lie here, and Prometheus itself where this machine has it."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
PROMETHEUS = CHECKOUT / "deploy" / "prometheus"


class Alert(NamedTuple):
    """One rule."""

    name: str
    expression: str
    severity: str
    runbook: str


def read(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))


def alerts() -> list[Alert]:
    rules = [rule for group in read("alerts.yml")["groups"] for rule in group["rules"]]
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"]["runbook"]) for rule in rules
    ]


def program(name: str) -> str:
    """Return the path of a program of Prometheus; without one the test is named as not run."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"not run: no {name} here; on Debian: apt-get install prometheus")
    return path
