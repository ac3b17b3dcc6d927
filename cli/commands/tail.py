"""`ensemble tail`: records as they come, decoded."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJsonLines

_EPILOG = "Examples: `ensemble tail`; `ensemble tail orders.events --from-beginning --limit 10 --json`."


def complete_topic(incomplete: str) -> list[str]:
    """Complete topic names for the shell."""
    from contracts.catalogue import CATALOGUE

    return [topic.name for topic in CATALOGUE.topics if topic.name.startswith(incomplete)]


Topics = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TOPIC]...",
        help="Topics to show (default: all topics of commands and events).",
        autocompletion=complete_topic,
    ),
]
FromBeginning = Annotated[bool, typer.Option("--from-beginning", help="Show existing records first.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Stop after N records.")]
Order = Annotated[str | None, typer.Option("--order", metavar="ORDER_ID", help="Only records of this order.")]
Until = Annotated[bool, typer.Option("--until-end", help="Stop at the current end of the topics.")]


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
    from cli.connection import connect
    from cli.tail import Selection, follow

    follow(
        connect(), Selection(tuple(topics or ()), from_beginning or until_end, until_end, limit, order), as_json=as_json
    )
