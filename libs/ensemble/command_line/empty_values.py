"""Refuses empty texts on the command line: most often a variable of a script that nobody has set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, get_args, get_type_hints

from ensemble.command_line.errors import Mistake
from ensemble.extras import imports_of_extra

with imports_of_extra("cli", "the command line"):
    import typer
    from typer.models import OptionInfo


def refuse_empty_values(program: typer.Typer) -> None:
    """Have all commands of a program refuse an empty value, by the name of its flag or argument."""
    for command in program.registered_commands:
        if command.callback is not None and not hasattr(command.callback, "refuses_empty_values"):
            command.callback = _refusing(command.callback)
    for group in program.registered_groups:
        if group.typer_instance is not None:
            refuse_empty_values(group.typer_instance)


def _refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    hints = get_type_hints(command, include_extras=True)

    @wraps(command)
    def run(**values: Any) -> Any:
        for name, value in values.items():
            if value == "" or (isinstance(value, list | tuple) and "" in value):
                raise Mistake(
                    f"{_spelling(name, get_args(hints.get(name)))}: the value is empty; give one, or leave it out"
                )
        return command(**values)

    run.refuses_empty_values = True  # type: ignore[attr-defined]  # a group may be part of several programs
    return run


def _spelling(name: str, marks: Iterable[Any]) -> str:
    """Return a flag or an argument as the user knows it."""
    for mark in marks:
        if isinstance(mark, OptionInfo):  # in `Annotated`, Typer takes the first name for the default at first
            flags = [str(each) for each in (mark.default, *(mark.param_decls or ())) if str(each).startswith("-")]
            return max(flags, key=len, default=f"--{name.replace('_', '-')}")
        if metavar := getattr(mark, "metavar", None):
            return str(metavar)
    return name.upper()
