"""`ensemble consumers`: who reads what, how far behind, and where a service that is stopped reads on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action, OfService, Output, complete_service
from ensemble.command_line.output_format import TABLE, OutputFormat

if TYPE_CHECKING:
    from ensemble.operations import OffsetMove

group = typer.Typer(help="Show how far services are behind, and set where one reads on.")

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="Name of the service.", autocompletion=complete_service)
]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="WHERE", help="earliest, latest, current, state, an offset, or a time (2h, 2026-01-31)."
    ),
]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Only this input (default: all inputs).")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition of --topic.")]
All = Annotated[bool, typer.Option("--all", help="Also partitions that are read to their end.")]

COLUMNS = ("topic", "partition", "committed", "offset", "log_start", "log_end", "effect")


@group.command("list", epilog="Example: `ensemble consumers list`.")
def list_consumers(service: OfService = None, output: Output = TABLE) -> None:
    """List services with their processes, partitions and lag."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.formatting import since
    from ensemble.command_line.output import Sheet, show
    from ensemble.operations import list_consumers

    consumers = list_consumers(open_session(), service)
    columns = ("service", "processes", "partitions", "behind", "lost", "waits", "next", "members")
    rows = [
        (c.service, len(c.instances), f"{c.assigned}/{c.partitions}", c.behind, c.lost, since(c.unread_since),
         str(c.next_unread or ""), ", ".join(f"{i.client_id} ({i.host})" for i in c.instances))
        for c in consumers
    ]  # fmt: skip
    document = [consumer.model_dump(mode="json") for consumer in consumers]
    show(Sheet(columns, rows, spare=("members", "next"), nothing="no services"), document, output=output)


@group.command("lag", epilog="Examples: `ensemble consumers lag`; `ensemble consumers lag --service payment --all`.")
def show_lag(service: OfService = None, everything: All = False, output: Output = TABLE) -> None:
    """Show by partition how far services are behind.

    The largest lag comes first.
    """
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.formatting import since
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise
    from ensemble.operations import list_readers

    readers = [r for r in list_readers(open_session(), service) if everything or r.behind or r.lost]
    columns = ("service", "topic", "partition", "behind", "lost", "waits", "committed", "end", "process")
    rows = [
        (r.group, r.topic, r.partition, r.behind, r.lost, since(r.oldest_unread), r.committed, r.end, r.client_id)
        for r in readers
    ]
    nothing = "no offsets are committed" if everything else "nothing waits to be read; --all shows all partitions"
    document = [reader.model_dump(mode="json") for reader in readers]
    show(Sheet(columns, rows, spare=("process", "end", "committed"), nothing=nothing), document, output=output)
    if waiting := next((reader for reader in readers if reader.behind), None):
        advise(("what it reads next", f"records get {waiting.position}"),
               ("another process takes a part of its partitions", f"run {waiting.group}"))  # fmt: skip


@group.command(
    "set-offsets",
    epilog="Example: `ensemble consumers set-offsets shipping --topic orders.events --to earliest --dry-run`.",
)
@expand_flags
def set_offsets(
    service: Service,
    to: To,
    action: Action,
    topic: OfTopic = None,
    partition: OfPartition = None,
    output: Output = TABLE,
) -> None:
    """Set the group's offsets, and take its topics as they are now. Refused while the service runs."""
    from ensemble.command_line.connection import cluster_name, open_session
    from ensemble.command_line.operators import confirm
    from ensemble.command_line.streams import say
    from ensemble.command_line.times import moment_ms
    from ensemble.operations import NAMED_PLACES, Target, now, plan_offsets, require_no_members
    from ensemble.operations import set_offsets as carry_out
    from ensemble.quantities import quantity

    intent = action.intent()
    at = None if to in NAMED_PLACES or to.isdecimal() else moment_ms(to, "--to", now())
    session = open_session()
    plan = plan_offsets(session, Target(service, to, topic, partition, at))
    show_plan([row_of(move) for move in plan.items], COLUMNS, output=output)
    require_no_members(session, service)
    if action.dry_run:
        return
    confirm(f"set {quantity(len(plan.items), 'offset')} of {service}", cluster_name(session.client), yes=action.yes)
    carry_out(session, plan, intent)
    say("the offsets are set; start the service")


def row_of(move: OffsetMove) -> dict[str, Any]:
    """Return a move as it is shown."""
    return {**move.model_dump(exclude={"name"}), "effect": move.describe_effect()}


def show_plan(rows: list[dict[str, Any]], columns: tuple[str, ...], *, output: OutputFormat) -> None:
    """Print what is planned."""
    from ensemble.command_line.output import Sheet, show

    table = [tuple(row[name] for name in columns) for row in rows]
    show(Sheet(columns, table, spare=("log_start", "log_end", "committed")), rows, output=output)
