"""`ensemble new`: a project to begin with."""

from __future__ import annotations

from typing import Annotated

import typer

_EPILOG = "Example: `ensemble new coffee-house`; then `cd coffee-house` and `make test`."

Directory = Annotated[str, typer.Argument(metavar="DIR", help="A directory that is new or empty.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the project (default: that of the directory).")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(new)


def new(directory: Directory, name: Name = None) -> None:
    """Create a project with one service, its tests and a demo."""
    from pathlib import Path
    from shlex import quote

    from ensemble.command_line.new_project import new_project
    from ensemble.command_line.streams import say

    files = new_project(Path(directory), name)
    say(f"{len(files)} files in {directory}; try it: cd {quote(directory)} && make test && make demo")
