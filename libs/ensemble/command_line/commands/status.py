"""`ensemble status`: how the application is, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ensemble.command_line.options import NoCache, Output
from ensemble.command_line.output_format import TABLE

if TYPE_CHECKING:
    from ensemble.operations.view import View

EPILOG = "Examples: `ensemble status`; `ensemble status --watch`."

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until Ctrl-C.")]
Every = Annotated[float, typer.Option("--every", min=0.5, max=3600, help="Seconds between two looks, with --watch.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EPILOG)(status)


def status(watch: Watch = False, every: Every = 2.0, no_cache: NoCache = False, output: Output = TABLE) -> None:
    """Show services, lag, failures, incidents and pauses."""
    from ensemble.command_line.connection import endpoints, open_session
    from ensemble.command_line.status_screen import Screen, StatusOptions, show_status
    from ensemble.operations import findings_of, read_status, status_projections

    session, options = open_session(), StatusOptions(every if watch else None, not no_cache, output)

    def read(view: View) -> Screen:
        current = read_status(session, view, endpoints())
        return Screen(current, findings_of(current))

    show_status(session, status_projections(session), read, options)
