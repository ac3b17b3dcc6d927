"""What the check has found, as values and as a JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verifier.facts import Place, Violation
from verifier.judgement import Counted
from verifier.progress import OpenOrder

CLEAN, VIOLATED, NOT_CHECKED = 0, 1, 5


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
    """What was not checked, and why."""
    unchecked: frozenset[str] = frozenset()
    """The checks that were not made."""
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
        "unchecked": sorted(report.unchecked),
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
