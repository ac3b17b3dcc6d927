"""`ensemble tail`: records as they come, decoded; those of one order, if one is named."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.tail import Filters, Topics
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

_EPILOG = "Examples: `ensemble tail --since 10m`; `ensemble tail orders.events --from-beginning --limit 10 --json`."

Order = Annotated[str | None, typer.Option("--order", metavar="ORDER_ID", help="Only records of this order.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(expand_flags(tail))


def tail(filters: Filters, topics: Topics = None, order: Order = None, output: Output = TABLE) -> None:
    """Show records as they come, decoded, until Ctrl-C."""
    from cli.tail import follow
    from ensemble.command_line.connection import connect

    selection = filters.selection(topics, order, output=output)
    follow(connect(), selection, order, output=output)
