"""The report of the independent check, as tables for a terminal and as plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ensemble.command_line.streams import styled
from verifier import CHECKS, Report
from verifier.report import CLEAN, NOT_CHECKED, VIOLATED

if TYPE_CHECKING:
    from rich.console import RenderableType

NO_RESULT: Final = "not checked"
_SHOWN: Final = 50
"""Violations and open orders that are shown; the JSON document has all of them."""


def as_plain(report: Report) -> str:
    """Return tab-separated lines: the kind of line, then its columns."""
    return "".join("\t".join(" ".join(str(cell).split()) for cell in line) + "\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    yield from (("not checked", sentence) for sentence in report.problems)
    yield from (("counted", name, number) for name, number in (report.counted or {}).items())
    yield from (("messages", topic, number) for topic, number in report.messages.items())
    for check in CHECKS if report.counted else ():
        yield "check", check, _result(report, check)
    for violation in report.violations[:_SHOWN]:
        yield "violation", *violation
    for row in open_rows(report)[:_SHOWN]:
        yield "open", *row
    for order_id, owed in list(report.owing.items())[:_SHOWN]:
        yield "compensation failed", order_id, ", ".join(owed)
    yield from (("note", sentence) for sentence in report.notes)
    yield "verdict", report.verdict


def open_rows(report: Report) -> list[tuple[str, str, str, str, str]]:
    """Open orders: id, status, step, what it waits for, and until when."""
    return [
        (order.order_id, order.status, order.step or "", order.waits_for, _due(order.due_at, report.read_at))
        for order in report.open_orders
    ]


def _due(due_at: int | None, now: int) -> str:
    if due_at is None:
        return ""
    seconds = (due_at - now) / 1000
    return f"in {seconds:.0f} s" if seconds >= 0 else f"overdue by {-seconds:.0f} s"


def as_table(report: Report) -> RenderableType:
    """Return the tables for a terminal."""
    from rich.console import Group

    colour = {CLEAN: "bold green", VIOLATED: "bold red", NOT_CHECKED: "bold yellow"}[report.exit_code]
    omissions = [styled((f"not checked: {sentence}", "yellow")) for sentence in report.problems]
    remarks = [styled((sentence, "dim")) for sentence in report.notes]
    return Group(*omissions, *_tables(report), *remarks, styled((f"{report.verdict}{_read_at(report)}", colour)))


def _tables(report: Report) -> Iterator[RenderableType]:
    if report.counted is None:
        return
    yield _table(("counted", ""), [(name, f"{number:,}") for name, number in report.counted.items()])
    yield _table(("check", "result", "rule"), [_check_row(report, check) for check in CHECKS])
    if report.violations:
        yield _table(_more("violation", report.violations), [tuple(v) for v in report.violations[:_SHOWN]])
    if report.open_orders:
        columns = _more("open order", report.open_orders, "status", "step", "waits for", "due")
        yield _table(columns, open_rows(report)[:_SHOWN])
    if report.owing:
        rows = [(order_id, ", ".join(owed)) for order_id, owed in report.owing.items()]
        yield _table(("compensation failed", "still owed"), rows[:_SHOWN])


def _check_row(report: Report, check: str) -> tuple[str, RenderableType, str]:
    result = _result(report, check)
    colour = {"ok": "green", NO_RESULT: "yellow"}.get(result, "red")
    return check, styled((result, colour)), CHECKS[check]


def _result(report: Report, check: str) -> str:
    """Return how many violations the check has found, `ok`, or that it was not made."""
    if count := report.violations_of(check):
        return f"{count}"
    return NO_RESULT if check in report.unchecked else "ok"


def _more(what: str, items: tuple[object, ...], *columns: str) -> tuple[str, ...]:
    names = columns or ("subject", "what is wrong")
    return (f"{what} (first {_SHOWN} of {len(items):,})" if len(items) > _SHOWN else what, *names)


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(styled(str(cell)) if isinstance(cell, str | int) else cell for cell in row))
    return table


def _read_at(report: Report) -> str:
    if not report.read_at:
        return ""
    return f" · read at {datetime.fromtimestamp(report.read_at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
