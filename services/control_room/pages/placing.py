"""The form that places an order, or a burst of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from backoffice.order_placement import AcceptedOrder, NewOrder
from ensemble import EnsembleError
from ensemble.messages import invalid_fields
from ensemble.operations import Invalid
from services.control_room.access import ActingPerson
from services.control_room.api.placing import place
from services.control_room.control_room import ControlRoom, Room
from services.control_room.idempotency import KeyReused
from services.control_room.pages.forms import Fields, Form, number_of, rate_of, text_of
from services.control_room.pages.plans import show_planned
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render
from services.control_room.problems import Problem
from services.control_room.work_actions import PlaceOrders

router = APIRouter(route_class=PageRoute)
_MOST: Final = 200
_LINES: Final = 3
USUAL: Final[Mapping[str, str]] = {
    "customer_id": "customer-1", "sku": "grinder", "quantity": "1", "unit_price": "12900", "currency": "EUR",
    "payment_token": "tok_approve", "warehouse_id": "main", "shipping_speed": "standard", "count": "1", "rate": "",
}  # fmt: skip
SCENARIOS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "paid": ("the conductor commands payment and stock; inventory tells shipping by itself", {}),
    "express": ("shipping begins as soon as it hears of the order", {"shipping_speed": "express"}),
    "declined": ("the card is refused, so nothing else begins", {"payment_token": "tok_declined"}),
    "express, declined": (
        "shipping began early, the card is refused: the shipment is undone",
        {"shipping_speed": "express", "payment_token": "tok_declined"},
    ),
    "out of stock": ("paid, but not on the shelf: the money goes back", {"quantity": "5000"}),
    "fails once": ("the provider fails, and is asked once more", {"payment_token": "tok_fail_once"}),
    "provider silent": ("the provider gives no answer that counts", {"payment_token": "tok_error"}),
    "a gift": ("nothing is due, so nothing is charged", {"unit_price": "0"}),
    "a burst": ("fifty orders at once", {"count": "50"}),
    "a stream": ("five orders a second, for a minute", {"count": "300", "rate": "5"}),
}
TOKENS: Final = ("tok_approve", "tok_declined", "tok_fail_once", "tok_late", "tok_hang", "tok_error")


@router.get("/place")
def show_form(request: Request, room: Room, *, scenario: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Show the form, filled in as usual or for a scenario."""
    _, changes = SCENARIOS.get(scenario, ("", {}))
    return _show(request, room, {name: [value] for name, value in {**USUAL, **changes}.items()}, scenario=scenario)


@router.post("/place")
def place_orders(request: Request, room: Room, person: ActingPerson, form: Form) -> Response:
    """Place the orders of a form, once however often it is sent, and show them; at a rate, show their plan first."""
    try:
        if rate_of(form, "rate") is not None:
            return _plan_burst(room, form)
        accepted = _place(room, person.name, form)
    except (Problem, EnsembleError, ValidationError) as error:
        if isinstance(error, KeyReused):
            form = {**form, "key": [""]}  # the next attempt has one of its own
        return _show(request, room, form, problem=_words(error))
    if len(accepted) == 1:
        url = f"/orders/{quote(accepted[0].order_id, safe='')}"
    else:
        url = f"/orders?where=customer%3D{quote(text_of(form, 'customer_id'), safe='')}"
    return RedirectResponse(url, HTTPStatus.SEE_OTHER)


def _plan_burst(room: ControlRoom, form: Fields) -> Response:
    """Plan the orders, and lead to the plan, which asks before it starts them: once, however often it is sent."""
    order = NewOrder.model_validate(_terms(form))
    action = PlaceOrders(order=order, count=number_of(form, "count", 1))
    return show_planned(room, action, rate=text_of(form, "rate"))


def _place(room: ControlRoom, name: str, form: Fields) -> list[AcceptedOrder]:
    count, key = number_of(form, "count", 1), text_of(form, "key")
    if not 1 <= count <= _MOST:
        raise Invalid(f"count: place 1 to {_MOST} orders at once", field="count")
    if not key:
        raise Invalid("key: the form has none, so it might place an order twice; send this one", field="key")
    if count > 1 and text_of(form, "order_id"):
        raise Invalid("order_id: several orders cannot have one id; leave it empty", field="order_id")
    order = NewOrder.model_validate(_terms(form))
    answers = [place(room, name, order, f"{key}-{number}") for number in range(count)]
    return [AcceptedOrder.model_validate_json(answer.document) for answer in answers]


def _terms(form: Fields) -> dict[str, Any]:
    skus, quantities, prices = (form.get(name, []) for name in ("sku", "quantity", "unit_price"))
    lines = [
        {"sku": sku.strip(), "quantity": _whole(quantity, "quantity"), "unit_price": _whole(price, "unit_price")}
        for sku, quantity, price in zip(skus, quantities, prices, strict=False)
        if sku.strip()
    ]
    names = ("customer_id", "currency", "payment_token", "warehouse_id", "shipping_speed")
    order_id = text_of(form, "order_id")
    return {**{name: text_of(form, name) for name in names}, "lines": lines, "order_id": order_id or None}


def _whole(text: str, name: str) -> int:
    return number_of({name: [text]}, name, 0)


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return invalid_fields(error)
    return error.document.detail if isinstance(error, Problem) else str(error)


def _show(request: Request, room: ControlRoom, form: Fields, *, scenario: str = "", problem: str = "") -> Response:
    code = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    lines = list(zip(*(form.get(name, []) for name in ("sku", "quantity", "unit_price")), strict=False))
    return render(
        request,
        room,
        "place.html",
        code=code,
        values={name: text_of(form, name) for name in (*USUAL, "order_id")},
        lines=[*lines, *[("", "", "")] * (_LINES - len(lines))],
        scenarios=SCENARIOS,
        scenario=scenario,
        tokens=TOKENS,
        key=text_of(form, "key") or secrets.token_hex(16),
        problem=problem,
        most=_MOST,
    )
