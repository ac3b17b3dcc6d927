"""What can be provoked where the launcher runs a demonstration; elsewhere there is no such page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from ensemble import EnsembleError
from ensemble.operations import Invalid, NotFound
from services.control_room.access import ActingPerson
from services.control_room.control_room import ControlRoom, Room
from services.control_room.demonstration import Deed, Demonstration, Mode
from services.control_room.pages.forms import Form, text_of
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
_DEEDS: Final[dict[str, Deed]] = {"kill": "kill", "restart": "restart", "outage": "outage"}
_MODES: Final = {
    "up": "it answers",
    "down": "it answers 503",
    "error": "it answers 500, and may have charged",
    "hang": "it does not answer",
    "no_refunds": "it refuses refunds",
}
assert list(_MODES) == list(get_args(Mode))


def _demonstration_of(room: Room) -> Demonstration:
    if room.demonstration is None:
        raise NotFound("nothing is provoked here", hint="`./ensemble up` runs a demonstration that can be")
    return room.demonstration


Demo = Annotated[Demonstration, Depends(_demonstration_of)]


@router.get("/provoke")
def show_provocations(request: Request, room: Room, demo: Demo) -> Response:
    """Show the processes of the demonstration, and the provider."""
    return _show(request, room, demo)


@router.post("/provoke")
def provoke(request: Request, room: Room, person: ActingPerson, *, demo: Demo, form: Form) -> Response:  # noqa: ARG001
    """Kill or restart a process, or order an outage."""
    try:
        if (deed := _DEEDS.get(text_of(form, "does"))) is None:
            raise Invalid("does: give one of kill, restart and outage", field="does")
        demo.provoke(deed, text_of(form, "subject"))
    except EnsembleError as error:
        return _show(request, room, demo, problem=str(error))
    return RedirectResponse("/provoke", HTTPStatus.SEE_OTHER)


def _show(request: Request, room: ControlRoom, demo: Demonstration, *, problem: str = "") -> Response:
    code = HTTPStatus.CONFLICT if problem else HTTPStatus.OK
    return render(request, room, "provoke.html", code=code, state=demo.state(), modes=_MODES, problem=problem)
