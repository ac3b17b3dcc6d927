"""`ensemble parked`: keys that are held back, and what is held back under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.flags import expand_flags
from cli.options import Answer, AsJson, Asker, OfService

if TYPE_CHECKING:
    from cli.redrive import RedriveOptions

group = typer.Typer(help="Inspect keys whose messages are blocked behind a failed one.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Parking key, as `list` shows it: usually an order id.")]
OneKey = Annotated[str | None, typer.Option("--key", help="Only this key.")]
Status = Annotated[
    Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"] | None,
    typer.Option("--status", help="Only this status."),
]

_COLOURS = {"dead_lettered": "bold red", "retrying": "cyan", "paused": "yellow", "outage": "magenta"}


@group.command("list", epilog="Example: `ensemble parked list --service payment --status retrying`.")
def list_parked(service: OfService = None, status: Status = None, key: OneKey = None, as_json: AsJson = False) -> None:
    """List parked keys, oldest first. Shows status, depth, next attempt and error."""
    from cli.connection import connect
    from cli.formatting import duration
    from cli.output import Sheet, show
    from cli.parked import Filter, find_parked_keys, summary

    rows = [summary(parked) for parked in find_parked_keys(connect(), Filter(service, status, key))]
    columns = ("service", "key", "status", "depth", "attempts", "next_try", "waits_for", "head", "error", "message")
    table = [(*(row[name] for name in columns), duration(row["age_ms"])) for row in rows]
    spare = ("attempts", "head", "error", "next_try", "depth", "waits_for")
    sheet = Sheet((*columns, "age"), table, {"status": _COLOURS}, spare, "no key is parked")
    show(sheet, rows, as_json=as_json)


@group.command(epilog="Example: `ensemble parked show order-1`.")
def show(key: Key, service: OfService = None, as_json: AsJson = False) -> None:
    """Show a parked key and its records. The records are in the order in which they will be handled."""
    from cli.connection import connect
    from cli.output import show_document
    from cli.parked import describe, parked_key
    from cli.streams import write

    document = describe(parked_key(connect(), key, service))
    records = [] if as_json else document.pop("records")
    show_document(document, as_json=as_json)
    for number, record in enumerate(records):
        write(f"{number}\t{record['type']}\t{record['came_from']}\t{record['unreadable_because'] or record['fields']}")


@group.command(epilog="Example: `ensemble parked retry order-1 --reason 'the provider is back'`.")
@expand_flags
def retry(key: Key, asker: Asker, service: OfService = None, wait: Answer = 30.0, as_json: AsJson = False) -> None:
    """Retry the first blocked message of a key now. A dead letter is redriven. Exits 1 if it fails."""
    from cli.connection import connect
    from cli.parked import parked_key, retry_of
    from cli.redrive import carry_out

    manner, access = _manner(asker, wait, as_json=as_json), connect()
    raise typer.Exit(carry_out(access, [retry_of(access, parked_key(access, key, service), manner.operator)], manner))


@group.command(epilog="Example: `ensemble parked discard order-1 --reason 'settled by hand'`.")
@expand_flags
def discard(key: Key, asker: Asker, service: OfService = None, wait: Answer = 30.0, as_json: AsJson = False) -> None:
    """Discard the first blocked message of a key. Messages waiting behind it continue."""
    from cli.connection import connect
    from cli.parked import discard_of, parked_key
    from cli.redrive import carry_out

    manner, access = _manner(asker, wait, as_json=as_json), connect()
    raise typer.Exit(carry_out(access, [discard_of(parked_key(access, key, service), manner.operator)], manner))


def _manner(asker: Asker, wait: float, *, as_json: bool) -> RedriveOptions:
    from cli.redrive import RedriveOptions
    from cli.redrive_run import Pace

    return RedriveOptions(asker.operator(), Pace(wait_s=wait), as_json=as_json)
