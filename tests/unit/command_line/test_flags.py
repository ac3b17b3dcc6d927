"""Flags that commands take together are spelled out one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ensemble.command_line.flags import expand_flags

Name = Annotated[str | None, typer.Option("--name")]


@dataclass(frozen=True)
class Who:
    name: Name = None
    loud: bool = False


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @expand_flags
    def greet(word: str, who: Who, times: int = 1) -> None:
        """Say it."""
        typer.echo(f"{word} {who.name} {who.loud} {times}")

    return app


def test_each_field_is_a_flag_of_the_command(app: typer.Typer) -> None:
    ran = CliRunner().invoke(app, ["hi", "--name", "ann", "--loud", "--times", "2"])
    assert ran.output == "hi ann True 2\n"


def test_fields_keep_their_defaults(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["hi"]).output == "hi None False 1\n"


def test_the_help_is_the_commands_own(app: typer.Typer) -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(word in output for word in ("Say it.", "--name", "--loud", "--times"))
