"""`ensemble dead-letters`: what was given up, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson

group = typer.Typer(help="Records that a service has given up, and why.")

Service = Annotated[str | None, typer.Option("--service", help="This service's only.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The latest so many.")]
Place = Annotated[str, typer.Argument(metavar="DEAD_LETTER", help="TOPIC/PARTITION/OFFSET, as `list` shows it.")]


@group.command("list", epilog="Example: `ensemble dead-letters list --service payment`.")
def list_dead_letters(service: Service = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """The latest dead letters."""
    from cli.connection import reach
    from cli.dead_letters import listed
    from cli.output import Sheet, show

    found = listed(reach(), service, limit)
    columns = ("place", "failed_at", "type", "key", "error", "message", "attempts")
    rows = [tuple(row[name] for name in columns) for row in found]
    spare = ("attempts", "failed_at", "key", "type")
    show(Sheet(columns, rows, spare=spare, nothing="no dead letters"), found, as_json=as_json)


@group.command(epilog="Example: `ensemble dead-letters show payment.dead-letter/2/0`.")
def show(place: Place, as_json: AsJson = False) -> None:
    """One dead letter: where it came from, why it was given up, and the original record."""
    from cli.connection import reach
    from cli.dead_letters import one
    from cli.output import show_document

    show_document(one(reach(), place), as_json=as_json)
