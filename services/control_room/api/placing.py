"""Places orders."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from backoffice.order_placement import AcceptedOrder, NewOrder
from services.control_room.access import ActingPerson
from services.control_room.api.parameters import problems, require_kafka
from services.control_room.control_room import ControlRoom, Room
from services.control_room.idempotency import KEY_FIELD, Answer, KeyReused, StillRunning, fingerprint
from services.control_room.problems import Problem

router = APIRouter(tags=["orders"], responses=problems(HTTPStatus.CONFLICT))

IdempotencyKey = Annotated[
    str | None,
    Header(max_length=255, description="Tells this request from all others: repeated with it, it has one effect."),
]
_SCOPE: Final = "orders"
_IDS: Final = "order ids"


@router.post(
    "/orders",
    status_code=HTTPStatus.ACCEPTED,
    response_model=AcceptedOrder,
    responses={202: {"headers": {"Location": {"description": "Where the order is", "schema": {"type": "string"}}}}},
)
def post_order(
    room: Room, person: ActingPerson, order: NewOrder, *, idempotency_key: IdempotencyKey = None
) -> Response:
    """Place an order; 202 when Kafka has it. The same request with the same key is answered alike for 24 hours."""
    return respond(place(room, person.name, order, idempotency_key))


def place(room: ControlRoom, name: str, order: NewOrder, key: str | None) -> Answer:
    """Place an order once for each key of a person. Raises Problem if there is no key, or it was used otherwise."""
    if not key or not key.isprintable() or not key.isascii():
        reason = "give each order a key, such as a UUID: the same order, sent again with it, is placed once"
        raise Problem(HTTPStatus.BAD_REQUEST, reason, field=KEY_FIELD)

    body = order.model_dump_json()
    identity = json.dumps([_SCOPE, name, key, fingerprint(body)])  # a key that is used anew is no repetition

    def carry_out(is_repeated: bool) -> Answer:  # noqa: FBT001  read right above
        require_kafka(room)
        if not is_repeated:
            _refuse_existing(room, order)
        return _claim(room, order, body, lambda: _send(room, order, identity))

    return room.requests.answer(f"{_SCOPE}/{name}", key, body, carry_out)


def _send(room: ControlRoom, order: NewOrder, identity: str) -> Answer:
    accepted = room.placement.place(order, identity)
    return Answer(HTTPStatus.ACCEPTED.value, accepted.model_dump_json())


def _claim(room: ControlRoom, order: NewOrder, body: str, send: Callable[[], Answer]) -> Answer:
    """Send an order whose id was not used here by another one: the view knows of that one only a moment later.

    The same order is answered like the first. Raises Problem 409 for another one.
    """
    if order.order_id is None:
        return send()
    try:
        return room.requests.answer(_IDS, order.order_id, body, lambda _: send())
    except KeyReused:
        what = "was placed with other terms; give another id, or none"
    except StillRunning:
        what = "is being placed; ask again"
    raise Problem(HTTPStatus.CONFLICT, f"order {order.order_id} {what}", field="order_id")


def _refuse_existing(room: ControlRoom, order: NewOrder) -> None:
    """Raise Problem 409 for an order id that is in use: the order service would only dead-letter it."""
    if order.order_id is None or room.updates.status.as_of is None:  # nothing is known yet of any order
        return
    for existing in room.orders.find([order.order_id]):
        if existing.status == "placeholder":  # messages of it came, but nobody has placed it
            continue
        customer = f", of {existing.customer_id}" if existing.customer_id else ""
        detail = f"order {existing.order_id} exists already: {existing.status.replace('_', ' ')}{customer}"
        location = {"Location": f"/api/orders/{existing.order_id}"}
        raise Problem(HTTPStatus.CONFLICT, f"{detail}; give another id, or none", field="order_id", headers=location)


def respond(answer: Answer) -> Response:
    """Return the answer as a response, which says where the order is."""
    headers = {"Location": f"/api/orders/{AcceptedOrder.model_validate_json(answer.document).order_id}"}
    if answer.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.document, answer.status, headers, media_type="application/json")
