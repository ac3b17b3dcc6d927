"""`ensemble parked`: keys that are held back, and what is held back under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action, NoCache, NoWait, OfService, Output, Timeout
from ensemble.command_line.output_format import TABLE, OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ensemble.operations import ParkedKeys, RedrivePlan

group = typer.Typer(help="Inspect keys whose messages wait behind a failed one.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Parking key, as `list` shows it: usually an order id.")]
OneKey = Annotated[str | None, typer.Option("--key", help="Only this key.")]
Status = Annotated[
    Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"] | None,
    typer.Option("--status", help="Only this status."),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most N, oldest first.")]

_COLOURS = {"dead_lettered": "bold red", "retrying": "cyan", "paused": "yellow", "outage": "magenta"}


@group.command("list", epilog="Example: `ensemble parked list --service payment --status retrying`.")
def list_parked(
    service: OfService = None,
    status: Status = None,
    key: OneKey = None,
    limit: Limit = 500,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """List parked keys, oldest first, with their errors."""
    from ensemble.clock import duration
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise
    from ensemble.operations import ParkedKeyFilter, list_parked_keys

    rows = list_parked_keys(open_session(use_file=not no_cache), ParkedKeyFilter(service, status, key))[:limit]
    columns = ("service", "key", "status", "depth", "attempts", "next_try", "waits_for", "head", "error", "message")
    table = [(*(row[name] for name in columns), duration(row["age_ms"])) for row in rows]
    spare = ("attempts", "head", "error", "next_try", "depth", "waits_for")
    sheet = Sheet((*columns, "age"), table, {"status": _COLOURS}, spare, "no key is parked", name="key")
    show(sheet, rows, output=output)
    if rows:
        key = rows[0]["key"]
        again = f"parked redrive {key} --reason '...'"
        advise(("look at one", f"parked show {key}"), ("try its first record now", again))


@group.command(epilog="Example: `ensemble parked show order-1`.")
def show(key: Key, service: OfService = None, output: Output = TABLE) -> None:
    """Show a parked key and its records, in the order of handling."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import show_document
    from ensemble.command_line.streams import write
    from ensemble.operations import describe_parked_key, find_parked_key

    session = open_session()
    document = describe_parked_key(session, find_parked_key(session, key, service))
    records = [] if output.is_json else document.pop("records")
    show_document(document, output=output)
    if output is OutputFormat.NAME:
        return
    for number, record in enumerate(records):
        write(f"{number}\t{record['type']}\t{record['came_from']}\t{record['unreadable_because'] or record['fields']}")


@group.command(epilog="Example: `ensemble parked redrive order-1 --reason 'the provider is back'`.")
@expand_flags
def redrive(
    key: Key,
    action: Action,
    service: OfService = None,
    timeout: Timeout = 30.0,
    no_wait: NoWait = False,
    output: Output = TABLE,
) -> None:
    """Try the first message of a key again now.

    A dead letter is redriven. Exits 1 if it fails again.
    """
    _carry_out(lambda keys: keys.plan_retry(key, service), action, (timeout, no_wait), output=output)


@group.command(epilog="Example: `ensemble parked discard order-1 --reason 'settled by hand'`.")
@expand_flags
def discard(
    key: Key,
    action: Action,
    service: OfService = None,
    timeout: Timeout = 30.0,
    no_wait: NoWait = False,
    output: Output = TABLE,
) -> None:
    """Discard the first message of a key; those behind it go on."""
    _carry_out(lambda keys: keys.plan_discard(key, service), action, (timeout, no_wait), output=output)


def _carry_out(
    plan_with: Callable[[ParkedKeys], RedrivePlan], action: Action, waiting: tuple[float, bool], *, output: OutputFormat
) -> None:
    """Show or run a plan; `waiting` are the seconds to wait, and whether not to wait at all."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.redrive import RedriveOptions, carry_out, show_plan
    from ensemble.operations import ParkedKeys
    from ensemble.operations.redrives import REDRIVES

    timeout, no_wait = waiting
    rollout = REDRIVES.model_copy(update={"timeout_s": timeout})
    options = RedriveOptions(action.intent(), rollout, no_wait=no_wait, output=output)
    keys = ParkedKeys(open_session())
    plan = plan_with(keys)
    if action.dry_run:
        raise typer.Exit(show_plan(plan, output=output))
    raise typer.Exit(carry_out(keys.run(plan, options.intent, options.rollout), plan, options))
