"""`ensemble topics`: what the catalogue says, and what the cluster has."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

group = typer.Typer(help="Create and compare the topics of the catalogue.")

Replication = Annotated[int, typer.Option("--replication", min=1, max=9, help="Replicas of each new topic.")]


@group.command(epilog="Example: `ensemble topics apply --replication 3`.")
def apply(replication: Replication = 1, output: Output = TABLE) -> None:
    """Create missing topics. Differences are reported and never changed; then the exit code is 1."""
    from ensemble.command_line.connection import connect
    from ensemble.operations import create_missing_topics

    _show(create_missing_topics(application(), connect(), replication), output=output)


@group.command("list", epilog="Example: `ensemble topics list --json`.")
def list_topics(output: Output = TABLE) -> None:
    """List all topics and their state on the cluster."""
    from ensemble.command_line.connection import connect
    from ensemble.operations import compare_topics

    _show(compare_topics(application(), connect()), output=output)


def _show(states: list[dict[str, Any]], *, output: OutputFormat) -> None:
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import say

    columns = ("topic", "owner", "key", "partitions", "cleanup", "retention", "status")
    rows = [tuple(state[name] for name in columns) for state in states]
    styles = {"status": {"ok": "green", "created": "green", "missing": "yellow"}}
    show(Sheet(columns, rows, styles, spare=("owner", "key", "partitions")), states, output=output)
    for state in states:
        if state["advice"]:
            say(f"{state['topic']}: {state['advice']}")
    if any(state["status"].startswith("wrong") for state in states):
        raise typer.Exit(1)
