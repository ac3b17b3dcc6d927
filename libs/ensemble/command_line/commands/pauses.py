"""`ensemble pauses`: steps, command types and services that are paused as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action, NoCache, Output, Timeout, Waiting
from ensemble.command_line.output_format import TABLE
from ensemble.command_line.selection import complete

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ensemble.application.declaration import Application
    from ensemble.system_messages import Scope

group = typer.Typer(help="Pause and resume steps, command types and services.")


def complete_name(context: typer.Context) -> list[str]:
    """Complete names of the scope that was typed before."""
    return complete(lambda application: _names_of(application, context.params.get("scope")))


def _names_of(application: Application, scope: Scope | None) -> Iterable[str]:
    from ensemble.operations import command_names, step_names

    return {"step": step_names, "command": command_names}.get(str(scope), lambda each: each.services)(application)


ScopeName = Annotated[
    Literal["step", "command", "service"],
    typer.Argument(metavar="SCOPE", help="step, command or service: a saga's step, a command type, or a service."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as payment.", autocompletion=complete_name)]
START_EXAMPLES = (
    "Examples: `ensemble pauses start step payment --reason 'the provider is down'`; "
    "`ensemble pauses start command AttemptCharge --reason 'wrong release'`."
)
END_EXAMPLES = "Example: `ensemble pauses end step payment --reason 'works again'`."


@dataclass(frozen=True)
class PauseWaiting(Waiting):
    """Partitions acknowledge a pause within a rebalance, if their services run."""

    timeout: Timeout = 15.0


@group.command("start", epilog=START_EXAMPLES)
@expand_flags
def start(
    scope: ScopeName,
    name: Name,
    action: Action,
    waiting: PauseWaiting,
) -> None:
    """Pause a step, a command type or a service.

    A step's commands and undos are not sent. A command type is neither sent nor handled. A service stops processing,
    and nothing is sent to it; a conductor still records replies. Exits 1 if a partition does not acknowledge it.
    """
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.pause_commands import PauseOptions, start_pause
    from ensemble.command_line.selection import application
    from ensemble.operations import WorkPauses, wide_pause

    wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
    options = PauseOptions(
        action.intent(), waiting.timeout, action.yes, action.dry_run, waiting.no_wait, waiting.output
    )
    session = open_session()
    raise typer.Exit(start_pause(session, WorkPauses(session).plan_start(scope, name), options))


def end(
    scope: ScopeName,
    name: Name,
    action: Action,
    waiting: PauseWaiting,
) -> None:
    """End a pause. Exits 1 if a partition does not acknowledge it."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.pause_commands import PauseOptions, end_pause
    from ensemble.command_line.selection import application
    from ensemble.operations import WorkPauses, wide_pause

    wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
    options = PauseOptions(
        action.intent(), waiting.timeout, action.yes, action.dry_run, waiting.no_wait, waiting.output
    )
    session = open_session()
    raise typer.Exit(end_pause(session, WorkPauses(session).plan_end(scope, name), options))


group.command("end", epilog=END_EXAMPLES)(expand_flags(end))


@group.command("list", epilog="Example: `ensemble pauses list -o json`.")
def list_pauses(no_cache: NoCache = False, output: Output = TABLE) -> None:
    """List pauses and which partitions have acknowledged them.

    Also those that no partition has read yet.
    """
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.rows import pause_row
    from ensemble.command_line.streams import advise
    from ensemble.command_line.view import pauses_view
    from ensemble.operations import list_pauses

    session = open_session()
    with pauses_view(session, use_file=not no_cache) as view:
        pauses = [pause_row(pause) for pause in list_pauses(session, view)]
    columns = ("scope", "name", "since", "by", "reason", "known_to", "everywhere")
    rows = [tuple(_in_words(row[name]) for name in columns) for row in pauses]
    nothing = "no step, command type or service is paused"
    show(Sheet(columns, rows, spare=("known_to",), nothing=nothing, name="name"), pauses, output=output)
    if pauses:
        advise(("let it go on", f"pauses end {pauses[0]['scope']} {pauses[0]['name']} --reason '...'"))


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return {True: "yes", False: "no"}.get(value, str(value))
