"""The reference of the command line, from the commands' own help."""

from __future__ import annotations

import re
from typing import Final

import typer
from typer.cli import get_docs_for_click

from cli.app import make_app

_TITLE: Final = "# Commands\n\nAll of `ensemble --help`. [Operations](../operations.md) shows when to use which.\n\n"
_SHORTENED: Final = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")
"""The list of a group's commands, whose sentences Typer cuts; each command has a chapter of its own."""
_TYPE: Final = re.compile(r"(?<=[A-Z/]) <[^>`]*>(?=`)")
"""Python's type behind the name of an argument."""


def render_commands() -> str:
    """Return the page: a chapter for each group of commands and each command."""
    root = typer.main.get_command(make_app())
    text = get_docs_for_click(obj=root, ctx=typer.Context(root), name="ensemble")
    text = _TYPE.sub("", text)
    return _TITLE + _SHORTENED.sub("", text.partition("\n")[2].replace("* `--help`: Show this message and exit.\n", ""))
