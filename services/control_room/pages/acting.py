"""What a person has done about orders: shown first as a plan, asked about, then run and told of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from backoffice.order_actions import Cancel, Compensate, OrderAction, Pause, Resume, Retry, Settle, describe_why_not
from backoffice.order_conditions import parse_conditions
from backoffice.order_runs import OrderActions, OrderItem
from ensemble import EnsembleError
from ensemble.operations import (
    Invalid,
    NotFound,
    OperationsError,
    Resolved,
    Rollout,
    Run,
)
from services.control_room.access import ActingPerson
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.effects import describe_effect
from services.control_room.pages.forms import Fields, Form, intent_of, number_of, text_of, words_of
from services.control_room.pages.rendering import render

router = APIRouter()
_SHOWN: Final = 20
_MOST_RUNS: Final = 100

Verb = Literal["pause", "resume", "retry", "cancel", "compensate", "settle"]
OrderId = Annotated[str, Path(min_length=1, max_length=256)]
Conditions = Annotated[list[str] | None, Query(max_length=20)]
_ACTIONS: Final[Mapping[str, Callable[[], OrderAction]]] = {
    "pause": Pause, "resume": Resume, "retry": Retry, "cancel": Cancel, "compensate": Compensate, "settle": Settle,
}  # fmt: skip
DANGEROUS: Final = frozenset({"cancel", "compensate", "settle"})
"""What cannot be taken back: asked about with the name of the cluster."""


# -- one order --------------------------------------------------------------------------------------------------------


@router.get("/orders/{order_id}/{verb}")
def show_plan(request: Request, room: Room, order_id: OrderId, verb: Verb) -> Response:
    """Show what the action would do with the order, or why it would do nothing."""
    try:
        (item,) = OrderActions(room.session).plan(_ACTIONS[verb](), order_id).items
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
        plan = actions.plan(_ACTIONS[verb](), order_id)
        (item,) = plan.items
        _require_cluster(room, verb, form)
        results = [
            event for event in actions.run(plan, intent_of(person, form)).events() if isinstance(event, Resolved)
        ]
    except (EnsembleError, ValidationError) as error:
        return _show_plan(request, room, order_id, verb, item=item, problem=words_of(error))
    room.updates.update()
    if not all(result.is_good for result in results):
        words = "the orchestrator has not acknowledged it yet; the command stays queued"
        return _show_plan(request, room, order_id, verb, item=item, problem=words)
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


@dataclass
class Runs:
    """The latest runs of this process, each done by a thread of its own."""

    runs: OrderedDict[str, tuple[Run[OrderItem], str]] = field(default_factory=OrderedDict)
    problems: dict[str, str] = field(default_factory=dict)

    def start(self, run: Run[OrderItem], what: str) -> None:
        """Have it done from now on."""
        self.runs[run.id] = run, what
        while len(self.runs) > _MOST_RUNS:
            self.runs.popitem(last=False)
        threading.Thread(target=self._play, args=(run,), name=f"run {run.id}", daemon=True).start()

    def _play(self, run: Run[OrderItem]) -> None:
        try:
            for _ in run.events():
                pass
        except EnsembleError as error:
            self.problems[run.id] = str(error)


_RUNS: Final = Runs()


@router.get("/act")
def show_bulk_plan(request: Request, room: Room, *, action: Verb = "resume", where: Conditions = None) -> Response:
    """Show what the action would do with all orders that match."""
    return _show_bulk(request, room, action, where or [])


@router.post("/act")
def start_run(request: Request, room: Room, person: ActingPerson, form: Form) -> Response:
    """Start the action on all orders that match, in waves, and show how it goes on."""
    verb, texts = text_of(form, "action"), form.get("where", [])
    try:
        if verb not in _ACTIONS:
            raise Invalid(f"action: no action {verb!r}", field="action")
        if text_of(form, "cluster") != room.session.client.bootstrap_servers:
            raise Invalid(f"type the name of the cluster, {room.session.client.bootstrap_servers}", field="cluster")
        actions = OrderActions(room.session, room.view)
        plan = actions.plan(_ACTIONS[verb](), parse_conditions(texts))
        rollout = Rollout(probe=number_of(form, "probe", 1), wave=number_of(form, "wave", 10))
        run = actions.run(plan, intent_of(person, form), rollout)
    except (EnsembleError, ValidationError) as error:
        return _show_bulk(request, room, verb, texts, problem=words_of(error))
    _RUNS.start(run, f"{verb} {len(plan.items)} orders")
    return RedirectResponse(f"/runs/{run.id}", HTTPStatus.SEE_OTHER)


@router.get("/runs/{run_id}")
def show_run(request: Request, room: Room, run_id: Annotated[str, Path(max_length=40)]) -> Response:
    """Show how far a run is."""
    run, what = _find_run(run_id)
    return render(
        request,
        room,
        "run.html",
        run=run.summary,
        what=what,
        problem=_RUNS.problems.get(run_id, ""),
        is_over=run.summary.state in {"stopped", "finished"},
    )


@router.post("/runs/{run_id}/stop")
def stop_run(person: ActingPerson, run_id: Annotated[str, Path(max_length=40)]) -> Response:  # noqa: ARG001  may act
    """Have a run stop before its next wave."""
    _find_run(run_id)[0].stop()
    return RedirectResponse(f"/runs/{run_id}", HTTPStatus.SEE_OTHER)


def _find_run(run_id: str) -> tuple[Run[OrderItem], str]:
    if run_id not in _RUNS.runs:
        raise NotFound(f"no run {run_id!r} in this process", hint="it was started before the last restart")
    return _RUNS.runs[run_id]


def _show_bulk(request: Request, room: ControlRoom, verb: str, texts: list[str], *, problem: str = "") -> Response:
    items: Any = ()
    reasons: dict[str, int] = {}
    try:
        if texts and verb in _ACTIONS:
            plan = OrderActions(room.session, room.view).plan(_ACTIONS[verb](), parse_conditions(texts))
            items = plan.items
            for skipped in plan.skipped:
                reasons[describe_why_not(skipped)] = reasons.get(describe_why_not(skipped), 0) + 1
    except OperationsError as error:
        problem = problem or str(error)
    return render(
        request,
        room,
        "bulk.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        verb=verb,
        verbs=list(_ACTIONS),
        conditions=texts,
        count=len(items),
        shown=[(item.name, describe_effect(item.effect)) for item in items[:_SHOWN]],
        reasons=reasons,
        problem=problem,
    )


# -- all --------------------------------------------------------------------------------------------------------------


def _require_cluster(room: ControlRoom, verb: str, form: Fields) -> None:
    cluster = room.session.client.bootstrap_servers
    if verb in DANGEROUS and text_of(form, "cluster") != cluster:
        raise Invalid(f"type the name of the cluster, {cluster}: this cannot be taken back", field="cluster")
