"""Messages name the command of the application that runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.kafka.authorization import refusal
from ensemble.program import PROGRAM_VARIABLE, command


def test_a_command_is_that_of_the_library_where_nobody_says_how_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRAM_VARIABLE, "")
    assert command("topics apply") == "ensemble topics apply"


def test_a_message_names_the_program_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRAM_VARIABLE, "ensemble --app cafe.app:APP")
    assert refusal("User:bar", "READ topic x").endswith("with `ensemble --app cafe.app:APP acls apply`")


def test_the_command_line_of_an_application_says_which_one_it_is_about() -> None:
    code = (
        "from ensemble.command_line.__main__ import run; from ensemble.program import command; "
        "run(['--app', 'examples.app:APP', 'policies', 'show']); print(command('topics apply'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert result.stdout.splitlines()[-1] == "ensemble --app examples.app:APP topics apply"
