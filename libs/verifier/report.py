"""What the check has found: of each process while it works, and in the end as values and as a JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verifier.facts import OpenOrder, Place, Violation
from verifier.flow import MESSAGE_TOPICS

CLEAN, VIOLATED, NOT_CHECKED = 0, 1, 5


@dataclass
class Findings:
    """What one process has found and counted, of the partitions that it read or the orders that it judged."""

    violations: list[Violation] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(MESSAGE_TOPICS, 0)))
    """By topic."""
    types: Counter[str] = field(default_factory=Counter)
    """Messages by type."""
    counted: Counter[str] = field(default_factory=Counter)
    """Everything else, by name."""
    open_orders: list[OpenOrder] = field(default_factory=list)
    owing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Orders whose compensation has failed, with the steps still owed."""

    def merge(self, other: Findings) -> None:
        """Add what another process has found."""
        self.violations += other.violations
        self.messages.update(other.messages)
        self.types.update(other.types)
        self.counted.update(other.counted)
        self.open_orders += other.open_orders
        self.owing |= other.owing


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `exit_code` is 0 only when everything was checked and nothing was found."""

    read_at: int = 0
    """When the cut was taken, epoch milliseconds."""
    counted: Mapping[str, int] | None = None
    """What was looked at, by name; None: nothing could be read."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """Messages by topic."""
    violations: tuple[Violation, ...] = ()
    open_orders: tuple[OpenOrder, ...] = ()
    owing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Orders whose compensation has failed, with the steps still owed."""
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
        paused = sum(bool(order.paused) for order in self.open_orders)
        orders = f"{self.counted['orders']} orders" if self.counted else ""
        orders += f", {len(self.open_orders)} still open" if self.open_orders else ""
        orders += f" ({paused} paused)" if paused else ""
        if self.problems:
            return f"not checked in full: nothing wrong in what was checked of {orders}" if orders else "not checked"
        return f"clean: {orders}"

    def violations_of(self, check: str) -> int:
        """Return the number of violations that a check has found."""
        return sum(violation.check == check for violation in self.violations)


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
        "counted": dict(report.counted or {}),
        "messages": dict(report.messages),
        "violations": [violation._asdict() for violation in report.violations],
        "open_orders": [order._asdict() for order in report.open_orders],
        "compensation_failed": {order_id: list(owed) for order_id, owed in report.owing.items()},
        "cut": cut,
        "problems": list(report.problems),
        "unchecked": sorted(report.unchecked),
        "notes": list(report.notes),
    }
