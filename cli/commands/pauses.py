"""`ensemble pauses`, where the end of a pause lets its orders go on in waves."""

from __future__ import annotations

import typer

from cli.options import Waves, WaveWaiting
from ensemble.command_line.commands.pauses import (
    END_EXAMPLES,
    START_EXAMPLES,
    Name,
    ScopeName,
    list_pauses,
    start,
)
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action

group = typer.Typer(help="Pause and resume steps, command types and services.")
group.command("start", epilog=START_EXAMPLES)(start)


@group.command("end", epilog=END_EXAMPLES)
@expand_flags
def end(
    scope: ScopeName,
    name: Name,
    action: Action,
    waves: Waves,
    waiting: WaveWaiting,
) -> None:
    """End a pause. What it holds goes on, in waves after a probe.

    The orders of a step go first, and it stays paused if too many of a wave fail; other pauses end first. Exits 1 if
    a wave fails, or if a partition does not acknowledge it.
    """
    from cli.pause_commands import ResumeOptions
    from cli.pause_commands import resume as carry_out
    from ensemble.command_line.connection import connect
    from ensemble.command_line.selection import application
    from ensemble.operations import wide_pause

    wide_pause(application(), scope, name)  # a wrong name is told before a cluster is waited for
    options = ResumeOptions(
        action.intent(),
        waiting.timeout,
        action.yes,
        action.dry_run,
        waiting.no_wait,
        waiting.output,
        rollout=waves.rollout(waiting.timeout),
    )
    raise typer.Exit(carry_out(connect(), scope, name, options))


group.command("list", epilog="Example: `ensemble pauses list -o json`.")(list_pauses)
