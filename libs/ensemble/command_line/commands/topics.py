"""`ensemble topics`: what the catalogue says, and what the cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ensemble.command_line.options import DryRun, Output, Yes
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ensemble.operations import TopicSummary

group = typer.Typer(help="Create and compare the topics of the catalogue.")

Replication = Annotated[int, typer.Option("--replication", min=1, max=9, help="Replicas of each new topic.")]


@group.command(epilog="Examples: `ensemble topics apply --dry-run`; `ensemble topics apply --replication 3 --yes`.")
def apply(replication: Replication = 1, dry_run: DryRun = False, yes: Yes = False, output: Output = TABLE) -> None:
    """Create missing topics. Differences are reported and never changed; then the exit code is 1."""
    from ensemble.command_line.connection import cluster_name, connect
    from ensemble.command_line.operators import confirm_set_up
    from ensemble.operations import compare_topics, create_missing_topics
    from ensemble.quantities import quantity

    topics = compare_topics(application(), access := connect())
    missing = [topic.topic for topic in topics if topic.status == "missing"]
    if missing and not dry_run:
        confirm_set_up(f"create {quantity(len(missing), 'topic')}", missing, cluster_name(access), yes=yes)
        topics = create_missing_topics(application(), access, replication)
    _show(topics, output=output)


@group.command("list", epilog="Example: `ensemble topics list --json`.")
def list_topics(output: Output = TABLE) -> None:
    """List all topics and their state on the cluster."""
    from ensemble.command_line.connection import connect
    from ensemble.operations import compare_topics

    _show(compare_topics(application(), connect()), output=output)


def _show(topics: Iterable[TopicSummary], *, output: OutputFormat) -> None:
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.rows import topic_row
    from ensemble.command_line.streams import say

    states = [topic_row(topic) for topic in topics]
    columns = ("topic", "owner", "key", "partitions", "cleanup", "retention", "status")
    rows = [tuple(state[name] for name in columns) for state in states]
    styles = {"status": {"ok": "green", "created": "green", "missing": "yellow"}}
    show(Sheet(columns, rows, styles, spare=("owner", "key", "partitions")), states, output=output)
    for state in states:
        if state["advice"]:
            say(f"{state['topic']}: {state['advice']}")
    if any(state["status"].startswith("wrong") for state in states):
        raise typer.Exit(1)
