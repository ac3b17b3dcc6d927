"""What the screen of `up` shows of orders: how many stand where, how fast they come and go, and the latest ones."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ENDED: Final = frozenset({"completed", "cancelled"})
STEPS: Final = ("payment", "reservation", "shipment")
_WINDOW_MS: Final = 10_000


@dataclass(frozen=True)
class OrderView:
    """One order as its state tells it."""

    order_id: str
    status: str
    steps: Mapping[str, str]
    """Each step and what became of it: done, failed, undone, begun or open."""
    reason: str
    updated_at: int


class OrderStatistics:
    """Fed with order states; asked for counts, rates and the latest orders."""

    def __init__(self) -> None:
        self._orders: dict[str, OrderView] = {}
        self._counts: Counter[str] = Counter()
        self._came: deque[int] = deque()
        self._went: deque[int] = deque()

    def take(self, order_id: str, state: Mapping[str, Any] | None, at: int) -> None:
        """Count the order's newest state, written at `at`; None if it was deleted."""
        before = self._orders.pop(order_id, None)
        if before is not None:
            self._counts[before.status] -= 1
        if state is None:
            return
        view = _view(order_id, state)
        self._orders[order_id] = view
        self._counts[view.status] += 1
        if before is None:
            self._came.append(at)
        if view.status in ENDED and (before is None or before.status not in ENDED):
            self._went.append(at)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of orders by status, without zeros."""
        return {status: count for status, count in sorted(self._counts.items()) if count}

    def rates(self, now: int) -> tuple[float, float]:
        """Return placed and ended orders per second, over the last ten seconds."""
        return _rate(self._came, now), _rate(self._went, now)

    def latest(self, count: int) -> list[OrderView]:
        """Return the orders that changed last, newest first."""
        return list(self._orders.values())[: -count - 1 : -1]


def _view(order_id: str, state: Mapping[str, Any]) -> OrderView:
    steps = {step: _fate(step, state) for step in STEPS}
    return OrderView(order_id, state["status"], steps, state.get("reason") or "", state.get("updated_at", 0))


def _fate(step: str, state: Mapping[str, Any]) -> str:
    for fate in ("undone", "failed", "done", "begun"):
        if step in state.get(fate, ()):
            return fate
    return "open"


def _rate(times: deque[int], now: int) -> float:
    while times and times[0] < now - _WINDOW_MS:
        times.popleft()
    return len(times) / (_WINDOW_MS / 1000)
