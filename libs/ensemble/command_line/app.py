"""All commands in one application. Modules of commands import Typer alone; what a command needs it imports itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Protocol

from ensemble.command_line.commands import (
    acls,
    audit,
    certificates,
    config,
    consumers,
    context,
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
    runs,
    schemas,
    status,
    tail,
    topics,
    topology,
)
from ensemble.command_line.empty_values import refuse_empty_values
from ensemble.command_line.exit_codes import summary
from ensemble.command_line.grammar import PANELS, GrammarGroup, apply_grammar
from ensemble.command_line.help_pages import WIDTH
from ensemble.command_line.selection import find, select
from ensemble.command_line.streams import write
from ensemble.extras import imports_of_extra
from ensemble.program import PROGRAM_VARIABLE

with imports_of_extra("cli", "the command line"):
    import typer


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
            "pauses": pauses.group,
            "audit": audit.group,
            "consumers": consumers.group,
            "records": records.group,
            "runs": runs.group,
            "topics": topics.group,
            "schemas": schemas.group,
            "acls": acls.group,
            "certificates": certificates.group,
            "topology": topology.group,
            "policies": policies.group,
            "config": config.group,
            "context": context.group,
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
    def _options(app: App = None, profile: ProfileName = None, version: Version = False) -> None:  # noqa: FBT002  as Typer calls it
        """Take what all commands share."""

    return program


def assemble(commands: CommandSet, *, help_text: str, epilog: str) -> typer.Typer:
    """Build a program of these commands."""
    app = typer.Typer(
        cls=GrammarGroup,
        help=help_text,
        epilog=f"{epilog}\n\nExit codes: {summary()}.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
    )
    for module in commands.modules:
        module.add_to(app)
    for name, group in commands.groups.items():
        app.add_typer(group, name=name, no_args_is_help=True, rich_help_panel=PANELS.get(name))
    for command in app.registered_commands:
        command.rich_help_panel = PANELS.get(str(command.name or getattr(command.callback, "__name__", "")))
    refuse_empty_values(app)
    apply_grammar(app)
    return app


def _show_version(is_asked: bool) -> None:  # noqa: FBT001  as Typer calls it
    if is_asked:
        from ensemble import __version__

        write(f"ensemble {__version__}")
        raise typer.Exit


def _use_profile(name: str | None) -> str | None:
    if name is not None:
        from ensemble.command_line.profiles import find_profile, use

        use(find_profile(name))
    return name


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="The cluster of this profile, see `context`.",
        callback=_use_profile,
        autocompletion=context.complete_profile,
    ),
]
Version = Annotated[bool, typer.Option("--version", help="Show the release.", callback=_show_version, is_eager=True)]
