"""`ensemble parked`: keys that are held back, and what is held back under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Answer, AsJson, Asker, NoCache, OfService

if TYPE_CHECKING:
    from ensemble.command_line.redrive import RedriveOptions

group = typer.Typer(help="Inspect keys whose messages are blocked behind a failed one.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Parking key, as `list` shows it: usually an order id.")]
OneKey = Annotated[str | None, typer.Option("--key", help="Only this key.")]
Status = Annotated[
    Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"] | None,
    typer.Option("--status", help="Only this status."),
]

_COLOURS = {"dead_lettered": "bold red", "retrying": "cyan", "paused": "yellow", "outage": "magenta"}


@group.command("list", epilog="Example: `ensemble parked list --service payment --status retrying`.")
def list_parked(
    service: OfService = None,
    status: Status = None,
    key: OneKey = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """List parked keys, oldest first. Shows status, depth, next attempt and error."""
    from ensemble.clock import duration
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise
    from ensemble.operations import ParkedKeyFilter, list_parked_keys

    rows = list_parked_keys(open_session(use_file=not no_cache), ParkedKeyFilter(service, status, key))
    columns = ("service", "key", "status", "depth", "attempts", "next_try", "waits_for", "head", "error", "message")
    table = [(*(row[name] for name in columns), duration(row["age_ms"])) for row in rows]
    spare = ("attempts", "head", "error", "next_try", "depth", "waits_for")
    sheet = Sheet((*columns, "age"), table, {"status": _COLOURS}, spare, "no key is parked")
    show(sheet, rows, as_json=as_json)
    if rows:
        key = rows[0]["key"]
        advise(
            ("look at one", f"parked show {key}"), ("try its first record now", f"parked retry {key} --reason '...'")
        )


@group.command(epilog="Example: `ensemble parked show order-1`.")
def show(key: Key, service: OfService = None, as_json: AsJson = False) -> None:
    """Show a parked key and its records. The records are in the order in which they will be handled."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import show_document
    from ensemble.command_line.streams import write
    from ensemble.operations import describe_parked_key, find_parked_key

    session = open_session()
    document = describe_parked_key(session, find_parked_key(session, key, service))
    records = [] if as_json else document.pop("records")
    show_document(document, as_json=as_json)
    for number, record in enumerate(records):
        write(f"{number}\t{record['type']}\t{record['came_from']}\t{record['unreadable_because'] or record['fields']}")


@group.command(epilog="Example: `ensemble parked retry order-1 --reason 'the provider is back'`.")
@expand_flags
def retry(key: Key, asker: Asker, service: OfService = None, wait: Answer = 30.0, as_json: AsJson = False) -> None:
    """Retry the first blocked message of a key now. A dead letter is redriven. Exits 1 if it fails."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.redrive import carry_out
    from ensemble.operations import ParkedKeys

    manner, keys = _manner(asker, wait, as_json=as_json), ParkedKeys(open_session())
    plan = keys.plan_retry(key, service)
    raise typer.Exit(carry_out(keys.run(plan, manner.intent, manner.rollout), plan, manner))


@group.command(epilog="Example: `ensemble parked discard order-1 --reason 'settled by hand'`.")
@expand_flags
def discard(key: Key, asker: Asker, service: OfService = None, wait: Answer = 30.0, as_json: AsJson = False) -> None:
    """Discard the first blocked message of a key. Messages waiting behind it continue."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.redrive import carry_out
    from ensemble.operations import ParkedKeys

    manner, keys = _manner(asker, wait, as_json=as_json), ParkedKeys(open_session())
    plan = keys.plan_discard(key, service)
    raise typer.Exit(carry_out(keys.run(plan, manner.intent, manner.rollout), plan, manner))


def _manner(asker: Asker, wait: float, *, as_json: bool) -> RedriveOptions:
    from ensemble.command_line.redrive import RedriveOptions
    from ensemble.operations.redrives import REDRIVES

    return RedriveOptions(asker.intent(), REDRIVES.model_copy(update={"timeout_s": wait}), as_json=as_json)
