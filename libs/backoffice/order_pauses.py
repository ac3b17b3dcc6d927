"""The end of a wide pause: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backoffice.order_actions import Resume
from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_runs import OrderActions, OrderItem, OrderPlan
from ensemble.operations import EventStream, Intent, PausePlan, Plan, Rollout, RunSequence, Session, WorkPauses
from ensemble.operations.view import View
from ensemble.system_messages import Scope

_ROUNDS: Final = 20
"""How often orders are looked for that were held while the last ones went on."""


class PauseEndPlan(Plan[OrderItem]):
    """The orders that a pause holds, longest paused first, and the partitions that are told of its end."""

    pause: PausePlan


class OrderPauses:
    """Plans ends of pauses that hold orders, and runs plans. Any number of threads may use it at once."""

    def __init__(self, session: Session, view: View | None = None) -> None:
        """Take what `OrderActions` takes."""
        self._pauses, self._actions = WorkPauses(session), OrderActions(session, view)

    def plan_end(self, scope: Scope, name: str) -> PauseEndPlan:
        """Return what would go on. Raises NotFound listing the names that there are."""
        pause = self._pauses.plan_end(scope, name)
        orders = self.held_by(pause, past_pause=scope == "step")
        return PauseEndPlan(items=orders.items, as_of=orders.as_of, pause=pause)

    def end(self, plan: PauseEndPlan, intent: Intent, rollout: Rollout, timeout_s: float = 15.0) -> RunSequence:
        """Return a run that resumes the orders and ends the pause.

        A step's orders go first, past the pause, and the pause stays if too many of a wave fail; other pauses end
        first. Orders that were held meanwhile follow. `timeout_s` is how long partitions have to answer.
        """
        stages = self._stages(plan.pause, intent, rollout, timeout_s)
        return RunSequence(stages, plan, intent, rollout, total=len(plan.items) + len(plan.pause.items))

    def held_by(self, pause: PausePlan, *, past_pause: bool = False) -> OrderPlan:
        """Return the orders that the pause holds now, with what it would take to resume them."""
        order_filter = OrderFilter((Condition("paused_by", "=", pause.what),))
        return self._actions.plan(Resume(past_pause=past_pause), order_filter)

    def _stages(self, pause: PausePlan, intent: Intent, rollout: Rollout, timeout_s: float) -> Iterator[EventStream]:
        has_probed = False
        if pause.scope == "step" and (plan := self.held_by(pause, past_pause=True)).items:
            has_probed = True
            yield self._actions.run(plan, intent, rollout)
        yield self._pauses.run(pause.model_copy(update={"as_of": self.held_by(pause).as_of}), intent, timeout_s)
        for _ in range(_ROUNDS):
            plan = self.held_by(pause)
            if not plan.items:
                return
            further = rollout.model_copy(update={"probe": 0}) if has_probed else rollout
            has_probed = True
            yield self._actions.run(plan, intent, further)
