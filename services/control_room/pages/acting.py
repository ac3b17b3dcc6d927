"""What a person has done about orders: shown first as a plan, asked about, then run and told of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from backoffice.effect_text import describe_effect
from backoffice.order_actions import ORDER_ACTIONS, describe_why_not
from backoffice.order_conditions import parse_conditions
from backoffice.order_runs import OrderActions, OrderItem
from ensemble import EnsembleError
from ensemble.operations import Invalid, OperationsError, Resolved, Rollout
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import OrderId
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.forms import Form, intent_of, number_of, require_cluster, text_of, words_of
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
_SHOWN: Final = 20

Verb = Literal["pause", "resume", "retry", "cancel", "compensate", "settle"]
Conditions = Annotated[list[str] | None, Query(max_length=20)]
DANGEROUS: Final = frozenset({"cancel", "compensate", "settle"})
"""What cannot be taken back: asked about with the name of the cluster."""


# -- one order --------------------------------------------------------------------------------------------------------


@router.get("/orders/{order_id}/{verb}")
def show_plan(request: Request, room: Room, order_id: OrderId, verb: Verb) -> Response:
    """Show what the action would do with the order, or why it would do nothing."""
    try:
        (item,) = OrderActions(room.session).plan(ORDER_ACTIONS[verb](), order_id).items
    except OperationsError as error:
        return _show_plan(request, room, order_id, verb, problem=str(error))
    return _show_plan(request, room, order_id, verb, item=item)


@router.post("/orders/{order_id}/{verb}")
def run_action(
    request: Request, room: Room, person: ActingPerson, *, order_id: OrderId, verb: Verb, form: Form
) -> Response:
    """Do it, and return to the order once the conductor has acknowledged it."""
    actions, item = OrderActions(room.session), None
    try:
        plan = actions.plan(ORDER_ACTIONS[verb](), order_id)
        (item,) = plan.items
        if verb in DANGEROUS:
            require_cluster(room, form, ": this cannot be taken back")
        results = [
            event for event in actions.run(plan, intent_of(person, form)).events() if isinstance(event, Resolved)
        ]
    except (EnsembleError, ValidationError) as error:
        return _show_plan(request, room, order_id, verb, item=item, problem=words_of(error))
    room.updates.update()
    if not all(result.is_good for result in results):
        problem = "the orchestrator has not acknowledged it yet; the command stays queued"
        return _show_plan(request, room, order_id, verb, item=item, problem=problem)
    return RedirectResponse(f"/orders/{quote(order_id, safe='')}", HTTPStatus.SEE_OTHER)


def _show_plan(
    request: Request, room: ControlRoom, order_id: str, verb: str, *, item: OrderItem | None = None, problem: str = ""
) -> Response:
    return render(
        request,
        room,
        "act.html",
        code=HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        order_id=order_id,
        verb=verb,
        effect=describe_effect(item.effect) if item else "",
        behind=item.behind if item else (),
        is_dangerous=verb in DANGEROUS,
        is_possible=item is not None,
        problem=problem,
    )


# -- many orders, in waves --------------------------------------------------------------------------------------------


@router.get("/act")
def show_bulk_plan(request: Request, room: Room, *, action: Verb = "resume", where: Conditions = None) -> Response:
    """Show what the action would do with all orders that match."""
    return _show_bulk(request, room, action, where or [])


@router.post("/act")
def start_run(request: Request, room: Room, person: ActingPerson, form: Form) -> Response:
    """Start the run of the plan that was shown, in waves, and show how it goes on; sent twice, it is one run."""
    verb, texts = text_of(form, "action"), [text for text in form.get("where", []) if text.strip()]
    try:
        if verb not in ORDER_ACTIONS:
            raise Invalid(f"action: no action {verb!r}", field="action")
        if not texts:
            raise Invalid("which orders: give a condition, such as `paused=true`", field="where")
        if not (plan_id := text_of(form, "plan")):
            raise Invalid("plan: look at the plan before it is run", field="plan")
        require_cluster(room, form)
        rollout = Rollout(probe=number_of(form, "probe", 1), wave=number_of(form, "wave", 10))
        run, _ = room.actions.start(plan_id, intent_of(person, form), rollout)
    except (EnsembleError, ValidationError) as error:
        return _show_bulk(request, room, verb, texts, problem=words_of(error))
    return RedirectResponse(f"/runs/{run.id}", HTTPStatus.SEE_OTHER)


def _show_bulk(request: Request, room: ControlRoom, verb: str, texts: list[str], *, problem: str = "") -> Response:
    plan: Any = None
    reasons: dict[str, int] = {}
    try:
        if texts and verb in ORDER_ACTIONS:
            plan = room.actions.plan(ORDER_ACTIONS[verb](), parse_conditions(texts)).plan
            for skipped in plan.skipped:
                reasons[describe_why_not(skipped)] = reasons.get(describe_why_not(skipped), 0) + 1
    except EnsembleError as error:
        problem = problem or str(error)
    items = plan.items if plan else ()
    return render(
        request,
        room,
        "bulk.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        verb=verb,
        verbs=list(ORDER_ACTIONS),
        conditions=texts,
        plan_id=plan.id if plan else "",
        count=len(items),
        shown=[(item.name, describe_effect(item.effect)) for item in items[:_SHOWN]],
        reasons=reasons,
        problem=problem,
    )
