"""Runs that a command does not wait for: everything is submitted, and nothing is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.output import Sheet, show
from ensemble.operations import Submitted

if TYPE_CHECKING:
    from ensemble.command_line.output_format import OutputFormat
    from ensemble.operations import EventStream


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


def show_submitted(names: list[str], *, output: OutputFormat) -> int:
    """Show what was submitted. Returns 0: what comes of it is not known."""
    rows = [{"name": name, "outcome": "submitted"} for name in names]
    sheet = Sheet(("name", "outcome"), [(row["name"], row["outcome"]) for row in rows], nothing="nothing to submit")
    show(sheet, rows, output=output)
    return ExitCode.DONE
