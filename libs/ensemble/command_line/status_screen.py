"""`status` on one screen: services, what else a program counts, and what is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ensemble.clock import duration, epoch_ms
from ensemble.command_line.formatting import moment_text
from ensemble.command_line.output import Sheet, show, show_json, show_json_line, table_of
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.streams import console, is_terminal, styled, write
from ensemble.command_line.view import synced_view
from ensemble.operations import Finding, ServiceStatus, Status

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

    from ensemble.operations import Session
    from ensemble.operations.view import Projection, View

_COLUMNS: Final = ("service", "state", "procs", "parts", "behind", "waits", "parked", "dead", "incidents")
_STATES: Final = {
    "running": "green", "stopped": "bold red", "unready": "bold red", "lagging": "yellow", "paused": "yellow",
}  # fmt: skip
_NOTHING: Final = "nothing waits for an operator"
_MARKS: Final = {"problem": ("✗ ", "bold red"), "warning": ("! ", "yellow"), "ok": ("✓ ", "green")}


@dataclass(frozen=True)
class Screen:
    """A status, what it counts beside the services, in words, and its findings."""

    status: Status
    findings: Sequence[Finding]
    totals: str = ""


@dataclass(frozen=True)
class StatusOptions:
    """How the status is shown: once, or every so many seconds."""

    every_s: float | None
    use_file: bool
    output: OutputFormat


def show_status(
    session: Session, projections: Sequence[Projection], read: Callable[[View], Screen], options: StatusOptions
) -> None:
    """Print what `read` makes of a view that is up to date: once, or until interrupted."""
    with synced_view(session.client, projections, "status", use_file=options.use_file) as view:
        if options.every_s is None:
            _print(read(view), output=options.output)
            return
        _watch(lambda: _read_on(view, read), options.every_s, options)


def _read_on(view: View, read: Callable[[View], Screen]) -> Screen:
    view.sync()
    return read(view)


def _print(screen: Screen, *, output: OutputFormat) -> None:
    if output.is_json:
        show_json(screen.status.model_dump(mode="json"), output)
    elif is_terminal():
        terminal = console()
        terminal.print(_picture(screen, terminal.width))
    else:
        show(_services(screen.status), None, output=TABLE)
        if screen.totals:
            write(screen.totals)
        rows = [(f.severity, f.subject, f.message, f.next_command) for f in screen.findings]
        show(Sheet(("severity", "subject", "finding", "next"), rows, nothing=_NOTHING), None, output=TABLE)


def _watch(
    read: Callable[[], Screen], every_s: float, options: StatusOptions, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Show it anew until interrupted: in place on a terminal, an object a line as JSON."""
    if options.output.is_json or not is_terminal():
        while True:
            screen = read()
            if options.output.is_json:
                show_json_line(screen.status.model_dump(mode="json"))
            else:
                _print(screen, output=TABLE)
            sleep(every_s)
    from rich.live import Live

    terminal = console()
    with Live(console=terminal, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_picture(read(), terminal.width), refresh=True)
            sleep(every_s)


def finding_lines(findings: Sequence[Finding], indent: str = "") -> list[RenderableType]:
    """Return a line for each finding, and one below it with what to type next."""
    lines: list[RenderableType] = []
    for finding in findings:
        mark, style = _MARKS[finding.severity]
        lines.append(hanging(styled((f"{indent}{mark}", style)), finding.message))
        if finding.next_command:
            lines.append(styled((f"{indent}  → ", "bright_black"), (finding.next_command, "cyan")))
    return lines


def hanging(label: Text, text: str) -> RenderableType:
    """Return a label and text, of which further lines begin below the first."""
    from rich.table import Table

    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, styled(text))
    return grid


def _picture(screen: Screen, width: int) -> Group:
    from rich.console import Group

    status = screen.status
    lines = finding_lines(screen.findings) or [styled(_MARKS["ok"], _NOTHING)]
    label, gap, text = screen.totals.partition("   ")
    totals = [hanging(styled(label + gap), text), styled("")] if screen.totals else []
    return Group(_head(status), styled(""), table_of(_services(status), width), styled(""), *totals, *lines)


def _head(status: Status) -> Text:
    cluster, when = status.cluster, moment_text(status.as_of) if status.as_of else ""
    brokers = f"{cluster.brokers} broker{'s' * (cluster.brokers != 1)}"
    return styled((cluster.bootstrap_servers, "bold"), (f"  {brokers}  {when}", "bright_black"))


def _services(status: Status) -> Sheet:
    rows = [_row(service, status.as_of) for service in status.services]
    return Sheet(_COLUMNS, rows, {"state": _STATES}, ("procs", "parts", "incidents"), "no services")


def _row(service: ServiceStatus, as_of: datetime | None) -> tuple[str | int, ...]:
    since = service.unread_since
    waits = duration(epoch_ms(as_of) - epoch_ms(since)) if since and as_of else "-"
    partitions = f"{service.assigned}/{service.partitions}"
    counts = service.parked_keys, service.dead_letters, service.incidents
    return service.service, service.state, len(service.instances), partitions, service.behind, waits, *counts
