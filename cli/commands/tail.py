"""`ensemble tail`: records as they come, decoded; those of one order, if one is named."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.tail import FromBeginning, Limit, Topics, Until
from ensemble.command_line.options import AsJsonLines

_EPILOG = "Examples: `ensemble tail`; `ensemble tail orders.events --from-beginning --limit 10 --json`."

Order = Annotated[str | None, typer.Option("--order", metavar="ORDER_ID", help="Only records of this order.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(tail)


def tail(
    topics: Topics = None,
    from_beginning: FromBeginning = False,
    until_end: Until = False,
    limit: Limit = None,
    order: Order = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show records as they come, decoded, until Ctrl-C."""
    from cli.tail import follow
    from ensemble.command_line.connection import connect
    from ensemble.command_line.tail import Selection

    selection = Selection(tuple(topics or ()), from_beginning or until_end, until_end, limit, order)
    follow(connect(), selection, as_json=as_json)
