"""Runs: how far each is, what became of its items, and how it is stopped."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from ensemble import EnsembleError
from ensemble.operations import Resolved, RunEvent, Stopped
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import RunId, require_kafka
from services.control_room.api.runs import ResumeRequest
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.forms import Form, text_of, words_of
from services.control_room.pages.plans import back_url
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render
from services.control_room.run_history import ENDED
from services.control_room.work_actions import (
    Discard,
    DiscardParked,
    PlaceOrders,
    Redrive,
    RetryParked,
    describe_action,
)

router = APIRouter(route_class=PageRoute)
_SHOWN: Final = 50


@router.get("/runs")
def list_runs(request: Request, room: Room) -> Response:
    """Show the latest runs, those before a restart as well."""
    runs = [(run.summary, describe_action(run.action, run.summary.total)) for run in room.actions.runs()]
    return render(request, room, "runs.html", runs=runs)


@router.get("/runs/{run_id}")
def show_run(request: Request, room: Room, run_id: RunId) -> Response:
    """Show how far a run is, what became of its items, and why it has stopped."""
    return _show(request, room, run_id)


@router.post("/runs/{run_id}/stop")
def stop_run(request: Request, room: Room, person: ActingPerson, run_id: RunId) -> Response:  # noqa: ARG001  may act
    """Have a run stop before its next wave."""
    try:
        room.actions.stop(run_id)
    except EnsembleError as error:
        return _show(request, room, run_id, problem=str(error))
    return RedirectResponse(f"/runs/{run_id}", HTTPStatus.SEE_OTHER)


@router.post("/runs/{run_id}/resume")
def resume_run(request: Request, room: Room, person: ActingPerson, *, run_id: RunId, form: Form) -> Response:  # noqa: ARG001  may act
    """Have a run go on that has stopped, or whose process has ended, with what is not resolved."""
    try:
        require_kafka(room)
        given = ResumeRequest(payment_token=text_of(form, "payment_token") or None)
        room.actions.resume(run_id, given.payment_token)
    except (EnsembleError, ValidationError) as error:
        return _show(request, room, run_id, problem=words_of(error))
    return RedirectResponse(f"/runs/{run_id}", HTTPStatus.SEE_OTHER)


def _show(request: Request, room: ControlRoom, run_id: str, *, problem: str = "") -> Response:
    run, events = room.actions.look_up(run_id), room.actions.history_of(run_id)
    resolved = [event for event in events if isinstance(event, Resolved)]
    shown = sorted(resolved, key=lambda event: (event.is_good, -event.at.timestamp()))[:_SHOWN]
    return render(
        request,
        room,
        "run.html",
        code=HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        run=run.summary,
        what=describe_action(run.action, run.summary.total),
        resolved=[(event, _url(run.action, event)) for event in shown],
        unshown=len(resolved) - len(shown),
        stopped=_stop_in(events),
        can_resume=room.actions.can_resume(run),
        needs_token=room.actions.needs_token(run),
        is_over=run.summary.state in ENDED,
        back_url=back_url(run.action),
        problem=problem,
    )


def _stop_in(events: tuple[RunEvent, ...]) -> Stopped | None:
    """Return the last event of a run if it has stopped."""
    return events[-1] if events and isinstance(events[-1], Stopped) else None


def _url(action: Any, event: Resolved) -> str:
    """Return the page of one item of a run, or an empty text."""
    match action:
        case Redrive() | Discard() | RetryParked() | DiscardParked():
            return f"/dead-letters/{quote(event.name)}" if ".dead-letter/" in event.name else ""
        case PlaceOrders():
            return f"/orders/{quote(event.detail, safe='')}" if event.is_good else ""
        case _:
            return "" if event.name.endswith("]") else f"/orders/{quote(event.name, safe='')}"
