"""Plans whatever people ask for, and makes runs of plans, with the part of the operators' library that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from backoffice.order_actions import OrderAction
from backoffice.order_bursts import BurstPlan, OrderBursts
from backoffice.order_document import HIDDEN, hide_secrets, restore_secrets
from backoffice.order_filter import OrderFilter
from backoffice.order_pauses import OrderPauses, PauseEndPlan
from backoffice.order_placement import OrderPlacement
from backoffice.order_runs import OrderActions, OrderPlan
from ensemble.operations import (
    REDRIVES,
    DeadLetters,
    EventStream,
    Intent,
    NotPossible,
    ParkedKeys,
    PausePlan,
    RedriveItem,
    RedrivePlan,
    RedriveRehearsal,
    Rehearse,
    Rollout,
    Session,
    WorkPauses,
    find_dead_letter,
)
from ensemble.operations.view import View
from services.control_room.work_actions import (
    Discard,
    DiscardParked,
    EndPause,
    PlaceOrders,
    Redrive,
    RetryParked,
    StartPause,
    WorkAction,
)

AnyPlan = OrderPlan | RedrivePlan | PausePlan | PauseEndPlan | BurstPlan
MOST_REHEARSED = 200
"""So many records of a plan are rehearsed, the first ones: it takes a copy of each partition, and their handlers."""


@dataclass(frozen=True)
class KeptPlan:
    """A plan, and what was asked for; nobody reads a secret in it."""

    action: Any
    plan: AnyPlan


@dataclass(frozen=True)
class Planner:
    """Any thread may use it. Nothing is changed before a run's events are iterated."""

    session: Session
    orders: OrderActions
    letters: DeadLetters
    keys: ParkedKeys
    pauses: WorkPauses
    order_pauses: OrderPauses
    bursts: OrderBursts

    @classmethod
    def on(cls, session: Session, view: View, rehearse: Rehearse, placement: OrderPlacement) -> Self:
        """Return the planner of a cluster and its view."""
        return cls(
            session,
            OrderActions(session, view),
            DeadLetters(session, view, rehearse),
            ParkedKeys(session),
            WorkPauses(session),
            OrderPauses(session, view),
            OrderBursts(placement),
        )

    def plan_orders(self, action: OrderAction, which: str | OrderFilter) -> KeptPlan:
        """Return what the action would do with orders. Raises like `OrderActions.plan`."""
        return KeptPlan(action, self.orders.plan(action, which))

    def plan_work(self, action: WorkAction) -> KeptPlan:
        """Return what the action would do. Raises OperationsError if it makes no sense."""
        match action:
            case Redrive():
                return self._plan_redrive(action)
            case PlaceOrders():
                hidden = action.order.model_copy(update={"payment_token": HIDDEN})
                plan = self.bursts.plan(action.order, action.count)
                return KeptPlan(action.model_copy(update={"order": hidden}), plan)
            case _:
                return KeptPlan(action, self._plan_of(action))

    def _plan_of(self, action: Discard | RetryParked | DiscardParked | StartPause | EndPause) -> AnyPlan:
        match action:
            case Discard():
                return self.letters.plan_discard(action.selection(), limit=action.limit)
            case RetryParked():
                return self.keys.plan_retry(action.key, action.service)
            case DiscardParked():
                return self.keys.plan_discard(action.key, action.service)
            case StartPause():
                return self.pauses.plan_start(action.scope, action.name)
            case EndPause():
                return self.order_pauses.plan_end(action.scope, action.name)

    def run(self, plan: AnyPlan, intent: Intent, rollout: Rollout | None) -> EventStream:
        """Return a run of the plan. Raises NotPossible if it has expired."""
        match plan:
            case OrderPlan():
                return self.orders.run(plan, intent, rollout)
            case RedrivePlan():
                return self.letters.run(plan, intent, rollout or REDRIVES)
            case PausePlan():
                return self.pauses.run(plan, intent)
            case PauseEndPlan():
                return self.order_pauses.end(plan, intent, rollout or Rollout())
            case BurstPlan():
                return self.bursts.run(plan, intent, None if rollout is None else rollout.rate)

    def require_rehearsable(self, plan: AnyPlan) -> tuple[RedrivePlan, tuple[RedriveItem, ...]]:
        """Return the plan and what of it can be rehearsed. Raises NotPossible if that is nothing."""
        if not isinstance(plan, RedrivePlan) or plan.verb != "redrive":
            raise NotPossible("only the redrive of dead letters can be rehearsed", subject=plan.id, field="plan")
        items = tuple(item for item in plan.items if item.dead_letter is not None)
        if not items:
            raise NotPossible("the plan has no dead letter that could be rehearsed", subject=plan.id, field="plan")
        return plan, items

    def rehearse(self, plan: AnyPlan) -> tuple[RedriveRehearsal, ...]:
        """Return what redriving the first records of a plan would do. Raises like `require_rehearsable`."""
        redrive, items = self.require_rehearsable(plan)
        return self.letters.rehearse(redrive.model_copy(update={"items": items[:MOST_REHEARSED]}))

    def _plan_redrive(self, action: Redrive) -> KeptPlan:
        which = action.selection()
        edit = None if action.edit is None else self._restored(action, action.edit)
        plan = self.letters.plan_redrive(which, limit=action.limit, edit=edit, force=action.force)
        return KeptPlan(action.model_copy(update={"edit": hide_secrets(action.edit)}), plan)

    def _restored(self, action: Redrive, edit: dict[str, Any]) -> dict[str, Any]:
        """Return the edit with the secrets of the record that it is of; of several records as it is."""
        items = self.letters.plan_discard(action.selection(), limit=action.limit).items
        if len(items) != 1:
            return edit
        letter = find_dead_letter(self.session, items[0].name)
        return dict(restore_secrets(edit, letter.entry.fields))
