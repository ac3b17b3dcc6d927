"""The library's command line on an application that is not the order flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.command_line import selection
from ensemble.command_line.__main__ import run
from ensemble.command_line.exit_codes import ExitCode

CAFE = ("--app", "examples.app:APP")


@pytest.fixture(autouse=True)
def _selection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a command has selected."""
    monkeypatch.setattr(selection, "_selections", [*selection._selections])


def test_each_command_is_about_the_application_of_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CAFE, "topology", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"services": ["loyalty"], "problems": []}
    assert run([*CAFE, "topology", "show", "--format", "asyncapi", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["info"] == {"title": "cafe", "version": "0"}
    assert run([*CAFE, "policies", "show", "--json"]) == 0
    assert [one["service"] for one in json.loads(capsys.readouterr().out)] == ["loyalty"]
    assert run([*CAFE, "acls", "show", "--json"]) == 0
    assert {row["principal"] for row in json.loads(capsys.readouterr().out)} == {"User:loyalty"}


def test_the_settings_of_another_application_are_not_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CAFE, "config", "show", "--json"]) == 0
    variables = {row["variable"] for row in json.loads(capsys.readouterr().out)}
    assert "KAFKA_BOOTSTRAP_SERVERS" in variables
    assert not [name for name in variables if "PAYMENT" in name or "FULFILMENT" in name]


def test_settings_are_lines_with_their_variable_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "h:9092")
    assert run([*CAFE, "config", "show"]) == 0
    assert "KAFKA_BOOTSTRAP_SERVERS\th:9092\tenvironment" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "kitchen"], ExitCode.NOT_FOUND, ["SERVICE", "kitchen", "loyalty"]),
        (["run"], ExitCode.USAGE, ["SERVICE"]),
        (["policies", "show", "kitchen"], ExitCode.NOT_FOUND, ["SERVICE", "kitchen", "loyalty"]),
        (["pauses", "start", "service", "kitchen", "--reason", "x"], ExitCode.NOT_FOUND, ["NAME", "loyalty"]),
        (["pauses", "end", "command", "Stamp", "--reason", "x"], ExitCode.NOT_FOUND, ["TYPE", "StampCard"]),
        (["pauses", "end", "queue", "x", "--reason", "x"], ExitCode.USAGE, ["SCOPE", "queue", "service"]),
        (["orders", "list"], ExitCode.USAGE, ["orders"]),
    ],
)
def test_a_mistake_names_what_the_application_has(
    arguments: list[str], code: ExitCode, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CAFE, *arguments]) == code
    said = capsys.readouterr().err
    assert [word for word in words if word not in said] == []


def test_a_wrong_application_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--app", "examples.app:CAFE", "topics", "list"]) == 2
    said = capsys.readouterr().err
    assert said == "ensemble: --app examples.app:CAFE: examples.app has no 'CAFE'; it has APP\n"


def test_help_needs_no_application(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--app", "nowhere:APP", "topics", "list", "--help"]) == 0
    assert "Usage: ensemble topics list" in capsys.readouterr().out


def test_start_up_imports_nothing_heavy() -> None:
    code = (
        "import sys, ensemble.command_line.app as it; it.make_app()\n"
        "print(*{'pydantic', 'confluent_kafka', 'fastavro', 'aiohttp', 'structlog', 'rich.live'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(("app", "completed"), [("examples.app:APP", ["loyalty"]), ("gone:APP", [])])
def test_the_shell_completes_what_the_application_has(app: str, completed: list[str]) -> None:
    words = {"COMP_WORDS": f"ensemble --app {app} run ", "COMP_CWORD": "4"}
    environment = {**os.environ, **words, "_ENSEMBLE_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "ensemble.command_line"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert (done.stdout.split(), done.stderr) == (completed, "")


def test_completion_without_an_application_is_no_place_for_errors() -> None:
    selection.select(lambda: selection.find("gone:APP"))
    assert selection.complete(lambda application: [application.name]) == []
