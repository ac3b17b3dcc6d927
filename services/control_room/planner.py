"""Plans whatever people ask for, and makes runs of plans, with the part of the operators' library that it is about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from backoffice.order_actions import OrderAction
from backoffice.order_bursts import BurstItem, BurstPlan, OrderBursts
from backoffice.order_document import HIDDEN, hide_secrets, restore_secrets
from backoffice.order_filter import OrderFilter
from backoffice.order_pauses import OrderPauses, PauseEndPlan
from backoffice.order_placement import NewOrder, OrderPlacement
from backoffice.order_runs import OrderActions, OrderPlan
from ensemble.operations import (
    REDRIVES,
    DeadLetters,
    EventStream,
    Intent,
    Invalid,
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
from services.control_room.plan_outlines import PlanOutline
from services.control_room.run_history import PastRun
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

    # -- what is left of a run whose process has ended ----------------------------------------------------------------

    def outline(self, plan: AnyPlan) -> PlanOutline | None:
        """Return what is kept of a plan, None for an edit: it may hold a payment token."""
        match plan:
            case RedrivePlan():
                return None if plan.edited is not None else PlanOutline(redrive=plan)
            case PausePlan():
                return PlanOutline(pause=plan)
            case PauseEndPlan():
                return PlanOutline(pause=plan.pause)
            case _:
                return PlanOutline(names=plan.names)

    def plan_again(
        self, past: PastRun, outline: PlanOutline, done: Collection[str], payment_token: str | None
    ) -> AnyPlan:
        """Return what is left of a run, as things are now: with the plan's id and its intent nothing is done twice.

        Raises Invalid if orders are to be placed and it is not said with which payment token: that is never kept.
        """
        action, plan_id = past.action, past.summary.plan_id
        shared: dict[str, Any] = {"id": plan_id, "as_of": datetime.now(UTC)}
        left = [name for name in outline.names if name not in done]
        match action:
            case PlaceOrders():
                items = tuple(BurstItem(name=name) for name in left)
                return BurstPlan(**shared, order=_with_token(action.order, payment_token), items=items)
            case EndPause():
                plan = self.order_pauses.plan_end(action.scope, action.name)
                return plan.model_copy(update={"id": plan_id, "pause": outline.pause or plan.pause})
            case _ if (kept := outline.redrive or outline.pause) is not None:
                return kept.model_copy(update=shared)
            case _:
                return self.orders.plan_again(action, plan_id, left)

    # -- rehearsals ---------------------------------------------------------------------------------------------------

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


def _with_token(order: NewOrder, payment_token: str | None) -> NewOrder:
    if not payment_token:
        reason = "the payment token of these orders was not kept"
        raise Invalid(reason, hint="give it again", field="payment_token")
    return order.model_copy(update={"payment_token": payment_token})
