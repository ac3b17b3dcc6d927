"""`ensemble tail`: records as they come, decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ensemble.command_line.commands.publish import complete_type
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE
from ensemble.command_line.selection import complete

if TYPE_CHECKING:
    from ensemble.command_line.output_format import OutputFormat
    from ensemble.command_line.tail import Selection

_EPILOG = "Examples: `ensemble tail`; `ensemble tail my-service.events --since 1h --type Placed -n 10 -o json`."


def complete_topic() -> list[str]:
    """Complete topic names for the shell."""
    return complete(lambda application: [topic.name for topic in application.catalogue.topics])


Topics = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TOPIC",
        help="Topics to show (default: all topics of commands and events).",
        autocompletion=complete_topic,
    ),
]
FromBeginning = Annotated[bool, typer.Option("--from-beginning", help="Show existing records first.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Stop after N records.")]
Key = Annotated[str | None, typer.Option("--key", help="Only records with this key, or with a field of this value.")]
Until = Annotated[bool, typer.Option("--until-end", help="Stop at the current end of the topics.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Show records since: 10m, 2h, 2026-01-31.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this message type; repeatable.", autocompletion=complete_type),
]
Grep = Annotated[
    str | None, typer.Option("--grep", metavar="REGEX", help="Only records whose key, type or fields match.")
]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition of each topic.")]
Template = Annotated[
    str | None,
    typer.Option("--format", "-f", metavar="TEXT", help="Print this of each record, such as '{time} {type} {key}'."),
]


@dataclass(frozen=True)
class Filters:
    """Which records, and what is printed of each."""

    from_beginning: FromBeginning = False
    since: Since = None
    until_end: Until = False
    key: Key = None
    type_name: Types = None
    grep: Grep = None
    partition: Partition = None
    limit: Limit = None
    form: Template = None

    def selection(self, topics: list[str] | None, key: str | None = None, *, output: OutputFormat = TABLE) -> Selection:
        """Return the selection. Raises Mistake for a time or a pattern that cannot be parsed, and for two forms."""
        import re

        from ensemble.command_line.errors import Mistake
        from ensemble.command_line.tail import Selection, require_types
        from ensemble.command_line.times import moment_ms
        from ensemble.operations import now

        if self.form is not None and output is not TABLE:
            raise Mistake(f"--format: it says what is printed; leave out --output {output}")
        try:
            pattern = re.compile(self.grep) if self.grep else None
        except re.error as error:
            raise Mistake(f"--grep: {self.grep!r} is no regular expression: {error}") from None
        since = None if self.since is None else moment_ms(self.since, "--since", now())
        return Selection(
            tuple(topics or ()),
            self.from_beginning or (self.until_end and since is None),
            self.until_end,
            self.limit,
            key or self.key,
            since,
            require_types(self.type_name or ()),
            pattern,
            self.partition,
            self.form,
        )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(expand_flags(tail))


def tail(filters: Filters, topics: Topics = None, output: Output = TABLE) -> None:
    """Show records as they come, decoded, until Ctrl-C."""
    from ensemble.command_line.connection import connect
    from ensemble.command_line.tail import follow

    selection = filters.selection(topics, output=output)
    follow(connect(), selection, output=output)
