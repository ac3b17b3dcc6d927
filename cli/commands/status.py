"""`ensemble status` of the order flow: its services, and its orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.command_line.commands.status import EPILOG, Every, Watch
from ensemble.command_line.options import NoCache, Output
from ensemble.command_line.output_format import TABLE

if TYPE_CHECKING:
    import typer

    from backoffice.status import OrderTotals
    from ensemble.operations.view import View


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EPILOG)(status)


def status(watch: Watch = False, every: Every = 2.0, no_cache: NoCache = False, output: Output = TABLE) -> None:
    """Show services, lag, failures, incidents, pauses and orders."""
    from backoffice.status import flow_findings, flow_projections, read_flow_status
    from cli.running_stack import endpoints
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.status_screen import Screen, StatusOptions, show_status

    session, options = open_session(), StatusOptions(every if watch else None, not no_cache, output)

    def read(view: View) -> Screen:
        current = read_flow_status(session, view, endpoints())
        return Screen(current, flow_findings(current), _in_words(current.orders))

    show_status(session, flow_projections(session), read, options)


def _in_words(orders: OrderTotals) -> str:
    parts = [f"{orders.active:,} under way"]
    parts += [f"{getattr(orders, name):,} {name}" for name in ("overdue", "paused", "owed")]
    statuses = ", ".join(f"{count:,} {status}" for status, count in orders.by_status.items())
    return f"orders   {', '.join(parts)}   ({statuses or 'none yet'})"
