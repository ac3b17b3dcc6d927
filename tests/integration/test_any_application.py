"""The library's command line on a real Kafka, with an application that is not the order flow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.command_line import selection
from ensemble.command_line.__main__ import run
from ensemble.testing.clusters import Cluster

CHECKOUT = Path(__file__).parents[2]


CAFE = ("--app", "examples.app:APP")


@pytest.fixture(autouse=True)
def _selection(monkeypatch: pytest.MonkeyPatch, kafka: Cluster) -> None:
    """Forget afterwards what a command has selected."""
    monkeypatch.setattr(selection, "_selections", [*selection._selections])
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("ENSEMBLE_LOG_LEVEL", "error")


@pytest.mark.timeout(180)
def test_its_topics_are_made_and_its_service_runs_until_it_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    # given
    assert run([*CAFE, "topics", "apply", "--json"]) == 0
    topics = json.loads(capsys.readouterr().out)
    assert {"cafe-loyalty.commands", "loyalty.dead-letter"} <= {row["topic"] for row in topics}
    command = [sys.executable, "-m", "ensemble.command_line", *CAFE, "run", "loyalty", "--port", "0"]
    service = subprocess.Popen(command, cwd=CHECKOUT)

    # when
    try:
        for _ in range(10):
            assert run([*CAFE, "publish", "StampCard", "--card", "ada", "-o", "json"]) == 0
        capsys.readouterr()
        follow = ("tail", "cafe-loyalty.events", "--from-beginning", "--key", "ada", "--limit", "1", "--json")
        assert run([*CAFE, *follow]) == 0
        earned = json.loads(capsys.readouterr().out)
    finally:
        service.send_signal(signal.SIGTERM)

    # then
    assert (earned["type"], earned["sender"], earned["fields"]["cards_filled"]) == ("FreeCoffeeEarned", "loyalty", 1)
    assert service.wait(30) == 0
