"""A drill's terminal shows what an operator would see, and a drill that fails says so."""

from __future__ import annotations

import os

import pytest
import typer
from typer.testing import CliRunner

from tests.drills.__main__ import main
from tests.drills.stage import DrillFailed, must
from tests.drills.terminal import CommandResult, run


@pytest.mark.parametrize(
    ("line", "text", "code"),
    [
        (r"printf '\033[1mbold\033[0m\n'", "bold", 0),
        (r"printf '1 of 2\r2 of 2\n'", "2 of 2", 0),
        (r"printf 'name\tvalue\n'", "name    value", 0),
        ("sh -c 'test -t 1 && test -t 2'", "", 0),
        ("sh -c 'echo out; echo err >&2; exit 3'", "out\nerr", 3),
    ],
)
def test_a_command_is_kept_as_the_terminal_shows_it(line: str, text: str, code: int) -> None:
    assert run(line, os.environ) == CommandResult(text, code)


def test_the_program_is_run_as_if_it_was_typed() -> None:
    ran = run("./ensemble orders shwo", {**os.environ, "ENSEMBLE_DATA_DIR": "/nowhere"})
    assert ran.code == 2
    assert "No such command 'shwo'. Did you mean 'show'?" in ran.text


def test_what_repeats_is_shortened() -> None:
    long = CommandResult("\n".join(map(str, range(9))), 0)
    assert long.head(2) == "0\n1\n... and 7 more lines"
    assert long.head(8) == long.text
    assert long.head(None) == long.text


def test_what_must_be_is() -> None:
    must(["something"], "it is there")
    with pytest.raises(DrillFailed, match="it is not"):
        must([], "it is not there")


def test_a_name_that_is_no_drill_is_answered_with_those_there_are() -> None:
    app = typer.Typer()
    app.command()(main)
    answer = CliRunner().invoke(app, ["provider-up"])
    assert answer.exit_code == 2
    assert "there is no such drill" in answer.output
