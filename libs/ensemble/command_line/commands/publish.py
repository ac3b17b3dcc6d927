"""`ensemble publish`: any message of the catalogue, as an outsider would send it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE
from ensemble.command_line.selection import complete

_EPILOG = (
    "Examples: `ensemble publish SendParcel --parcel p-1 --weight-g 700`; "
    '`ensemble publish SendParcel --data \'{"parcel": "p-1", "weight_g": 700}\'`.'
)


def complete_type() -> list[str]:
    """Complete message types for the shell."""
    from ensemble.command_line.fields import type_names

    return complete(lambda _: type_names())


Type = Annotated[str, typer.Argument(metavar="TYPE", help="Name of a command or event.", autocompletion=complete_type)]
JsonText = Annotated[str | None, typer.Option("--data", metavar="JSON", help="The fields as a JSON object.")]
File = Annotated[Path | None, typer.Option("--file", metavar="PATH", help="A file with the fields as a JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Publish even facts of a ledger, which only its service writes.")]
OnTopic = Annotated[str | None, typer.Option("--topic", help="Topic to publish to, if the type is on several topics.")]

FIELDS_AS_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of a command that takes each field of a message as a flag."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(context_settings=FIELDS_AS_FLAGS, epilog=_EPILOG)(publish)


def publish(
    context: typer.Context,
    type_name: Type,
    json_text: JsonText = None,
    file: File = None,
    topic: OnTopic = None,
    force: Force = False,
    output: Output = TABLE,
) -> None:
    """Publish one message, validated by its model. Fields may be flags: --parcel p-1."""
    from ensemble.command_line.connection import connect
    from ensemble.command_line.fields import from_flags, from_text_or_file, make, message_type
    from ensemble.command_line.publishing import home_of
    from ensemble.command_line.publishing import publish as publish_message
    from ensemble.command_line.receipts import show_receipt

    kind = message_type(type_name)
    message = make(kind, {**from_text_or_file(json_text, file), **from_flags(kind, context.args)})
    home = home_of(kind, topic, force=force)
    show_receipt(publish_message(connect(), message, home), message.model_dump(), output=output)
