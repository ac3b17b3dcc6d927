"""What the check has found, as a JSON document, as plain lines, and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cli.verify.facts import Place, Violation
from cli.verify.judgement import ASKED, CHECKS, Counted
from cli.verify.progress import OpenOrder
from ensemble.command_line.streams import styled

if TYPE_CHECKING:
    from rich.console import RenderableType

CLEAN, VIOLATED, NOT_CHECKED = 0, 1, 2
_SHOWN: Final = 50
"""Violations and open orders that tables and plain lines show; the JSON document has all of them."""


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `exit_code` is 0 only when everything was checked and nothing was found."""

    read_at: int = 0
    """When the cut was taken, epoch milliseconds."""
    counted: Counted | None = None
    """None: nothing could be read."""
    violations: tuple[Violation, ...] = ()
    open_orders: tuple[OpenOrder, ...] = ()
    owing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Orders whose compensation has failed, with the steps still owed."""
    lags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cut: Mapping[Place, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What could not be checked, and why."""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        if self.violations:
            return VIOLATED
        return NOT_CHECKED if self.problems else CLEAN

    @property
    def verdict(self) -> str:
        """Return the result as one sentence."""
        if self.violations:
            return f"{len(self.violations)} violation{'s' if len(self.violations) > 1 else ''}"
        if self.problems:
            return "not checked"
        still_open = f", {len(self.open_orders)} still open" if self.open_orders else ""
        still_open += f" ({self.paused} paused)" if self.paused else ""
        return f"clean: {self.counted.orders if self.counted else 0} orders{still_open}"

    @property
    def paused(self) -> int:
        """Return how many open orders are paused."""
        return sum(1 for order in self.open_orders if order.paused)

    def violations_of(self, check: str) -> int:
        """Return the number of violations that a check has found."""
        return Counter(violation.check for violation in self.violations)[check]


def as_document(report: Report) -> dict[str, Any]:
    """Return everything as one JSON document."""
    cut: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(report.cut.items()):
        cut.setdefault(topic, {})[str(partition)] = offset
    return {
        "verdict": report.verdict,
        "clean": report.exit_code == CLEAN,
        "exit_code": report.exit_code,
        "read_at": report.read_at,
        "counted": dict(counted_rows(report)),
        "messages": dict(report.counted.messages) if report.counted else {},
        "violations": [violation._asdict() for violation in report.violations],
        "open_orders": [order._asdict() for order in report.open_orders],
        "compensation_failed": {order_id: list(owed) for order_id, owed in report.owing.items()},
        "lag": {group: dict(topics) for group, topics in report.lags.items()},
        "cut": cut,
        "problems": list(report.problems),
        "notes": list(report.notes),
    }


def counted_rows(report: Report) -> list[tuple[str, int]]:
    """Return the counts, name by name."""
    counted = report.counted
    if counted is None:
        return []
    return [
        ("orders", counted.orders),
        ("completed", counted.completed),
        ("cancelled", counted.cancelled),
        ("compensation failed", counted.compensation_failed),
        ("open", len(report.open_orders)),
        ("paused", report.paused),
        ("messages", sum(counted.messages.values())),
        ("captures", counted.captures),
        ("refunds", counted.refunds),
        ("stock lines reserved", counted.stock_lines_reserved),
        ("stock lines released", counted.stock_lines_released),
        ("stock lines dispatched", counted.stock_lines_dispatched),
        ("dead letters", sum(counted.dead_letters.values())),
        ("records parked", counted.parked),
    ]


def as_plain(report: Report) -> str:
    """Return tab-separated lines: the kind of line, then its columns."""
    return "".join("\t".join(" ".join(str(cell).split()) for cell in line) + "\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    for name, number in counted_rows(report):
        yield "counted", name, number
    for topic, number in report.counted.messages.items() if report.counted else ():
        yield "messages", topic, number
    for check in CHECKS if report.counted else ():
        yield "check", check, report.violations_of(check) or "ok"
    for violation in report.violations[:_SHOWN]:
        yield "violation", *violation
    for row in open_rows(report)[:_SHOWN]:
        yield "open", *row
    for order_id, owed in list(report.owing.items())[:_SHOWN]:
        yield "compensation failed", order_id, ", ".join(owed)
    yield from (("lag", group, topic, behind) for group, topic, behind in lag_rows(report))
    yield from (("note", sentence) for sentence in report.notes)
    yield from (("not checked", sentence) for sentence in report.problems)
    yield "verdict", report.verdict


def open_rows(report: Report) -> list[tuple[str, str, str, str, str]]:
    """Open orders: id, status, step, what it waits for, and until when."""
    return [
        (order.order_id, order.status, order.step or "", order.waits_for, _due(order.due_at, report.read_at))
        for order in report.open_orders
    ]


def lag_rows(report: Report) -> list[tuple[str, str, int]]:
    """Return the groups with unread records."""
    return [
        (group, topic, behind)
        for group, topics in sorted(report.lags.items())
        for topic, behind in sorted(topics.items())
        if behind
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
    remarks = [*(styled((sentence, "dim")) for sentence in report.notes)]
    remarks += [styled((f"not checked: {sentence}", "yellow")) for sentence in report.problems]
    return Group(*_tables(report), *remarks, styled((f"{report.verdict}{_read_at(report)}", colour)))


def _tables(report: Report) -> Iterator[RenderableType]:
    if report.counted is None:
        return
    yield _table(("counted", ""), [(name, f"{number:,}") for name, number in counted_rows(report)])
    yield _table(("check", "result", "asks that"), [_check_row(report, check) for check in CHECKS])
    if report.violations:
        yield _table(_more("violation", report.violations), [tuple(v) for v in report.violations[:_SHOWN]])
    if report.open_orders:
        columns = _more("open order", report.open_orders, "status", "step", "waits for", "due")
        yield _table(columns, open_rows(report)[:_SHOWN])
    if report.owing:
        rows = [(order_id, ", ".join(owed)) for order_id, owed in report.owing.items()]
        yield _table(("compensation failed", "still owed"), rows[:_SHOWN])
    if behind := lag_rows(report):
        yield _table(("group", "topic", "not read yet"), behind)


def _check_row(report: Report, check: str) -> tuple[str, RenderableType, str]:
    if check == "money" and report.counted and any(sentence.startswith("money") for sentence in report.problems):
        return check, styled(("not checked", "yellow")), ASKED[check]
    count = report.violations_of(check)
    return check, styled((f"{count:,}", "red") if count else ("ok", "green")), ASKED[check]


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
