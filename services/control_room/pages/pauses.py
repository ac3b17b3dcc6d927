"""Pauses for all orders: which there are, how one begins, and how one ends with the orders that it holds."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from backoffice.order_pauses import OrderPauses
from ensemble import Application, EnsembleError
from ensemble.operations import (
    Audit,
    EventStream,
    Invalid,
    OperationsError,
    Resolved,
    Rollout,
    Stopped,
    WorkPauses,
    command_names,
    step_names,
)
from ensemble.system_messages import Scope
from services.control_room.access import ActingPerson
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.forms import Fields, Form, intent_of, number_of, text_of, words_of
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
_SCOPES: Final[dict[str, Scope]] = {"service": "service", "step": "step", "command": "command"}
_SHOWN: Final = 20

Text = Annotated[str, Query(max_length=256)]


@router.get("/pauses")
def list_pauses(request: Request, room: Room) -> Response:
    """Show what is paused: a service, a step or a type of command."""
    return _show(request, room, {})


@router.get("/pauses/end")
def show_end(request: Request, room: Room, *, scope: Text = "", name: Text = "") -> Response:
    """Show which orders would go on if the pause ended."""
    return _show_end(request, room, scope, name)


@router.post("/pauses")
def change_pause(request: Request, room: Room, person: ActingPerson, form: Form) -> Response:
    """Begin a pause for all orders, or end one with the orders that it holds; show what did not go well."""
    is_end = text_of(form, "does") == "end"
    try:
        if not is_end and text_of(form, "does") != "pause":
            raise Invalid(f"does: {text_of(form, 'does')!r} is neither pause nor end", field="does")
        intent = intent_of(person, form)
        scope, name = _scope_of(text_of(form, "scope")), text_of(form, "name")
        if is_end:
            pauses, rollout = OrderPauses(room.session, room.view), _rollout_of(form)
            problems = _run(pauses.end(pauses.plan_end(scope, name), intent, rollout))
        else:
            work = WorkPauses(room.session)
            problems = _run(work.run(work.plan_start(scope, name), intent))
    except (EnsembleError, ValidationError) as error:
        problems = [words_of(error)]
    room.updates.update()
    if not problems:
        return RedirectResponse("/pauses", HTTPStatus.SEE_OTHER)
    if is_end:
        return _show_end(request, room, text_of(form, "scope"), text_of(form, "name"), form=form, problems=problems)
    return _show(request, room, form, problems)


def _run(run: EventStream) -> list[str]:
    """Have the run done, and return what did not go well: refusals, answers that are missing, and why it stopped."""
    problems = []
    for event in run.events():
        if isinstance(event, Resolved) and not event.is_good:
            problems.append(_describe(event))
        if isinstance(event, Stopped):
            why = event.why.replace("_", " ")
            problems.append(f"it has stopped ({why}) with {event.remaining} to go{_after_colon(event.detail)}")
    return problems


def _describe(event: Resolved) -> str:
    texts = {
        "no_answer": "has not answered; it takes the command when it reads it",
        "not_acknowledged": "was not acknowledged; the command stays queued",
    }
    return f"{event.name}: {texts.get(event.outcome, event.outcome.replace('_', ' '))}{_after_colon(event.detail)}"


def _after_colon(detail: str) -> str:
    return f": {detail}" if detail else ""


def _scope_of(text: str) -> Scope:
    if text not in _SCOPES:
        raise Invalid(f"scope: {text!r} is none of service, step and command", field="scope")
    return _SCOPES[text]


def _rollout_of(form: Fields) -> Rollout:
    return Rollout(probe=number_of(form, "probe", 1), wave=number_of(form, "wave", 10))


def _show(request: Request, room: ControlRoom, form: Fields, problems: list[str] | None = None) -> Response:
    return render(
        request,
        room,
        "pauses.html",
        code=HTTPStatus.CONFLICT if problems else HTTPStatus.OK,
        pauses=Audit(room.view).pauses(),
        pausable=_pausable(room.session.application),
        problems=problems or [],
        values={name: text_of(form, name) for name in ("scope", "name", "reason")},
    )


def _show_end(
    request: Request,
    room: ControlRoom,
    scope: str,
    name: str,
    *,
    form: Fields | None = None,
    problems: list[str] | None = None,
) -> Response:
    orders: Any = ()
    problems, is_possible = problems or [], True
    try:
        orders = OrderPauses(room.session, room.view).plan_end(_scope_of(scope), name).items
    except OperationsError as error:
        is_possible, problems = False, problems or [str(error)]
    return render(
        request,
        room,
        "pause_end.html",
        code=HTTPStatus.CONFLICT if problems else HTTPStatus.OK,
        scope=scope,
        target=name,
        count=len(orders),
        shown=[item.name for item in orders[:_SHOWN]],
        is_possible=is_possible,
        problems=problems,
        values={"probe": "1", "wave": "10", "reason": ""} | {name: values[-1] for name, values in (form or {}).items()},
    )


def _pausable(application: Application) -> dict[str, list[str]]:
    return {
        "service": list(application.services),
        "step": step_names(application),
        "command": command_names(application),
    }
