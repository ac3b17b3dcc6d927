"""One order: what happened, why it does not go on, and what is still due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from backoffice.diagnosis import Action, Evidence, Verb, diagnose, evidence_in
from backoffice.message_text import total
from backoffice.order_actions import ORDER_ACTIONS
from backoffice.order_filter import State
from backoffice.order_history import OrderHistory, read_history
from backoffice.orders import summary_of
from backoffice.sequence import MessageRow, SequenceDiagram, build_sequence
from backoffice.sequence_drawing import STYLE, Drawing, draw_sequence
from ensemble import EnsembleError
from ensemble.escaping import escape_json
from ensemble.operations import Failures, Money, NotFound, now
from services.control_room.api.orders import read_order
from services.control_room.api.parameters import OrderId, require_kafka
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render, show_json
from services.control_room.pages.work import lags_of, stopped_of

router = APIRouter(route_class=PageRoute)
_BUTTONS: Final = ("pause", "resume", "retry", "settle", "cancel")
Place = Annotated[str, Query(max_length=300)]


@router.get("/sequence.css")
def get_style() -> Response:
    """Return the style of sequence diagrams: the one that a file of a diagram carries with it."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "private, max-age=60"})


@router.get("/orders/{order_id}")
def show_order(request: Request, room: Room, order_id: OrderId, *, message: Place = "", full: bool = False) -> Response:
    """Show an order with its sequence diagram, and one message of it if its place is given."""
    try:
        require_kafka(room)
        history = _history(room, order_id)
    except NotFound:
        raise
    except EnsembleError as error:
        return _show_last_known(request, room, order_id, str(error))
    diagram = _diagram(room, history)
    row = next((row for row in diagram.messages if row.place == message), None)

    def link(row: MessageRow) -> str:
        return _url(order_id, message=row.place, full=full) + "#message"

    return render(
        request,
        room,
        "order.html",
        order_id=order_id,
        history=history,
        state=history.state,
        terms=_terms(history),
        total=_total(_terms(history)),
        diagnosis=diagnose(gather_evidence(room, history)),
        links=lambda action: _link(action, is_demo=room.demonstration is not None),
        drawing=Markup(draw_sequence(diagram, Drawing(full, link, message))),  # noqa: S704  it escapes what others wrote
        rows=diagram.rows,
        link=link,
        row=row,
        missing=message if row is None else "",
        trace_url=_trace_url(room.settings.trace_url, row),
        full=full,
        toggle_url=_url(order_id, message=message, full=not full),
        this_url=_url(order_id, message=message, full=full),
        close_url=_url(order_id, full=full),
        export_url=f"/orders/{quote(order_id, safe='')}/diagram",
        actions=_actions(order_id, history.state),
    )


def _show_last_known(request: Request, room: ControlRoom, order_id: str, problem: str) -> Response:
    """Show the part of an order that is in the view."""
    document = read_order(room, order_id)
    return render(
        request,
        room,
        "order_summary.html",
        code=HTTPStatus.SERVICE_UNAVAILABLE,
        order_id=order_id,
        order=document.order,
        dead_letters=document.dead_letters,
        parked=document.parked,
        problem=problem,
        this_url=_url(order_id),
    )


@router.get("/orders/{order_id}/diagram.svg")
def export_svg(room: Room, order_id: OrderId) -> Response:
    """Return the diagram as a file that shows the same without this page."""
    diagram = _diagram(room, _history(room, order_id))
    drawing = draw_sequence(diagram, Drawing(is_full=True, is_standalone=True))
    return Response(drawing, media_type="image/svg+xml", headers=_attachment(order_id, "svg"))


@router.get("/orders/{order_id}/diagram.json")
def export_json(room: Room, order_id: OrderId) -> Response:
    """Return all that is known of the order: its state, its messages, its dead letters and what is still due."""
    history = _history(room, order_id)
    document = {
        "order_id": order_id,
        "state": dict(history.state) or None,
        "messages": [line.document() for line in history.lines],
        "dead_letters": [entry.document() for entry in history.dead],
        "due": [due.document() for due in room.declarations.rest_of(history.state, now())],
    }
    return Response(
        escape_json(show_json(document)), media_type="application/json", headers=_attachment(order_id, "json")
    )


def gather_evidence(room: ControlRoom, history: OrderHistory) -> Evidence:
    """Return what is known about an order and about those who work on it."""
    evidence = evidence_in(room.view, history.order_id, history.state, now())
    return replace(evidence, lags=lags_of(room), stopped=stopped_of(room))


def _history(room: ControlRoom, order_id: str) -> OrderHistory:
    return read_history(room.session, room.control, order_id)


def _diagram(room: ControlRoom, history: OrderHistory) -> SequenceDiagram:
    parked = Failures(room.view).parked(key=history.order_id)
    return build_sequence(history, room.declarations, now(), parked)


def _terms(history: OrderHistory) -> dict[str, Any]:
    """Return the order's terms from its state, or else from the first message that has them."""
    if history.state.get("order"):
        return dict(history.state["order"])
    return next(
        (dict(line.entry.fields) for line in history.lines if {"lines", "currency"} <= line.entry.fields.keys()), {}
    )


def _total(terms: Mapping[str, Any]) -> Money | None:
    return Money(amount=total(terms["lines"]), currency=terms["currency"]) if terms else None


def _link(action: Action, *, is_demo: bool) -> str:
    """Return the page that an action of a diagnosis is taken on."""
    subject = quote(action.subject, safe="")
    scope, _, name = action.subject.partition(" ")
    consumers = f"/consumers?service={subject}"
    pages: dict[Verb, str] = {
        "redrive": f"/dead-letters/{quote(action.subject)}",
        "discard": f"/dead-letters/act?verb=discard&place={subject}",
        "retry_parked": f"/parked/act?verb=retry&key={subject}",
        "end_pause": f"/pauses/act?{urlencode({'verb': 'end', 'scope': scope, 'name': name})}",
        "look": consumers,
        "look_at_outage": "/incidents",
        "start": "/provoke" if is_demo else consumers,
    }
    return pages.get(action.verb, f"/orders/{subject}/{action.verb}")


def _actions(order_id: str, state: State) -> list[str]:
    """Return what may be done to an order in this state: what the actions themselves would not refuse."""
    if not state or state.get("status") == "placeholder":
        return []
    order = summary_of(order_id, state, now(), (0, 0))
    return [kind for kind in _BUTTONS if ORDER_ACTIONS[kind]().why_not(order) is None]


def _trace_url(template: str, row: MessageRow | None) -> str:
    """Return where the trace of a message is shown, or nothing where no tracing UI is configured."""
    trace = row.line.entry.trace if row and row.line else ""
    return template.replace("{trace_id}", quote(trace, safe="")) if trace else ""


def _url(order_id: str, *, message: str = "", full: bool = False) -> str:
    query = {**({"message": message} if message else {}), **({"full": "true"} if full else {})}
    return f"/orders/{quote(order_id, safe='')}{'?' + urlencode(query) if query else ''}"


def _attachment(order_id: str, suffix: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(order_id, safe='')}.{suffix}"}
