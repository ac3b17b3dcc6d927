"""The list of orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backoffice.order_conditions import parse_conditions
from backoffice.order_filter import FIELDS, STATUSES, OrderFilter
from backoffice.orders import Dimension, OrderPage
from ensemble.operations import Invalid, now
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
PAGE = 50
_DIMENSIONS: Final[Mapping[str, Dimension]] = {"paused": "paused_by", "owing": "owed"}
"""Flags of the filter that show how many orders have them: those with a value in the dimension."""

Texts = Annotated[list[str] | None, Query(max_length=20)]
Text = Annotated[str, Query(max_length=400)]


@router.get("/orders")
def list_orders(
    request: Request, room: Room, *, status: Texts = None, where: Texts = None, q: Text = "", cursor: Text = ""
) -> HTMLResponse:
    """Show the orders that match, the latest change first, with the number of orders in each status."""
    texts = _conditions(where or (), q)
    statuses = [name for name in status or () if name]
    try:
        order_filter = parse_conditions([*texts, *(f"status={name}" for name in statuses)])
        page, problem = room.orders.page(order_filter, now(), PAGE, cursor or None), ""
        counts = room.orders.count_by_each(("status", *_DIMENSIONS.values()), parse_conditions(texts), now())
    except Invalid as error:
        order_filter, page, counts = OrderFilter(), OrderPage(orders=(), next=None), {}
        problem = str(error)
    return render(
        request,
        room,
        "orders.html",
        page=page,
        chips=_chips(counts.get("status", {}), statuses, texts),
        shortcuts=_shortcuts(texts, counts),
        conditions=texts,
        statuses=statuses,
        problem=problem,
        fields=FIELDS,
        is_filtered=bool(order_filter.conditions),
        next_url=page.next and _url([*_pairs(texts, statuses), ("cursor", page.next)]),
        this_url=_url(_pairs(texts, statuses)),
        is_first=not cursor,
        has_any=_has_any(room),
    )


def _conditions(where: Any, search: str) -> list[str]:
    """Return the conditions: those of the filter, and what was searched for as a condition of its own.

    Without an operator it is a part of an order's id.
    """
    terms = [part for part in search.split() if part]
    texts = [word if any(sign in word for sign in "=<>") else f"order=*{word}*" for word in terms]
    return [text for text in dict.fromkeys([*where, *texts]) if text.strip()]


def _chips(counts: dict[str, int], statuses: list[str], texts: list[str]) -> list[dict[str, Any]]:
    regular = [name for name in STATUSES if counts.get(name) or name in statuses]
    names = [*regular, *(name for name in counts if name not in STATUSES)]
    every = {"name": "all", "count": sum(counts.values()), "url": _url(_pairs(texts, [])), "is_on": not statuses}
    of_status = [
        {
            "name": name.replace("_", " "),
            "count": counts.get(name, 0),
            "url": _url(_pairs(texts, [] if statuses == [name] else [name])),
            "is_on": name in statuses,
        }
        for name in names
    ]
    return [every, *of_status]


def _shortcuts(texts: list[str], counts: Mapping[Dimension, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Return the flags of the filter, each as a link that sets it or takes it back; some with how many have it."""
    numbers = {
        name: sum(count for value, count in counts.get(dimension, {}).items() if value)
        for name, dimension in _DIMENSIONS.items()
    }
    flags = {"paused=true": "paused", "overdue=true": "overdue", "owed=true": "owing", "speed=express": "express"}
    return [
        {
            "name": name,
            "count": numbers.get(name, 0),
            "is_on": text in texts,
            "url": _url(_pairs([t for t in texts if t != text] if text in texts else [*texts, text], [])),
        }
        for text, name in flags.items()
    ]


def _pairs(texts: list[str], statuses: list[str]) -> list[tuple[str, str]]:
    return [*(("status", name) for name in statuses), *(("where", text) for text in texts)]


def _url(pairs: list[tuple[str, str]]) -> str:
    return f"/orders?{urlencode(pairs)}" if pairs else "/orders"


def _has_any(room: ControlRoom) -> bool:
    return bool(room.orders.list(OrderFilter(), now(), 1))
