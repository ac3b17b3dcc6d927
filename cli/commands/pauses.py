"""`ensemble steps|commands|services pause|resume`, and `ensemble pauses list`: what is paused for all orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.flags import expand_flags
from cli.options import AsJson, Asker, Waves, Yes, complete_service

if TYPE_CHECKING:
    from ensemble.system_messages import Scope

steps = typer.Typer(help="Pause and resume saga steps for all orders.")
commands = typer.Typer(help="Pause and resume command types for all orders.")
services = typer.Typer(help="Pause and resume services.")
group = typer.Typer(help="List what is paused for all orders.")


def complete_step(incomplete: str) -> list[str]:
    """Complete step names for the shell."""
    from cli.wide_pauses import step_names

    return [name for name in step_names() if name.startswith(incomplete)]


def complete_command(incomplete: str) -> list[str]:
    """Complete command types for the shell."""
    from cli.wide_pauses import command_names

    return [name for name in command_names() if name.lower().startswith(incomplete.lower())]


Step = Annotated[
    str, typer.Argument(metavar="STEP", help="Step of the saga, such as payment.", autocompletion=complete_step)
]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="Name of the command type.", autocompletion=complete_command)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the service.", autocompletion=complete_service)]
Acknowledged = Annotated[
    float, typer.Option("--ack", min=0.1, max=86_400, help="Seconds to wait for all partitions to acknowledge.")
]


class Words(NamedTuple):
    """What a command says of itself."""

    help: str
    example: str


def _add(app: typer.Typer, scope: Scope, argument: Any, texts: tuple[Words, Words]) -> None:
    """Add `pause` and `resume` for one scope of pauses."""

    def pause(name: str, asker: Asker, acknowledged: Acknowledged = 15.0, as_json: AsJson = False) -> None:
        from cli.connection import connect
        from cli.pause_commands import PauseOptions
        from cli.pause_commands import pause as carry_out
        from cli.wide_pauses import wide_pause

        what, manner = wide_pause(scope, name), PauseOptions(asker.operator(), acknowledged, as_json=as_json)
        raise typer.Exit(carry_out(connect(), what, manner))

    def resume(
        name: str,
        waves: Waves,
        asker: Asker,
        acknowledged: Acknowledged = 15.0,
        yes: Yes = False,
        as_json: AsJson = False,
    ) -> None:
        from cli.connection import connect
        from cli.pause_commands import PauseOptions
        from cli.pause_commands import resume as carry_out
        from cli.wide_pauses import wide_pause

        what, manner = wide_pause(scope, name), PauseOptions(asker.operator(), acknowledged, yes, waves.pace(), as_json)
        raise typer.Exit(carry_out(connect(), what, manner))

    for command, text in zip((pause, resume), texts, strict=True):
        command.__annotations__["name"] = argument
        register: Callable[[Any], Any] = app.command(help=text.help, epilog=f"Example: `ensemble {text.example}`.")
        spelled: Callable[..., None] = expand_flags(command)  # type: ignore[arg-type]  # two signatures, one loop
        register(spelled)


_add(
    steps,
    "step",
    Step,
    (
        Words(
            "Pause a saga step for all orders. Neither its command nor its undo is sent.",
            "steps pause payment --reason 'the provider is down'",
        ),
        Words(
            "End the pause of a step. Its orders resume first, in waves. Exits 1 if a wave fails.",
            "steps resume payment --probe 1 --wave 20 --reason 'works again'",
        ),
    ),
)
_add(
    commands,
    "command",
    Type,
    (
        Words(
            "Pause a command type. It is neither sent nor handled; sent ones wait at their service.",
            "commands pause AttemptCharge --reason 'wrong release'",
        ),
        Words(
            "End the pause of a command type. Waiting commands continue, then its orders, in waves.",
            "commands resume AttemptCharge --reason 'rolled back'",
        ),
    ),
)
_add(
    services,
    "service",
    Name,
    (
        Words(
            "Pause a service. It stops processing, and nothing is sent to it. A conductor still records replies.",
            "services pause inventory --reason 'moving house'",
        ),
        Words(
            "End the pause of a service. It continues where it stopped, then its orders, in waves.",
            "services resume inventory --reason 'moved'",
        ),
    ),
)


@group.callback()
def _commands() -> None:
    """List what is paused for all orders."""


@group.command("list", epilog="Example: `ensemble pauses list`; for single orders, `ensemble orders list --paused`.")
def list_pauses(as_json: AsJson = False) -> None:
    """List active pauses and which partitions have acknowledged them."""
    from cli.connection import connect
    from cli.output import Sheet, show
    from cli.wide_pauses import list_pauses

    pauses = list_pauses(connect())
    columns = ("scope", "name", "since", "by", "reason", "known_to", "everywhere")
    rows = [tuple(_in_words(row[name]) for name in columns) for row in pauses]
    nothing = "nothing is paused for all orders; for paused orders: ensemble orders list --paused"
    show(Sheet(columns, rows, spare=("known_to",), nothing=nothing), pauses, as_json=as_json)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return {True: "yes", False: "no"}.get(value, str(value))
