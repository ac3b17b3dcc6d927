"""Orders: which there are, how many, and everything about one."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from backoffice import ENDED
from backoffice.order_conditions import parse_conditions
from backoffice.order_document import OrderStory, document_of
from backoffice.order_filter import STATUSES, OrderFilter
from backoffice.order_history import read_history
from backoffice.orders import Dimension, OrderPage, OrderSummary
from ensemble import EnsembleError
from ensemble.operations import DeadLetterFilter, DeadLetterSummary, Failures, NotFound, ParkedKeySummary, Result, now
from services.control_room.api.parameters import Cursor, Limit, OrderId, RoomWithView, problems, require_kafka
from services.control_room.control_room import ControlRoom
from services.control_room.live_events import Interest

router = APIRouter(tags=["orders"], responses=problems(HTTPStatus.NOT_FOUND))

_SHOWN_FAILURES: Final = 100
_LONGEST_WAIT_S: Final = 120.0

Where = Annotated[
    list[str] | None,
    Query(max_length=20, description="Conditions such as `status=fulfilled`, `customer=c-*`, `age>2h`, `paused=true`."),
]
Status = Annotated[list[str] | None, Query(max_length=20, description=f"One of {', '.join(STATUSES)}; repeatable.")]
Seconds = Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S, description="Wait so many seconds at most.")]
Flag = Annotated[bool | None, Query()]


class OrderCount(Result):
    """How many orders have this value; None for those without one."""

    value: str | None
    orders: int


class OrderDocument(Result):
    """Everything about one order. If its messages cannot be read, `problem` says why, and there is no `story`."""

    order: OrderSummary | None
    """None if the conductor knows nothing of it."""
    story: OrderStory | None
    dead_letters: tuple[DeadLetterSummary, ...]
    parked: tuple[ParkedKeySummary, ...]
    problem: str | None


@router.get("/orders")
def list_orders(  # noqa: PLR0913  one for each part of the filter
    room: RoomWithView,
    *,
    where: Where = None,
    status: Status = None,
    paused: Flag = None,
    owed: Flag = None,
    overdue: Flag = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> OrderPage:
    """Return the orders that match, the latest change first."""
    order_filter = _filter(where, status, paused=paused, owed=owed, overdue=overdue)
    return room.orders.page(order_filter, now(), limit, cursor)


@router.get("/orders/counts")
def count_orders(room: RoomWithView, *, by: Dimension = "status", where: Where = None) -> list[OrderCount]:
    """Count the orders that match by status, step, pause or debt, the largest number first."""
    counts = room.orders.count(by, _filter(where, None), now())
    return [OrderCount(value=value or None, orders=count) for value, count in counts.items()]


@router.get("/orders/{order_id}")
async def get_order(
    room: RoomWithView,
    order_id: OrderId,
    *,
    wait: Annotated[
        Literal["completed"] | None, Query(description="Answer once it has ended, in whatever way.")
    ] = None,
    timeout: Seconds = 30.0,  # noqa: ASYNC109  a caller says it
    full: Annotated[bool, Query(description="Look through all of the topics, not only the order's lifetime.")] = False,
) -> OrderDocument:
    """Return one order: its state, its messages and who decided them, and what failed.

    With `wait` the answer comes when it has ended, or after `timeout`, as it is then; an order that has just been
    placed is waited for as well.
    """
    if wait is not None:
        await wait_for_end(room, order_id, timeout)
    document = await run_in_threadpool(read_order, room, order_id, is_complete=full)
    if document.order is None and document.story is None and not document.dead_letters and not document.problem:
        raise NotFound(f"no order {order_id!r}", hint="the list of orders shows all that there are", subject=order_id)
    return document


async def wait_for_end(room: ControlRoom, order_id: str, limit_s: float) -> None:
    """Return when the order has ended, or the time is up, or the process stops."""
    deadline = time.monotonic() + limit_s
    with room.live.open(Interest(frozenset({"order"}), order_id)) as stream:
        while not room.live.is_closed and (remaining := deadline - time.monotonic()) > 0:
            stream.forget()
            summary = await run_in_threadpool(_summary, room, order_id)
            if summary is not None and summary.status in ENDED:
                return
            await stream.wait(remaining)


def read_order(room: ControlRoom, order_id: str, *, is_complete: bool = False) -> OrderDocument:
    """Return what is known of an order; of an unknown one empty parts."""
    failures = Failures(room.view)
    story, problem = _story(room, order_id, is_complete=is_complete)
    return OrderDocument(
        order=_summary(room, order_id),
        story=story,
        dead_letters=failures.list(DeadLetterFilter(key=order_id, open_only=False), _SHOWN_FAILURES),
        parked=failures.parked(key=order_id),
        problem=problem,
    )


def _story(room: ControlRoom, order_id: str, *, is_complete: bool) -> tuple[OrderStory | None, str | None]:
    try:
        require_kafka(room)
        return document_of(read_history(room.session, room.control, order_id, is_complete=is_complete)), None
    except NotFound:
        return None, None
    except EnsembleError as error:
        return None, str(error)


def _summary(room: ControlRoom, order_id: str) -> OrderSummary | None:
    try:
        return room.orders.get(order_id)
    except NotFound:
        return None


def _filter(where: list[str] | None, status: list[str] | None, **flags: Any) -> OrderFilter:
    texts = [f"status={name}" for name in status or ()]
    texts += [f"{name}={str(value).lower()}" for name, value in flags.items() if value is not None]
    return parse_conditions([*texts, *(where or ())])
