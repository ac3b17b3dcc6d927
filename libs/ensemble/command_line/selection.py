"""The application that commands are about: imported when a command first asks for it, since help needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ensemble.application.declaration import Application
    from ensemble.operations import ControlFlow


def application() -> Application:
    """Return the application that was selected, else the one that the environment or a pyproject.toml names.

    Raises ConfigurationError if there is none, or if it cannot be imported.
    """
    return _selections[-1].application


def control_flow() -> ControlFlow:
    """Return who decides on each message of that application."""
    return _selections[-1].control_flow


def select(load: Callable[[], Application]) -> None:
    """Have all commands of this process be about the application that `load` returns."""
    _selections[:] = [_Selection(load)]


def find(path: str | None = None) -> Application:
    """Return the application MODULE:NAME, else the one that the environment or a pyproject.toml names."""
    from ensemble.application import find_application

    return find_application(path)


def complete(names: Callable[[Application], Iterable[str]]) -> list[str]:
    """Return these names of the application, none without one: completion is no place for errors.

    Typer gives the shell those that begin with what was typed.
    """
    from ensemble.errors import EnsembleError

    try:
        return list(names(application()))
    except EnsembleError:
        return []


@dataclass(frozen=True)
class _Selection:
    load: Callable[[], Application]

    @cached_property
    def application(self) -> Application:
        return self.load()

    @cached_property
    def control_flow(self) -> ControlFlow:
        from ensemble.operations import ControlFlow

        return ControlFlow.of(self.application)


_selections = [_Selection(find)]
"""One, of this process: threads that a command starts are about the same application."""
