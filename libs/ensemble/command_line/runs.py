"""Runs that a command does not wait for: everything is submitted, and nothing is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.streams import say
from ensemble.operations import Submitted

if TYPE_CHECKING:
    from ensemble.command_line.output_format import OutputFormat
    from ensemble.operations import EventStream, Rollout


def in_one_wave(rollout: Rollout, count: int) -> Rollout:
    """Return the rollout with all items in one wave: a second one would wait for what becomes of the first."""
    return rollout.model_copy(update={"probe": 0, "wave": max(count, 1), "stop_on_failure": False})


def submit(run: EventStream, count: int) -> list[str]:
    """Submit all items of a run, and return their names; what comes of them is not waited for."""
    names: list[str] = []
    for event in run.events() if count else ():
        if isinstance(event, Submitted):
            names.append(event.name)
            if len(names) == count:
                break
    run.close()
    return names


def show_submitted(names: list[str], count: int, *, output: OutputFormat) -> int:
    """Show what was submitted. Returns 0, for what comes of it is not known, or 1 if it is not all of `count`."""
    rows = [{"name": name, "outcome": "submitted"} for name in names]
    sheet = Sheet(("name", "outcome"), [(row["name"], row["outcome"]) for row in rows], nothing="nothing to submit")
    show(sheet, rows, output=output)
    if len(names) < count:
        say(f"{len(names)} of {count} were submitted; the others are as they were")
        return ExitCode.FAILED
    return ExitCode.DONE
