"""What would be done with dead letters, parked keys and pauses: shown, rehearsed, asked about, and started."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from backoffice.order_bursts import BurstPlan
from backoffice.order_runs import OrderPlan
from ensemble import EnsembleError
from ensemble.messages import invalid_fields
from ensemble.operations import (
    Invalid,
    NotFound,
    PausePlan,
    RedrivePlan,
    Rollout,
    describe_dead_letter,
    find_dead_letter,
)
from services.control_room.access import FROM_HERE, ActingPerson
from services.control_room.api.parameters import require_kafka
from services.control_room.api.plans import PlanId
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.forms import (
    Fields,
    Form,
    intent_of,
    number_of,
    rate_of,
    require_cluster,
    text_of,
    words_of,
)
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render, show_json
from services.control_room.planner import KeptPlan
from services.control_room.work_actions import (
    DeadLetterConditions,
    Discard,
    DiscardParked,
    EndPause,
    Redrive,
    RetryParked,
    StartPause,
    WorkAction,
    describe_action,
)
from services.control_room.work_actions import Text as Place

router = APIRouter(route_class=PageRoute)
_SHOWN: Final = 20

Text = Annotated[str, Query(max_length=256)]
Key = Annotated[str, Query(min_length=1, max_length=256)]
Places = Annotated[list[Place] | None, Query(max_length=200)]
Verb = Literal["redrive", "discard"]
Limit = Annotated[int | None, Query(ge=1, le=1_000_000)]


# -- planned ----------------------------------------------------------------------------------------------------------


@router.get("/dead-letters/act", dependencies=[FROM_HERE])
def plan_dead_letters(  # noqa: PLR0913  one for each part of the selection
    room: Room,
    _: ActingPerson,
    *,
    verb: Verb,
    place: Places = None,
    group: Text = "",
    service: Text = "",
    key: Text = "",
    limit: Limit = None,
    force: bool = False,
) -> Response:
    """Plan to redrive or discard dead letters: those at these places, or all open ones that match."""
    conditions = {name: value for name, value in (("group", group), ("service", service), ("key", key)) if value}
    which = {"dead_letters": tuple(place or ()), "where": DeadLetterConditions(**conditions) if conditions else None}
    action: WorkAction = (
        Redrive(**which, limit=limit, force=force) if verb == "redrive" else Discard(**which, limit=limit)
    )
    return show_planned(room, action)


@router.get("/parked/act", dependencies=[FROM_HERE])
def plan_parked(
    room: Room, _: ActingPerson, *, verb: Literal["retry", "discard"], key: Key, service: Text = ""
) -> Response:
    """Plan to try the first record of a parked key now, or to do without it."""
    kind = RetryParked if verb == "retry" else DiscardParked
    return show_planned(room, kind(key=key, service=service or None))


@router.get("/dead-letters/edit")
def show_edit(request: Request, room: Room, place: Text) -> Response:
    """Show the fields of a dead letter, to be changed."""
    return _show_edit(request, room, place, None)


@router.post("/dead-letters/edit")
def plan_edit(request: Request, room: Room, _: ActingPerson, *, form: Form) -> Response:
    """Plan to redrive a dead letter with other fields, or say what is wrong with them."""
    place = text_of(form, "place")
    text = "\n".join(form.get("fields", [""]))
    try:
        force = text_of(form, "force") == "on"
        return show_planned(room, Redrive(dead_letters=(place,), edit=_fields_in(text), force=force))
    except (EnsembleError, ValidationError) as error:
        return _show_edit(request, room, place, text, problem=_words(error))
    except RecursionError:  # of the parser, or of who reads what it takes
        return _show_edit(request, room, place, text, problem="these fields are nested too deeply")


def show_planned(room: ControlRoom, action: WorkAction, *, rate: str = "") -> Response:
    """Keep the plan of an action, and lead to its page, which can be read again without another plan.

    The page's form begins with the `rate`.
    """
    require_kafka(room)
    plan = room.actions.plan_work(action).plan
    query = f"?{urlencode({'rate': rate})}" if rate else ""
    return RedirectResponse(f"/plans/{plan.id}{query}", HTTPStatus.SEE_OTHER)


def _fields_in(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise Invalid(f"these fields are no JSON: {error}", field="fields") from None
    if not isinstance(fields, dict):
        raise Invalid("these fields are no JSON object, such as {...}", field="fields")
    return fields


def _show_edit(request: Request, room: ControlRoom, place: str, text: str | None, *, problem: str = "") -> Response:
    details = describe_dead_letter(room.session, find_dead_letter(room.session, place))
    return render(
        request,
        room,
        "edit.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        details=details,
        text=show_json(details.fields) if text is None else text,
        problem=problem,
    )


# -- shown, rehearsed, started ----------------------------------------------------------------------------------------


@router.get("/plans/{plan_id}")
def show_plan(request: Request, room: Room, plan_id: PlanId, *, rate: Text = "") -> Response:
    """Show a plan, and its rehearsal if there is one; its form begins with a rate that was given before."""
    return _show(request, room, _find_plan(room, plan_id), form={"rate": [rate]})


@router.post("/plans/{plan_id}/rehearsal")
def rehearse(request: Request, room: Room, person: ActingPerson, plan_id: PlanId) -> Response:  # noqa: ARG001  may act
    """Begin the rehearsal of a plan; its page shows how far that is."""
    kept = _find_plan(room, plan_id)
    try:
        require_kafka(room)
        room.actions.rehearse(plan_id)
    except EnsembleError as error:
        return _show(request, room, kept, problem=str(error))
    return RedirectResponse(f"/plans/{plan_id}", HTTPStatus.SEE_OTHER)


@router.post("/plans/{plan_id}/run")
def start_run(request: Request, room: Room, person: ActingPerson, *, plan_id: PlanId, form: Form) -> Response:
    """Start the run of a plan, and show how it goes on; sent twice, it is one run."""
    kept = _find_plan(room, plan_id)
    try:
        require_kafka(room)
        intent = intent_of(person, form)
        if _is_dangerous(kept):
            require_cluster(room, form)
        run, _ = room.actions.start(plan_id, intent, _rollout_of(kept, form))
    except (EnsembleError, ValidationError) as error:
        return _show(request, room, kept, form=form, problem=_words(error))
    return RedirectResponse(f"/runs/{run.id}", HTTPStatus.SEE_OTHER)


def _find_plan(room: ControlRoom, plan_id: str) -> KeptPlan:
    """Return a plan that is shown here. Raises NotFound, also for a plan of orders: another page asks about those."""
    kept = room.actions.find_plan(plan_id)
    if isinstance(kept.plan, OrderPlan):
        raise NotFound(f"plan {plan_id!r} is about orders", hint="plan it anew on the page of actions", field="plan")
    return kept


def _rollout_of(kept: KeptPlan, form: Fields) -> Rollout | None:
    if isinstance(kept.plan, RedrivePlan):
        is_careful = text_of(form, "stop_on_failure") == "on"
        return Rollout(
            probe=0, wave=100, max_failed=1, timeout_s=30, rate=rate_of(form, "rate"), stop_on_failure=is_careful
        )
    if isinstance(kept.plan, PausePlan):
        return None
    if isinstance(kept.plan, BurstPlan):
        return Rollout(rate=rate_of(form, "rate"))
    return Rollout(probe=number_of(form, "probe", 1), wave=number_of(form, "wave", 10))


def _is_dangerous(kept: KeptPlan) -> bool:
    """Return whether it is asked about with the name of the cluster: it is about many, or cannot be taken back."""
    match kept.action:
        case Redrive() | RetryParked():
            return len(kept.plan.items) > 1 or (isinstance(kept.plan, RedrivePlan) and kept.plan.edited is not None)
        case StartPause() | Discard() | DiscardParked():
            return True
        case _:
            return len(kept.plan.items) > 1


def _show(
    request: Request, room: ControlRoom, kept: KeptPlan, *, form: Fields | None = None, problem: str = ""
) -> Response:
    plan, form = kept.plan, form or {}
    usual = {"probe": "1", "wave": "10", "rate": "", "reason": "", "stop_on_failure": ""}
    reasons: dict[str, int] = {}
    for skipped in plan.skipped:
        reasons[skipped.why] = reasons.get(skipped.why, 0) + 1
    return render(
        request,
        room,
        "plan.html",
        code=HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        plan=plan,
        action=kept.action,
        what=describe_action(kept.action, len(plan.items)),
        items=plan.items[:_SHOWN],
        reasons=reasons,
        is_dangerous=_is_dangerous(kept),
        can_rehearse=isinstance(plan, RedrivePlan) and any(each.dead_letter for each in plan.items)
        and plan.verb == "redrive",
        is_edited=isinstance(plan, RedrivePlan) and plan.edited is not None,
        rehearsal=room.actions.rehearsal_of(plan.id),
        values={name: text_of(form, name) or value for name, value in usual.items()},
        back_url=back_url(kept.action),
        problem=problem,
    )  # fmt: skip


def back_url(action: Any) -> str:
    """Return the page that an action is about."""
    match action:
        case Redrive(dead_letters=(place,)) | Discard(dead_letters=(place,)):
            return f"/dead-letters/{place}"
        case Redrive() | Discard():
            group = action.where.group if action.where else None
            return f"/dead-letters?{urlencode({'group': group})}" if group else "/dead-letters"
        case RetryParked() | DiscardParked():
            return f"/parked?{urlencode({'key': action.key})}"
        case StartPause() | EndPause():
            return "/pauses"
        case _:
            return "/orders"


def _words(error: Exception) -> str:
    return invalid_fields(error) if isinstance(error, ValidationError) else words_of(error)
