"""The library's command line on a real Kafka, with an application that is not the order flow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ensemble.testing.clusters import Cluster
from tests.support.forks import CHECKOUT, Fork

MODULE = "ensemble.command_line"
APP = ["--app", "examples.app:APP"]
STAMP = ["publish", "StampCard", "--card", "ada", "-o", "json"]


@pytest.fixture
def command(kafka: Cluster) -> list[str]:
    return [sys.executable, "-m", MODULE, *APP]


def answers(command: list[str], *arguments: str, kafka: Cluster) -> list[Any]:
    """Run a command and return the JSON of each line, or of the document that it prints."""
    done = subprocess.run(
        [*command, *arguments], cwd=CHECKOUT, env=environment(kafka), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()] if "tail" in arguments else json.loads(done.stdout)


def environment(kafka: Cluster) -> dict[str, str]:
    return {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "ENSEMBLE_LOG_LEVEL": "error"}


def test_its_topics_are_made_and_its_service_runs_until_it_is_stopped(
    command: list[str], kafka: Cluster, tmp_path: Path
) -> None:
    # given
    topics = answers(command, "topics", "apply", "--json", kafka=kafka)
    assert {"cafe-loyalty.commands", "loyalty.dead-letter"} <= {row["topic"] for row in topics}
    service = subprocess.Popen([*command, "run", "loyalty", "--port", "0"], cwd=CHECKOUT, env=environment(kafka))

    # when
    try:
        answers(command, *STAMP, kafka=kafka)
        with (tmp_path / "more").open("wb") as more:
            rest = [Fork(MODULE, [*APP, *STAMP], more.fileno(), environment=environment(kafka)) for _ in range(9)]
        assert [each.wait(120) for each in rest] == [0] * 9
        follow = ("tail", "cafe-loyalty.events", "--from-beginning", "--key", "ada", "--limit", "1", "--json")
        (earned,) = answers(command, *follow, kafka=kafka)
    finally:
        service.send_signal(signal.SIGTERM)

    # then
    assert (earned["type"], earned["sender"], earned["fields"]["cards_filled"]) == ("FreeCoffeeEarned", "loyalty", 1)
    assert service.wait(30) == 0
