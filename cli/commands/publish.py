"""`ensemble publish`: any message of the catalogue, as an outsider would send it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from ensemble.messages import Message
    from ensemble.service import Topic

_EPILOG = (
    "Examples: `ensemble publish OrderPlaced --example`; "
    "`ensemble publish ReceiveStock --warehouse-id main --sku grinder --quantity 5`; "
    '`ensemble publish RequestCancellation --json \'{"order_id": "order-1", "reason": "changed my mind"}\'`.'
)


def complete_type(incomplete: str) -> list[str]:
    """Complete message types for the shell."""
    from ensemble.command_line.fields import type_names

    return [name for name in type_names() if name.lower().startswith(incomplete.lower())]


Type = Annotated[str, typer.Argument(metavar="TYPE", help="Name of a command or event.", autocompletion=complete_type)]
JsonText = Annotated[str | None, typer.Option("--json", metavar="TEXT", help="The fields as a JSON object.")]
File = Annotated[Path | None, typer.Option("--file", metavar="PATH", help="A file with the fields as a JSON object.")]
Example = Annotated[bool, typer.Option("--example", help="Fill missing fields with valid values.")]
Force = Annotated[bool, typer.Option("--force", help="Publish even facts of a ledger, which only its service writes.")]
OnTopic = Annotated[str | None, typer.Option("--topic", help="Topic to publish to, if the type is on several topics.")]
Output = Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="How to print the receipt.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=settings, epilog=_EPILOG)(publish)


def publish(
    context: typer.Context,
    type_name: Type,
    json_text: JsonText = None,
    file: File = None,
    example: Example = False,
    topic: OnTopic = None,
    force: Force = False,
    output: Output = "text",
) -> None:
    """Publish one message, validated by its model. Fields may be flags: --order-id, --line SKU:QUANTITY:PRICE."""
    from cli.fields import fill
    from cli.receipts import show_receipt
    from ensemble.command_line.connection import connect
    from ensemble.command_line.fields import make, message_type
    from ensemble.command_line.publishing import publish as publish_message

    kind = message_type(type_name)
    fields = _fields(kind, json_text, file, context.args)
    message = make(kind, fill(kind, fields) if example else fields)
    home = _home(kind, topic)
    _check_ledger(kind, home, force=force)
    show_receipt(publish_message(connect(), message, home), message.model_dump(), as_json=output == "json")


def _fields(kind: type[Message], json_text: str | None, file: Path | None, arguments: list[str]) -> dict[str, Any]:
    from cli.fields import from_flags
    from ensemble.command_line.errors import Mistake
    from ensemble.command_line.fields import from_file, from_json

    if json_text is not None and file is not None:
        raise Mistake("--json and --file: give one of them")
    fields = from_json(json_text, "--json") if json_text is not None else from_file(file) if file else {}
    return {**fields, **from_flags(kind, arguments)}


def _home(kind: type[Message], topic: str | None) -> Topic:
    from contracts.catalogue import CATALOGUE
    from ensemble.command_line.errors import Mistake

    homes = CATALOGUE.homes(kind)
    if topic is None:
        return homes[0]
    for home in homes:
        if home.name == topic:
            return home
    raise Mistake(
        f"--topic {topic}: {kind.__name__} is not on this topic, but on {', '.join(home.name for home in homes)}"
    )


def _check_ledger(kind: type[Message], home: Topic, *, force: bool) -> None:
    """Refuse a fact of a ledger: written from outside it would leave a gap, and the service would stop at it."""
    from contracts.catalogue import INVENTORY_LEDGER
    from ensemble.command_line.errors import Mistake

    if home == INVENTORY_LEDGER and not force:
        raise Mistake(
            f"TYPE: {kind.__name__} is a fact of a ledger, which only {home.owner} writes; send it a command such as "
            "ReceiveStock, or use --force to damage the ledger on purpose"
        )
