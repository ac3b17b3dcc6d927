"""`ensemble records`: one record that a service cannot get past."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.consumers import COLUMNS, Act, show_plan
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import AsJson, Asker, complete_service

group = typer.Typer(help="Skip a record that stops a service.")

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The input topic.")]
Partition = Annotated[int, typer.Argument(metavar="PARTITION", min=0, help="Partition of the record.")]
Offset = Annotated[int, typer.Argument(metavar="OFFSET", min=0, help="Offset of the record.")]
Service = Annotated[
    str, typer.Option("--service", help="The service that does not get past it.", autocompletion=complete_service)
]


@group.callback()
def _commands() -> None:
    """Skip a record that stops a service."""


@group.command(epilog="Example: `ensemble records skip orders.events 2 4711 --service shipping --yes --reason '...'`.")
@expand_flags
def skip(
    topic: Topic,
    partition: Partition,
    offset: Offset,
    service: Service,
    asker: Asker,
    act: Act = False,
    as_json: AsJson = False,
) -> None:
    """Dead-letter the first unread record of a stopped service. A record that cannot be read is only passed."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.streams import say
    from ensemble.operations import plan_skip, require_no_members
    from ensemble.operations import skip_record as carry_out

    intent = asker.intent() if act else None
    session = open_session()
    skipped = plan_skip(session, service, (topic, partition, offset))
    show_plan([skipped.row()], (*COLUMNS, "record"), is_done=act, as_json=as_json)
    if intent is None:
        require_no_members(session, service)
    else:
        carry_out(session, skipped, intent)
        say("the record is passed; start the service")
