"""`ensemble parked`: keys that are held back, and what is held back under them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ensemble.clock import duration, epoch_ms
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import MOST, Action, NoCache, OfService, Output, Waiting
from ensemble.command_line.output_format import TABLE, OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ensemble.operations import BlockedRecord, ParkedKeys, ParkedKeySummary, RedrivePlan

group = typer.Typer(help="Inspect keys whose messages wait behind a failed one.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Parking key, as `list` shows it: usually an order id.")]
OneKey = Annotated[str | None, typer.Option("--key", help="Only this key.")]
Status = Annotated[
    Literal["retrying", "dead_lettered", "paused", "in_flight", "outage"] | None,
    typer.Option(
        "--status", metavar="STATUS", help="Only retrying, dead_lettered, paused, in_flight, or held up by an outage."
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="Show at most N, oldest first.")]

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

    keys = list_parked_keys(open_session(use_file=not no_cache), ParkedKeyFilter(service, status, key))[:limit]
    rows = [_row(key) for key in keys]
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
    from ensemble.command_line.output import json_text, show_document
    from ensemble.command_line.streams import write
    from ensemble.operations import describe_parked_key, find_parked_key

    session = open_session()
    details = describe_parked_key(session, find_parked_key(session, key, service))
    row = _row(details)
    if output.is_json:
        show_document({**row, "records": [_record(each) for each in details.records]}, output=output)
        return
    if output is OutputFormat.NAME:
        write(details.key)
        return
    show_document({**row, "age_ms": None, "age": duration(row["age_ms"])}, output=output)
    for number, record in enumerate(details.records):
        fields = record.problem or json_text(dict(record.fields)).rstrip()
        write(f"{number}\t{record.type}\t{record.position}\t{fields}")


def _row(key: ParkedKeySummary) -> dict[str, Any]:
    """Return the document of a key."""
    from ensemble.command_line.rows import time_text

    return {
        "service": key.service,
        "key": key.key,
        "status": key.status,
        "depth": key.depth,
        "since": time_text(key.since),
        "age_ms": 0 if key.since is None else epoch_ms(datetime.now(UTC)) - epoch_ms(key.since),
        "head": key.head,
        "attempts": key.attempts,
        "next_try": time_text(key.next_attempt_at),
        "waits_for": key.blocked_on or None,
        "error": key.error or None,
        "message": key.message or None,
        "handler": key.handler or None,
        "policy": key.policy or None,
        "partition": key.partition,
    }


def _record(record: BlockedRecord) -> dict[str, Any]:
    from ensemble.command_line.rows import time_text

    return {
        "came_from": str(record.position),
        "type": record.type,
        "id": record.message_id,
        "parked_at": time_text(record.parked_at),
        "edited": record.is_edited,
        "fields": dict(record.fields) or None,
        "unreadable_because": record.problem,
    }


@group.command(epilog="Example: `ensemble parked redrive order-1 --reason 'the provider is back'`.")
@expand_flags
def redrive(
    key: Key,
    action: Action,
    waiting: Waiting,
    service: OfService = None,
) -> None:
    """Try the first message of a key again now.

    A dead letter is redriven. Exits 1 if it fails again.
    """
    _carry_out(lambda keys: keys.plan_retry(key, service), action, waiting)


@group.command(epilog="Example: `ensemble parked discard order-1 --reason 'settled by hand'`.")
@expand_flags
def discard(
    key: Key,
    action: Action,
    waiting: Waiting,
    service: OfService = None,
) -> None:
    """Discard the first message of a key; those behind it go on."""
    _carry_out(lambda keys: keys.plan_discard(key, service), action, waiting)


def _carry_out(plan_with: Callable[[ParkedKeys], RedrivePlan], action: Action, waiting: Waiting) -> None:
    """Show or run a plan."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.redrive import RedriveOptions, carry_out, show_plan
    from ensemble.operations import ParkedKeys
    from ensemble.operations.redrives import REDRIVES

    rollout = REDRIVES.model_copy(update={"timeout_s": waiting.timeout})
    options = RedriveOptions(action.intent(), rollout, no_wait=waiting.no_wait, output=waiting.output)
    keys = ParkedKeys(open_session())
    plan = plan_with(keys)
    if action.dry_run:
        raise typer.Exit(show_plan(plan, output=waiting.output))
    raise typer.Exit(carry_out(keys.run(plan, options.intent, options.rollout), plan, options))
