"""Runs of plans: started once, followed, stopped and taken up again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from contracts.terms import PaymentToken
from ensemble.escaping import refuse_controls
from ensemble.operations import Actor, Intent, Reason, Result, Rollout, RunSummary
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import RunId, problems, require_kafka
from services.control_room.api.streams import EVENT_STREAM, LastEventId, LiveResponse
from services.control_room.control_room import VIA, Room
from services.control_room.live_events import Interest
from services.control_room.run_history import PastRun
from services.control_room.work_actions import AnyAction, describe_action

router = APIRouter(tags=["actions"], responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
_REPLAYED: Final = "Idempotent-Replayed"


class RunRequest(Result):
    """A plan that is to be run, and why; the reason goes into the audit with the person's name.

    Without a `rollout` orders are done at once, and a hundred dead letters at a time whatever becomes of them.
    """

    model_config = ConfigDict(extra="forbid")
    plan: str = Field(max_length=64)
    reason: Annotated[Reason, AfterValidator(refuse_controls)]
    rollout: Rollout | None = None


class ResumeRequest(Result):
    """What a run needs to go on after a restart: orders that are placed need their payment token, which is not kept."""

    model_config = ConfigDict(extra="forbid")
    payment_token: Annotated[PaymentToken, AfterValidator(refuse_controls)] | None = Field(default=None, repr=False)


class RunDocument(RunSummary):
    """How far a run is. `interrupted`: its process ended before it did; what it has written goes on without it."""

    action: AnyAction
    description: str


@router.post("/runs", status_code=HTTPStatus.ACCEPTED)
def post_run(room: Room, person: ActingPerson, request: RunRequest, response: Response) -> RunSummary:
    """Start the run of a plan. A plan is run once: whoever comes second gets the run that the first has started."""
    require_kafka(room)
    intent = Intent(actor=Actor(name=person.name, via=VIA), reason=request.reason)
    summary, is_new = room.actions.start(request.plan, intent, request.rollout)
    response.headers["Location"] = f"/api/runs/{summary.id}"
    if not is_new:
        response.headers[_REPLAYED] = "true"
    return summary


@router.get("/runs")
def list_runs(room: Room) -> tuple[RunDocument, ...]:
    """Return the latest runs, the latest first; those before a restart as well."""
    return tuple(map(document_of, room.actions.runs()))


@router.get("/runs/{run_id}")
def get_run(room: Room, run_id: RunId) -> RunDocument:
    """Return how far a run is."""
    return document_of(room.actions.look_up(run_id))


@router.get("/runs/{run_id}/events", responses=EVENT_STREAM, response_class=StreamingResponse)
async def stream_run(room: Room, run_id: RunId, *, last_event_id: LastEventId = None) -> StreamingResponse:
    """Send each event of a run from the first on, or after `Last-Event-ID`; at its end `stopped` or `finished`.

    The last event of a run whose process ended before it did is `interrupted`, with how many items were `remaining`.
    """
    events = await run_in_threadpool(room.actions.events_of, run_id)
    return LiveResponse(room, lambda: events.open(Interest(), last_event_id, from_start=True))


@router.post("/runs/{run_id}/stop")
def stop_run(room: Room, _: ActingPerson, run_id: RunId) -> RunSummary:
    """Stop a run before its next wave; what was sent is still followed."""
    return room.actions.stop(run_id)


@router.post("/runs/{run_id}/resume")
def resume_run(room: Room, _: ActingPerson, run_id: RunId, request: ResumeRequest | None = None) -> RunSummary:
    """Have a run go on with what is not resolved: one that was stopped, or whose process has ended.

    What is left of the latter is planned anew, under the same operation: nothing is done twice.
    """
    require_kafka(room)
    return room.actions.resume(run_id, None if request is None else request.payment_token)


def document_of(run: PastRun) -> RunDocument:
    """Return a run as a document."""
    description = describe_action(run.action, run.summary.total)
    return RunDocument(**dict(run.summary), action=run.action, description=description)
