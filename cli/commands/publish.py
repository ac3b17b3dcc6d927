"""`ensemble publish`: any message of the catalogue, as an outsider would send it; an example, if asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.publish import FIELDS_AS_FLAGS, File, Force, JsonText, OnTopic, Type
from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

_EPILOG = (
    "Examples: `ensemble publish OrderPlaced --example`; "
    "`ensemble publish ReceiveStock --warehouse-id main --sku grinder --quantity 5`; "
    '`ensemble publish RequestCancellation --data \'{"order_id": "order-1", "reason": "changed my mind"}\'`.'
)

Example = Annotated[bool, typer.Option("--example", help="Fill missing fields with valid values.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(context_settings=FIELDS_AS_FLAGS, epilog=_EPILOG)(publish)


def publish(
    context: typer.Context,
    type_name: Type,
    json_text: JsonText = None,
    file: File = None,
    example: Example = False,
    topic: OnTopic = None,
    force: Force = False,
    output: Output = TABLE,
) -> None:
    """Publish one message, validated by its model. Fields may be flags: --order-id, --line SKU:QUANTITY:PRICE."""
    from cli.fields import fill, from_flags
    from cli.receipts import show_receipt
    from ensemble.command_line.connection import connect
    from ensemble.command_line.fields import from_text_or_file, make, message_type
    from ensemble.command_line.publishing import home_of
    from ensemble.command_line.publishing import publish as publish_message

    kind = message_type(type_name)
    fields = {**from_text_or_file(json_text, file), **from_flags(kind, context.args)}
    advice = "give {flags}" if example else "give {flags}, or start from --example"
    message = make(kind, fill(kind, fields) if example else fields, advice)
    home = home_of(kind, topic, force=force)
    show_receipt(publish_message(connect(), message, home), message.model_dump(), output=output)
