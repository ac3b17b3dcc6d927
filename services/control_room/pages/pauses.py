"""Pauses for all orders: which there are, and what their begin or their end would touch."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ensemble import Application
from ensemble.operations import Audit, NotFound, command_names, step_names
from ensemble.system_messages import Scope
from services.control_room.access import FROM_HERE, ActingPerson
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.plans import show_planned
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render
from services.control_room.work_actions import EndPause, StartPause

router = APIRouter(route_class=PageRoute)

Name = Annotated[str, Query(min_length=1, max_length=256)]


@router.get("/pauses")
def list_pauses(request: Request, room: Room) -> Response:
    """Show what is paused: a service, a step or a type of command."""
    return _show(request, room)


@router.get("/pauses/act", dependencies=[FROM_HERE])
def plan_pause(
    request: Request, room: Room, _: ActingPerson, *, verb: Literal["start", "end"], scope: Scope, name: Name
) -> Response:
    """Plan the begin of a pause for all orders, or its end with the orders that it holds."""
    kind = StartPause if verb == "start" else EndPause
    try:
        return show_planned(room, kind(scope=scope, name=name))
    except NotFound as error:
        return _show(request, room, scope, name, problem=str(error))


def _show(request: Request, room: ControlRoom, scope: str = "", name: str = "", *, problem: str = "") -> Response:
    return render(
        request,
        room,
        "pauses.html",
        code=HTTPStatus.NOT_FOUND if problem else HTTPStatus.OK,
        pauses=Audit(room.view).pauses(),
        pausable=_pausable(room.session.application),
        problem=problem,
        scope=scope,
        target=name,
    )


def _pausable(application: Application) -> dict[str, list[str]]:
    return {
        "service": list(application.services),
        "step": step_names(application),
        "command": command_names(application),
    }
