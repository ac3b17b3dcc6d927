"""Plans: what an action would do with orders, dead letters, parked keys or a pause for all; and their rehearsals."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from backoffice.order_bursts import BurstItem
from backoffice.order_conditions import parse_conditions
from backoffice.order_runs import OrderItem
from contracts.terms import OrderId
from ensemble.operations import Invalid, NotFound, PauseItem, RedriveItem, RedrivePlan, Result, Skipped
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import problems, require_kafka
from services.control_room.control_room import ControlRoom, Room
from services.control_room.planner import KeptPlan
from services.control_room.rehearsals import Rehearsal
from services.control_room.work_actions import AnyAction, WorkAction, describe_action

router = APIRouter(tags=["actions"], responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))

PlanId = Annotated[str, Path(max_length=64)]
Wait = Annotated[float, Query(ge=0, le=120, description="Wait so many seconds at most for its end.")]
_SHOWN: Final = 200


class PlanRequest(Result):
    """What is to be done. Actions on orders are for one `order`, or for all that match `where`."""

    model_config = ConfigDict(extra="forbid")
    action: AnyAction
    order: OrderId | None = None
    where: tuple[str, ...] = Field(default=(), max_length=20)
    """Conditions as `GET /api/orders` takes them."""


class PlanDocument(Result):
    """What an action would do. Of many things the first are listed; `total` counts all."""

    id: str
    action: AnyAction
    description: str
    as_of: datetime
    expires_at: datetime
    total: int
    items: tuple[OrderItem, ...] | tuple[RedriveItem, ...] | tuple[PauseItem, ...] | tuple[BurstItem, ...]
    skipped: tuple[Skipped, ...]
    skipped_count: int
    is_edited: bool = False
    """Whether the one record of a redrive gets other fields."""


@router.post("/plans", status_code=HTTPStatus.CREATED)
def post_plan(room: Room, _: ActingPerson, request: PlanRequest, response: Response) -> PlanDocument:
    """Say what an action would do. Nothing is done; the plan can be run for a quarter of an hour."""
    require_kafka(room)
    kept = _plan(room, request)
    response.headers["Location"] = f"/api/plans/{kept.plan.id}"
    return document_of(kept)


@router.get("/plans/{plan_id}")
def get_plan(room: Room, plan_id: PlanId) -> PlanDocument:
    """Return a plan that was made here."""
    return document_of(room.actions.find_plan(plan_id))


@router.post("/plans/{plan_id}/rehearsal")
async def post_rehearsal(room: Room, _: ActingPerson, plan_id: PlanId, *, wait: Wait = 30.0) -> Rehearsal:
    """Rehearse a redrive on a copy of the services' state: what each record would do. Nothing of it is written.

    It takes seconds and goes on when nobody waits; asked for again it is the same one, unless it has failed.
    """
    await run_in_threadpool(require_kafka, room)
    began = await run_in_threadpool(room.actions.rehearse, plan_id)
    return await run_in_threadpool(room.actions.rehearsal_of, plan_id, wait) or began


@router.get("/plans/{plan_id}/rehearsal")
def get_rehearsal(room: Room, plan_id: PlanId) -> Rehearsal:
    """Return how far the rehearsal of a plan is."""
    rehearsal = room.actions.rehearsal_of(room.actions.find_plan(plan_id).plan.id)
    if rehearsal is None:
        raise NotFound(f"plan {plan_id!r} was not rehearsed", hint="post to the same address", field="plan")
    return rehearsal


def document_of(kept: KeptPlan) -> PlanDocument:
    """Return a plan as a document, with the first of its items."""
    plan: Any = kept.plan
    return PlanDocument(
        id=plan.id,
        action=kept.action,
        description=describe_action(kept.action, len(plan.items)),
        as_of=plan.as_of,
        expires_at=plan.expires_at,
        total=len(plan.items),
        items=plan.items[:_SHOWN],
        skipped=plan.skipped[:_SHOWN],
        skipped_count=plan.skipped_count,
        is_edited=isinstance(plan, RedrivePlan) and plan.edited is not None,
    )


def _plan(room: ControlRoom, request: PlanRequest) -> KeptPlan:
    if isinstance(request.action, WorkAction):
        if request.order is not None or request.where:
            raise Invalid(f"{request.action.kind} is not about orders", hint="leave it out", field="order")
        return room.actions.plan_work(request.action)
    if (request.order is None) == (not request.where):
        raise Invalid("one order, or conditions", hint="give `order` or `where`", field="order")
    which = request.order if request.order is not None else parse_conditions(request.where)
    return room.actions.plan(request.action, which)
