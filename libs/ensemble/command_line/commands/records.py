"""`ensemble records`: one record, to look at, or to get past."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.consumers import COLUMNS, row_of, show_plan
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action, Output, complete_service
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="Show or skip a record, or set aside what is unread.")

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The input topic.")]
Partition = Annotated[int, typer.Argument(metavar="PARTITION", min=0, help="Partition of the record.")]
Offset = Annotated[int, typer.Argument(metavar="OFFSET", min=0, help="Offset of the record.")]
WherePosition = Annotated[str, typer.Argument(metavar="TOPIC/P/O", help="Topic, partition and offset.")]
Service = Annotated[
    str, typer.Option("--service", help="The service that does not get past it.", autocompletion=complete_service)
]


@group.command("get", epilog="Example: `ensemble records get orders.events/2/4711`.")
def get(position: WherePosition, output: Output = TABLE) -> None:
    """Show the record at a position, decoded, with its headers."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import show_document, show_json
    from ensemble.operations import get_record, parse_position

    where = parse_position(position)
    details = get_record(open_session(), where)
    document = details.model_dump(mode="json")
    if output.is_json:
        show_json(document, output)
        return
    headers = {header.name: header.value if header.hex is None else f"0x{header.hex}" for header in details.headers}
    fields = {name: value for name, value in document["fields"].items() if value is not None}
    show_document({**document, "position": str(where), "fields": fields or None, "headers": headers}, output=TABLE)


@group.command(epilog="Example: `ensemble records skip orders.events 2 4711 --service shipping --yes --reason '...'`.")
@expand_flags
def skip(
    topic: Topic,
    partition: Partition,
    offset: Offset,
    service: Service,
    action: Action,
    output: Output = TABLE,
) -> None:
    """Dead-letter the first unread record of a stopped service. A record that cannot be read is only passed."""
    from ensemble.command_line.connection import cluster_name, open_session
    from ensemble.command_line.operators import confirm
    from ensemble.command_line.streams import say
    from ensemble.operations import plan_skip, require_no_members
    from ensemble.operations import skip_record as carry_out

    intent = action.intent()
    session = open_session()
    skipped = plan_skip(session, service, (topic, partition, offset))
    fate = {"record": skipped.describe_fate(), "fate": skipped.fate}
    show_plan([row_of(skipped.move) | fate], (*COLUMNS, "record"), output=output)
    require_no_members(session, service)
    if action.dry_run:
        return
    confirm(f"have {service} skip {topic}/{partition}/{offset}", cluster_name(session.client), yes=action.yes)
    carry_out(session, skipped, intent)
    say("the record is passed; start the service")


@group.command("set-aside", epilog="Example: `ensemble records set-aside orders.events --service shipping --dry-run`.")
@expand_flags
def set_aside(topic: Topic, service: Service, action: Action, output: Output = TABLE) -> None:
    """Dead-letter what a stopped service has not read of a topic.

    Then the topic can be made anew, and the dead letters are redriven into it.
    """
    from ensemble.command_line.connection import cluster_name, open_session
    from ensemble.command_line.operators import confirm
    from ensemble.command_line.streams import advise, say
    from ensemble.operations import SET_ASIDE, plan_set_aside, require_no_members
    from ensemble.operations import set_aside as carry_out
    from ensemble.quantities import quantity

    intent = action.intent()
    session = open_session()
    plan = plan_set_aside(session, service, topic)
    effects = [f"{quantity(len(move.unread), 'offset')} set aside" for move in plan.items]
    rows = [row_of(move) | {"effect": effect} for move, effect in zip(plan.items, effects, strict=True)]
    show_plan(rows, COLUMNS, output=output)
    require_no_members(session, service)
    if action.dry_run or not plan.items:
        return
    confirm(f"dead-letter what {service} has not read of {topic}", cluster_name(session.client), yes=action.yes)
    say(f"{quantity(carry_out(session, plan, intent), 'record')} set aside")
    redrive = f"dead-letters redrive --service {service} --error {SET_ASIDE} --reason '...'"
    advise(("deliver them, once the topic is right and the service runs", redrive))
