"""`ensemble incidents`: outages, as services have told of them."""

from __future__ import annotations

import typer

from ensemble.command_line.options import All, Limit, NoCache, OfService, Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="List outages detected by services.")


@group.callback()
def _commands() -> None:
    """List outages detected by services."""


@group.command("list", epilog="Example: `ensemble incidents list --all`.")
def list_incidents(
    service: OfService = None,
    everything: All = False,
    limit: Limit = 50,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """List incidents, newest first."""
    from ensemble.clock import duration
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.rows import incident_row
    from ensemble.command_line.streams import advise
    from ensemble.operations import list_incidents, now

    newest = list_incidents(open_session(use_file=not no_cache), service, open_only=not everything)[:limit]
    incidents = [incident_row(incident, now()) for incident in newest]
    columns = ("incident", "service", "handler", "cause", "failures", "opened", "closed")
    rows = [(*(row[name] for name in columns), duration(row["lasted_ms"])) for row in incidents]
    nothing = "no incidents" if everything else "no incident is open; --all shows those that have ended"
    show(Sheet((*columns, "lasted"), rows, spare=("incident", "failures"), nothing=nothing), incidents, output=output)
    if any(row["closed"] is None for row in incidents):
        advise(("it goes on by itself; to send nothing meanwhile", "pauses start step STEP --reason '...'"))
