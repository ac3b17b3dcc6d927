"""A project that `ensemble new` has made, as whoever made it would try it: its tests, its demo, its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ensemble.command_line.__main__ import run
from ensemble.testing.clusters import Cluster

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project in a directory that has nothing to do with this checkout."""
    directory = tmp_path_factory.mktemp("projects") / "tea-room"
    assert run(["new", str(directory)]) == 0
    return directory


def made(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `make`, with the Python of this environment instead of one that has to be downloaded."""
    return subprocess.run(
        ["make", *arguments, f"PYTHON={sys.executable}"],  # noqa: S607  the `make` of whoever tries it
        cwd=project,
        env={**os.environ, "MYPYPATH": str(CHECKOUT / "libs"), **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_all_its_tests_pass(project: Path, kafka: Cluster) -> None:
    done = made(project, "test", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 7 passed" in done.stdout


def test_its_demo_shows_what_became_of_each_parcel(project: Path, kafka: Cluster) -> None:
    done = made(project, "demo", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [word for word in ("ParcelAccepted", "CourierBooked", "CourierRefused") if word not in done.stdout] == []


def test_its_own_checks_find_nothing(project: Path) -> None:
    done = made(project, "lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 service, 2 topics: every rule holds" in done.stderr


def test_its_compose_file_starts_what_its_application_has(project: Path) -> None:
    compose: dict[str, Any] = yaml.safe_load((project / "docker-compose.yml").read_text(encoding="utf-8"))
    commands = {name: service.get("command") for name, service in compose["services"].items()}
    application = ["--app", "tea_room.app:APP"]
    assert commands == {
        "kafka": None, "topics": [*application, "topics", "apply"], "parcels": [*application, "run", "parcels"],
    }  # fmt: skip
