"""All commands in one application. Modules of commands import Typer alone; what a command needs it imports itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Literal, Protocol

from ensemble.command_line.commands import (
    acls,
    audit,
    certificates,
    config,
    consumers,
    dead_letters,
    doctor,
    incidents,
    new,
    parked,
    pauses,
    policies,
    publish,
    records,
    run,
    schemas,
    status,
    tail,
    topics,
    topology,
)
from ensemble.command_line.empty_values import refuse_empty_values
from ensemble.command_line.selection import find, select
from ensemble.command_line.streams import is_terminal
from ensemble.extras import imports_of_extra
from ensemble.program import PROGRAM_VARIABLE

with imports_of_extra("cli", "the command line"):
    import typer

Style = Literal["rich"] | None


class CommandModule(Protocol):
    """A module with one command."""

    def add_to(self, app: typer.Typer) -> None:
        """Register the command."""


@dataclass(frozen=True)
class CommandSet:
    """Commands of a program, and groups of them by name. Of one name, the later one counts."""

    modules: Sequence[CommandModule] = ()
    groups: Mapping[str, typer.Typer] = field(default_factory=dict)


LIBRARY: Final = CommandSet(
    modules=(status, doctor, new, run, publish, tail),
    groups=MappingProxyType(
        {
            "dead-letters": dead_letters.group,
            "parked": parked.group,
            "incidents": incidents.group,
            "steps": pauses.steps,
            "commands": pauses.commands,
            "services": pauses.services,
            "pauses": pauses.group,
            "audit": audit.group,
            "consumers": consumers.group,
            "records": records.group,
            "topics": topics.group,
            "schemas": schemas.group,
            "acls": acls.group,
            "certificates": certificates.group,
            "topology": topology.group,
            "policies": policies.group,
            "config": config.group,
        }
    ),
)
"""The commands that serve any application."""

_HELP: Final = "Run, inspect and operate the services of an application on Kafka."
_EPILOG: Final = (
    "The application is --app MODULE:NAME, else ENSEMBLE_APP, else `app` under [tool.ensemble] of a pyproject.toml in "
    "this folder or above. Example: `ensemble --app my_project.app:APP topology show`."
)


def _select(path: str | None) -> str | None:
    """Select the application, also for completion, which calls no command."""
    if path is not None:
        select(lambda: find(path))
        os.environ[PROGRAM_VARIABLE] = os.environ.get(PROGRAM_VARIABLE) or f"ensemble --app {path}"
    return path


App = Annotated[
    str | None,
    typer.Option(
        "--app", "-A", metavar="MODULE:NAME", help="The application, such as my_project.app:APP.", callback=_select
    ),
]


def make_app() -> typer.Typer:
    """Build the command line of the library."""
    program = assemble(LIBRARY, help_text=_HELP, epilog=_EPILOG)

    @program.callback()
    def _options(app: App = None) -> None:
        """Take what all commands share."""

    return program


def assemble(commands: CommandSet, *, help_text: str, epilog: str) -> typer.Typer:
    """Build a program of these commands. Help has colours and frames on a terminal only."""
    style: Style = "rich" if is_terminal() else None
    app = typer.Typer(
        help=help_text, epilog=epilog, no_args_is_help=True, rich_markup_mode=style, pretty_exceptions_enable=False
    )
    for module in commands.modules:
        module.add_to(app)
    for name, group in commands.groups.items():
        app.add_typer(group, name=name, no_args_is_help=True)
    refuse_empty_values(app)
    return app
