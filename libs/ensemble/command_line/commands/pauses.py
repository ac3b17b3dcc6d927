"""`ensemble steps|commands|services pause|resume`, and `ensemble pauses list`: what is paused as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import AsJson, Asker, NoCache, complete_service
from ensemble.command_line.selection import complete

if TYPE_CHECKING:
    from ensemble.system_messages import Scope

steps = typer.Typer(help="Pause and resume saga steps.")
commands = typer.Typer(help="Pause and resume command types.")
services = typer.Typer(help="Pause and resume services.")
group = typer.Typer(help="List paused steps, command types and services.")


def complete_step(incomplete: str) -> list[str]:
    """Complete step names for the shell."""
    from ensemble.operations import step_names

    return complete(incomplete, step_names)


def complete_command(incomplete: str) -> list[str]:
    """Complete command types for the shell."""
    from ensemble.operations import command_names

    return complete(incomplete, command_names)


Step = Annotated[
    str, typer.Argument(metavar="STEP", help="Step of the saga, such as payment.", autocompletion=complete_step)
]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="Name of the command type.", autocompletion=complete_command)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the service.", autocompletion=complete_service)]
Acknowledged = Annotated[
    float, typer.Option("--ack", min=0.1, max=86_400, help="Seconds to wait for all partitions to acknowledge.")
]


class Help(NamedTuple):
    """What a command says of itself."""

    help: str
    example: str


PAUSES: Final[Mapping[Scope, tuple[Any, Help]]] = {
    "step": (
        Step,
        Help(
            "Pause a saga step. Neither its command nor its undo is sent.",
            "steps pause payment --reason 'the provider is down'",
        ),
    ),
    "command": (
        Type,
        Help(
            "Pause a command type. It is neither sent nor handled; sent ones wait at their service.",
            "commands pause AttemptCharge --reason 'wrong release'",
        ),
    ),
    "service": (
        Name,
        Help(
            "Pause a service. It stops processing, and nothing is sent to it. A conductor still records replies.",
            "services pause inventory --reason 'moving house'",
        ),
    ),
}
"""The argument and the help of each `pause`."""
_RESUMES: Final[Mapping[Scope, Help]] = {
    "step": Help("End the pause of a saga step.", "steps resume payment --reason 'works again'"),
    "command": Help(
        "End the pause of a command type. Waiting commands continue.",
        "commands resume AttemptCharge --reason 'rolled back'",
    ),
    "service": Help(
        "End the pause of a service. It continues where it stopped.", "services resume inventory --reason 'moved'"
    ),
}


def add_pause(app: typer.Typer, scope: Scope) -> None:
    """Add `pause` for one scope of pauses."""
    argument, text = PAUSES[scope]

    def pause(name: str, asker: Asker, acknowledged: Acknowledged = 15.0, as_json: AsJson = False) -> None:
        from ensemble.command_line.connection import open_session
        from ensemble.command_line.pause_commands import PauseOptions, carry_out
        from ensemble.command_line.selection import application
        from ensemble.operations import WorkPauses, wide_pause

        wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
        options, session = PauseOptions(asker.intent(), acknowledged, as_json=as_json), open_session()
        raise typer.Exit(carry_out(session, WorkPauses(session).plan_start(scope, name), options))

    register(app, pause, argument, text)


def add_resume(app: typer.Typer, scope: Scope) -> None:
    """Add `resume` for one scope of pauses."""

    def resume(name: str, asker: Asker, acknowledged: Acknowledged = 15.0, as_json: AsJson = False) -> None:
        from ensemble.command_line.connection import open_session
        from ensemble.command_line.pause_commands import PauseOptions, carry_out
        from ensemble.command_line.selection import application
        from ensemble.operations import WorkPauses, wide_pause

        wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
        options, session = PauseOptions(asker.intent(), acknowledged, as_json=as_json), open_session()
        raise typer.Exit(carry_out(session, WorkPauses(session).plan_end(scope, name), options))

    register(app, resume, PAUSES[scope][0], _RESUMES[scope])


def register(app: typer.Typer, command: Callable[..., None], argument: Any, text: Help) -> None:
    """Add a command whose `name` is the argument."""
    command.__annotations__["name"] = argument
    app.command(help=text.help, epilog=f"Example: `ensemble {text.example}`.")(expand_flags(command))


_APPS: Final[Mapping[Scope, typer.Typer]] = {"step": steps, "command": commands, "service": services}
for _scope, _app in _APPS.items():
    add_pause(_app, _scope)
    add_resume(_app, _scope)


@group.callback()
def _commands() -> None:
    """List paused steps, command types and services."""


@group.command("list", epilog="Example: `ensemble pauses list --json`.")
def list_pauses(no_cache: NoCache = False, as_json: AsJson = False) -> None:
    """List pauses, also those that wait to be taken, and how many partitions have acknowledged them."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.view import pauses_view
    from ensemble.operations import list_pauses

    session = open_session()
    with pauses_view(session, use_file=not no_cache) as view:
        pauses = list_pauses(session, view)
    columns = ("scope", "name", "since", "by", "reason", "known_to", "everywhere")
    rows = [tuple(_in_words(row[name]) for name in columns) for row in pauses]
    nothing = "no step, command type or service is paused"
    show(Sheet(columns, rows, spare=("known_to",), nothing=nothing), pauses, as_json=as_json)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return {True: "yes", False: "no"}.get(value, str(value))
