"""`ensemble audit`: what operators have had done."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import Limit, NoCache, OfService, Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="List what operators have had done.")

Actor = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Only what NAME asked for.")]
Target = Annotated[
    str | None, typer.Option("--target", metavar="TEXT", help="Only about this: a key, a record, 'step payment'.")
]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only commands since: 2h, 1d, 2026-01-31.")]


@group.callback()
def _commands() -> None:
    """List what operators have had done."""


@group.command("list", epilog="Examples: `ensemble audit list --since 1d`; `ensemble audit list --target order-1`.")
def list_operations(
    by: Actor = None,
    target: Target = None,
    since: Since = None,
    service: OfService = None,
    limit: Limit = 50,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """List operators' commands and their answers, newest first.

    Commands to one saga, such as those of `orders pause` or `orders cancel`, stand with that saga and its decisions.
    """
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.rows import time_text
    from ensemble.command_line.times import moment_ms
    from ensemble.operations import AuditFilter, list_audit, now

    after = 0 if since is None else moment_ms(since, "--since", now())
    which = AuditFilter(since=after, requested_by=by, service=service, target=target)
    entries = list_audit(open_session(use_file=not no_cache), which, limit)
    columns = ("at", "by", "service", "operation", "target", "reason", "answered", "outcome")
    rows = [
        (time_text(e.at), e.requested_by, e.service,
         e.operation, e.target, e.reason, f"{e.answered}/{e.partitions}", ", ".join(e.outcomes))
        for e in entries
    ]  # fmt: skip
    document = [entry.model_dump(mode="json") for entry in entries]
    nothing = "no operator's command matches; commands to one saga, such as an order, are shown with that saga"
    show(Sheet(columns, rows, spare=("answered", "outcome"), nothing=nothing), document, output=output)
