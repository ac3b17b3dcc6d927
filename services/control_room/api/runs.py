"""Plans of actions on orders, and their runs: shown first, started once, followed, stopped and taken up again."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from backoffice.order_actions import OrderAction
from backoffice.order_conditions import parse_conditions
from backoffice.order_runs import OrderItem, OrderPlan
from contracts.terms import OrderId
from ensemble.operations import Actor, Intent, Invalid, Reason, Result, Rollout, RunSummary, Skipped
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import RunId, problems, require_kafka
from services.control_room.api.streams import EVENT_STREAM, LastEventId, LiveResponse
from services.control_room.control_room import VIA, Room
from services.control_room.live_events import Interest

router = APIRouter(tags=["actions"], responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))

PlanId = Annotated[str, Path(max_length=64)]
_SHOWN: Final = 200


class PlanRequest(Result):
    """What is to be done, with one order or with all that match."""

    action: OrderAction = Field(discriminator="kind")
    order: OrderId | None = None
    where: tuple[str, ...] = Field(default=(), max_length=20)
    """Conditions as `GET /api/orders` takes them."""


class PlanDocument(Result):
    """What an action would do. Of many orders the first are listed; `total` counts all."""

    id: str
    action: OrderAction = Field(discriminator="kind")
    as_of: datetime
    expires_at: datetime
    total: int
    items: tuple[OrderItem, ...]
    skipped: tuple[Skipped, ...]
    skipped_count: int


class RunRequest(Result):
    """A plan that is to be run, and why; the reason goes into the audit with the person's name."""

    plan: str = Field(max_length=64)
    reason: Reason
    rollout: Rollout | None = None


@router.post("/plans", status_code=HTTPStatus.CREATED)
def post_plan(room: Room, _: ActingPerson, request: PlanRequest, response: Response) -> PlanDocument:
    """Say what an action would do. Nothing is done; the plan can be run for a quarter of an hour."""
    require_kafka(room)
    if (request.order is None) == (not request.where):
        raise Invalid("one order, or conditions", hint="give `order` or `where`", field="order")
    which = request.order if request.order is not None else parse_conditions(request.where)
    plan = room.actions.plan(request.action, which)
    response.headers["Location"] = f"/api/plans/{plan.id}"
    return document_of(plan)


@router.get("/plans/{plan_id}")
def get_plan(room: Room, plan_id: PlanId) -> PlanDocument:
    """Return a plan that was made here."""
    return document_of(room.actions.find_plan(plan_id))


@router.post("/runs", status_code=HTTPStatus.ACCEPTED)
def post_run(room: Room, person: ActingPerson, request: RunRequest, response: Response) -> RunSummary:
    """Start the run of a plan. A plan is run once: whoever comes second gets the run that the first has started."""
    require_kafka(room)
    intent = Intent(actor=Actor(name=person.name, via=VIA), reason=request.reason)
    started, is_new = room.actions.start(request.plan, intent, request.rollout)
    response.headers["Location"] = f"/api/runs/{started.run.id}"
    if not is_new:
        response.headers["Idempotent-Replayed"] = "true"
    return started.summary


@router.get("/runs")
def list_runs(room: Room) -> tuple[RunSummary, ...]:
    """Return the runs of this process, the latest first."""
    return room.actions.runs()


@router.get("/runs/{run_id}")
def get_run(room: Room, run_id: RunId) -> RunSummary:
    """Return how far a run is."""
    return room.actions.find_run(run_id).summary


@router.get("/runs/{run_id}/events", responses=EVENT_STREAM, response_class=StreamingResponse)
async def stream_run(room: Room, run_id: RunId, *, last_event_id: LastEventId = None) -> StreamingResponse:
    """Send each event of a run from the first on, or after `Last-Event-ID`; at its end `stopped` or `finished`."""
    events = room.actions.find_run(run_id).events
    return LiveResponse(room, lambda: events.open(Interest(), last_event_id, from_start=True))


@router.post("/runs/{run_id}/stop")
def stop_run(room: Room, _: ActingPerson, run_id: RunId) -> RunSummary:
    """Stop a run before its next wave; what was sent is still followed."""
    started = room.actions.find_run(run_id)
    started.run.stop()
    return started.summary


@router.post("/runs/{run_id}/resume")
def resume_run(room: Room, _: ActingPerson, run_id: RunId) -> RunSummary:
    """Have a stopped run go on with what is not resolved."""
    return room.actions.resume(run_id).summary


def document_of(plan: OrderPlan) -> PlanDocument:
    """Return a plan as a document, with the first of its orders."""
    return PlanDocument(
        id=plan.id,
        action=plan.action,
        as_of=plan.as_of,
        expires_at=plan.expires_at,
        total=len(plan.items),
        items=plan.items[:_SHOWN],
        skipped=plan.skipped[:_SHOWN],
        skipped_count=plan.skipped_count,
    )
