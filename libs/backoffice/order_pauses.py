"""The end of a wide pause: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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
        end = partial(self._pauses.run, intent=intent, timeout_s=timeout_s)
        stages = _Stages(self, plan.pause, end, partial(self._actions.run, intent=intent), rollout)
        return RunSequence(stages.next_run, plan, intent, rollout, total=len(plan.items) + len(plan.pause.items))

    def held_by(self, pause: PausePlan, *, past_pause: bool = False) -> OrderPlan:
        """Return the orders that the pause holds now, with what it would take to resume them."""
        order_filter = OrderFilter((Condition("paused_by", "=", pause.what),))
        return self._actions.plan(Resume(past_pause=past_pause), order_filter)


@dataclass
class _Stages:
    """The runs that end one pause, each made of the orders that are held when it begins."""

    pauses: OrderPauses
    pause: PausePlan
    end: Callable[[PausePlan], EventStream]
    resume: Callable[..., EventStream]
    rollout: Rollout
    has_probed: bool = False
    is_ended: bool = False
    rounds: int = 0

    def next_run(self) -> EventStream | None:
        """Return what is to be done next; None if no order is held any more, or after so many rounds."""
        if not self.is_ended:
            if self.pause.scope == "step" and not self.has_probed:
                plan = self.pauses.held_by(self.pause, past_pause=True)
                if plan.items:
                    return self._resume(plan)
            run = self.end(self.pause.model_copy(update={"as_of": datetime.now(UTC)}))
            self.is_ended = True
            return run
        plan = self.pauses.held_by(self.pause)
        self.rounds += 1
        return self._resume(plan) if plan.items and self.rounds <= _ROUNDS else None

    def _resume(self, plan: OrderPlan) -> EventStream:
        rollout = self.rollout.model_copy(update={"probe": 0}) if self.has_probed else self.rollout
        self.has_probed = True
        return self.resume(plan, rollout=rollout)
