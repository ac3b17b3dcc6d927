"""`ensemble tail`: records as they come, decoded."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import AsJsonLines
from ensemble.command_line.selection import complete

_EPILOG = "Examples: `ensemble tail`; `ensemble tail my-service.events --from-beginning --limit 10 --json`."


def complete_topic(incomplete: str) -> list[str]:
    """Complete topic names for the shell."""
    return complete(incomplete, lambda application: [topic.name for topic in application.catalogue.topics])


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
Key = Annotated[str | None, typer.Option("--key", help="Only records with this key, or with a field of this value.")]
Until = Annotated[bool, typer.Option("--until-end", help="Stop at the current end of the topics.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(tail)


def tail(
    topics: Topics = None,
    from_beginning: FromBeginning = False,
    until_end: Until = False,
    limit: Limit = None,
    key: Key = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show records as they come, decoded, until Ctrl-C."""
    from ensemble.command_line.connection import connect
    from ensemble.command_line.tail import Selection, follow

    follow(
        connect(), Selection(tuple(topics or ()), from_beginning or until_end, until_end, limit, key), as_json=as_json
    )
