"""Orders by the hundred while everything around them breaks, by a seeded plan; then all of it is judged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ensemble.testing.pytest import KAFKA_CHOICE
from tests.chaos.campaign import Campaign
from tests.chaos.chaos_system import IMPATIENT, PATIENT, chaos_system
from tests.chaos.settings import ChaosSettings
from tests.end_to_end.system import System

SEED = 7
"""Every change meets the same orders and the same plan; `make chaos` takes a fresh seed."""
SHORT: dict[str, Any] = {
    "kills": 3,
    "crashes": 35,
    "zombies": 2,
    "freezes": 2,
    "broker_kills": 1,
    "outages": 3,
    "pauses": 8,
    "tended_every_s": 5,
}


@pytest.fixture
def system(pytestconfig: pytest.Config, tmp_path: Path, patience: dict[str, str]) -> Iterator[System]:
    """Run a flow of the test's own, with a saga as patient as the test says."""
    with chaos_system(pytestconfig.stash[KAFKA_CHOICE], tmp_path, patience) as system:
        yield system


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("patience", "settings"),
    [
        pytest.param(PATIENT, ChaosSettings(SEED, orders=400, seconds=60, **SHORT), id="everything"),
        pytest.param(IMPATIENT, ChaosSettings(SEED, orders=200, seconds=20, kills=5), id="given-up-before-it-is-back"),
    ],
)
def test_every_order_ends_whatever_breaks(
    system: System, capsys: pytest.CaptureFixture[str], patience: dict[str, str], settings: ChaosSettings
) -> None:
    # given orders of every kind, and a plan of harm; the seed that is printed gives the same again
    planned = settings.with_environment()
    campaign = Campaign(system, planned, print, ends_as_kinds=patience is PATIENT)
    with capsys.disabled():
        print(f"\nENSEMBLE_CHAOS_SEED={planned.seed}: {planned}\nplan: {campaign.plan}")  # noqa: T201

    # when it is carried out, and then everything is healed
    report = campaign.run()

    # then all of it happened, every order has ended as it had to, and the independent check finds nothing
    with capsys.disabled():
        print(f"did, within {report['seconds']} s: {campaign.did}")  # noqa: T201
    assert report["clean"], readable(report)


def readable(report: dict[str, Any]) -> str:
    verify = report.pop("verify")
    return json.dumps(
        {**report, "violations": verify["violations"][:20], "problems": verify["problems"]}, indent=2, default=str
    )
