"""Many orders of the same terms, placed at a rate: planned, run, stopped and followed like any other action."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from backoffice.order_placement import NewOrder, OrderPlacement
from ensemble.operations import Intent, Invalid, Plan, PlanItem, Rollout, Run, Verdict

MOST: Final = 100_000
_WAVE: Final = 100


class BurstItem(PlanItem):
    """One order that would be placed, named by its number; its id follows from plan, intent and number."""


class BurstPlan(Plan[BurstItem]):
    """Orders of these terms, none of which has an id of its own."""

    order: NewOrder


class OrderBursts:
    """Plans bursts of orders, and runs plans. Any number of threads may use it at once."""

    def __init__(self, placement: OrderPlacement) -> None:
        """Take what places each order."""
        self._placement = placement

    def plan(self, order: NewOrder, count: int) -> BurstPlan:
        """Return so many orders of these terms. Raises Invalid for a number of orders, or terms, that make no burst."""
        if not 1 <= count <= MOST:
            raise Invalid(f"place 1 to {MOST:,} orders at once", field="count")
        if order.order_id is not None:
            raise Invalid("several orders cannot have one id", hint="leave it out", field="order_id")
        items = tuple(BurstItem(name=f"{number:06}") for number in range(1, count + 1))
        return BurstPlan(order=order, items=items, as_of=datetime.now(UTC))

    def run(self, plan: BurstPlan, intent: Intent, rate: float | None = None) -> Run[BurstItem]:
        """Return a run of the plan: at most so many orders a second. Run again with the same intent it adds none.

        The outcome of each is `placed`, with the order's id as the detail: Kafka has it.
        """
        rollout = Rollout(probe=0, wave=_WAVE, max_failed=0, rate=rate)
        return Run(plan, intent, rollout, partial(_open_target, self._placement, plan, intent))


@contextmanager
def _open_target(placement: OrderPlacement, plan: BurstPlan, intent: Intent) -> Iterator[_BurstTarget]:
    yield _BurstTarget(placement, plan, intent)


class _BurstTarget:
    """Places the orders; each is resolved once Kafka has it."""

    def __init__(self, placement: OrderPlacement, plan: BurstPlan, intent: Intent) -> None:
        self._placement, self._plan, self._intent = placement, plan, intent
        self._placed: dict[str, str] = {}

    def submit(self, items: Sequence[BurstItem]) -> None:
        for item in items:
            accepted = self._placement.place(self._plan.order, self._plan.derived_id(self._intent, item.name))
            self._placed[item.name] = accepted.order_id

    def look(self) -> None:
        """Look for nothing: what was submitted is placed."""

    def is_acknowledged(self, item: BurstItem) -> bool:
        return item.name in self._placed

    def verdict(self, item: BurstItem) -> Verdict | None:
        order_id = self._placed.get(item.name)
        return None if order_id is None else Verdict("placed", is_good=True, detail=order_id)

    def verdict_when_late(self, item: BurstItem) -> Verdict:  # noqa: ARG002  all alike
        return Verdict("not_placed", is_good=False)
