"""`ensemble incidents`: outages, as services have told of them."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import AsJson, NoCache, OfService

group = typer.Typer(help="List outages detected by services.")

Open = Annotated[bool, typer.Option("--open", help="Only incidents that have not ended.")]


@group.callback()
def _commands() -> None:
    """List outages detected by services."""


@group.command("list", epilog="Example: `ensemble incidents list --open`.")
def list_incidents(
    service: OfService = None, only_open: Open = False, no_cache: NoCache = False, as_json: AsJson = False
) -> None:
    """List incidents, newest first."""
    from ensemble.clock import duration
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise
    from ensemble.operations import list_incidents

    incidents = list_incidents(open_session(use_file=not no_cache), service, open_only=only_open)
    columns = ("incident", "service", "handler", "cause", "failures", "opened", "closed")
    rows = [(*(row[name] for name in columns), duration(row["lasted_ms"])) for row in incidents]
    nothing = "no incident is open" if only_open else "no incidents"
    show(Sheet((*columns, "lasted"), rows, spare=("incident", "failures"), nothing=nothing), incidents, as_json=as_json)
    if any(row["closed"] is None for row in incidents):
        advise(("it goes on by itself; to send nothing meanwhile", "steps pause STEP --reason '...'"))
