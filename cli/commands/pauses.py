"""`ensemble steps|commands|services pause|resume`, where the end of a pause lets its orders go on in waves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import Waves
from ensemble.command_line.commands.pauses import PAUSES, Acknowledged, Help, add_pause, group, register
from ensemble.command_line.options import AsJson, Asker, Yes

if TYPE_CHECKING:
    from ensemble.system_messages import Scope

__all__ = ["commands", "group", "services", "steps"]

steps = typer.Typer(help="Pause and resume saga steps for all orders.")
commands = typer.Typer(help="Pause and resume command types for all orders.")
services = typer.Typer(help="Pause and resume services.")


def _add_resume(app: typer.Typer, scope: Scope, text: Help) -> None:
    """Add `resume` for one scope of pauses."""

    def resume(
        name: str,
        waves: Waves,
        asker: Asker,
        acknowledged: Acknowledged = 15.0,
        yes: Yes = False,
        as_json: AsJson = False,
    ) -> None:
        from cli.pause_commands import ResumeOptions
        from cli.pause_commands import resume as carry_out
        from ensemble.command_line.connection import connect
        from ensemble.command_line.selection import application
        from ensemble.operations import wide_pause

        wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
        options = ResumeOptions(asker.intent(), acknowledged, as_json, yes, waves.rollout())
        raise typer.Exit(carry_out(connect(), scope, name, options))

    register(app, resume, PAUSES[scope][0], text)


add_pause(steps, "step")
_add_resume(
    steps,
    "step",
    Help(
        "End the pause of a step. Its orders resume first, in waves. Exits 1 if a wave fails.",
        "steps resume payment --probe 1 --wave 20 --reason 'works again'",
    ),
)
add_pause(commands, "command")
_add_resume(
    commands,
    "command",
    Help(
        "End the pause of a command type. Waiting commands continue, then its orders, in waves.",
        "commands resume AttemptCharge --reason 'rolled back'",
    ),
)
add_pause(services, "service")
_add_resume(
    services,
    "service",
    Help(
        "End the pause of a service. It continues where it stopped, then its orders, in waves.",
        "services resume inventory --reason 'moved'",
    ),
)
