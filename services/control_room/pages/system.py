"""The system: who reads what and how far, stock, policies, and the last hour in charts."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backoffice.charts import BIN_S, ChartFacts, Charts, charts_of
from backoffice.stock import MOVES
from backoffice.stock_ledger import LedgerFilter, read_ledger
from ensemble.operations import Failures, Traffic, now, policies_in_force
from services.control_room.api.parameters import require_kafka
from services.control_room.control_room import Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render
from services.control_room.pages.work import lags_of

router = APIRouter(route_class=PageRoute)
_HOUR_S: Final = 3_600
_PAGE: Final = 100

Text = Annotated[str, Query(max_length=256)]


@router.get("/consumers")
def list_consumers(request: Request, room: Room, *, service: Text = "") -> HTMLResponse:
    """Show which services do not run or are not ready, and how far each is behind its inputs, the farthest first."""
    lags, sample = lags_of(room), room.samples.at(now())
    behind: dict[str, int] = dict.fromkeys(room.session.application.services, 0)
    for lag in lags:
        behind[lag.group] = behind.get(lag.group, 0) + lag.behind
    shown = [lag for lag in lags if service in {"", lag.group}]
    return render(
        request,
        room,
        "consumers.html",
        lags=shown,
        behind=behind,
        service=service,
        stopped={name: since for name, since in (sample.stopped if sample else {}).items() if service in {"", name}},
        unready={name: reason for name, reason in (sample.unready if sample else {}).items() if service in {"", name}},
    )


@router.get("/stock")
def list_stock(request: Request, room: Room, *, warehouse: Text = "", sku: Text = "") -> HTMLResponse:
    """Show what each warehouse has of each sku."""
    levels = room.stock.levels(warehouse or None, sku or None)
    return render(request, room, "stock.html", levels=levels, warehouse=warehouse, sku=sku)


@router.get("/stock/ledger")
def list_ledger(
    request: Request,
    room: Room,
    *,
    warehouse: Text = "",
    sku: Text = "",
    order: Text = "",
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> HTMLResponse:
    """Show what moved, when, and for which order, the latest first."""
    require_kafka(room)
    page = read_ledger(room.session, LedgerFilter(warehouse or None, sku or None, order or None), _PAGE, cursor)
    texts = {"warehouse": warehouse, "sku": sku, "order": order}
    query = {name: value for name, value in texts.items() if value}
    older = f"/stock/ledger?{urlencode({**query, 'cursor': page.next})}" if page.next else None
    values: dict[str, Any] = {"signs": MOVES, "older_url": older, "is_first": cursor is None, **texts}
    return render(request, room, "stock_ledger.html", page=page, **values)


@router.get("/view-banner")
def show_view_banner(request: Request, room: Room) -> HTMLResponse:
    """Show what stands above each page while the view is not up to date; nothing otherwise."""
    return render(request, room, "view_banner.html")


@router.get("/policies")
def list_policies(request: Request, room: Room) -> HTMLResponse:
    """Show the policies in force, each value with where it comes from."""
    application = room.session.application
    return render(request, room, "policies.html", services=policies_in_force(application, list(application.services)))


@router.get("/charts")
def show_charts(request: Request, room: Room) -> HTMLResponse:
    """Show the last hour in charts."""
    return render(request, room, "charts.html", has_endpoints=room.samples.has_endpoints)


@router.get("/charts.json")
def get_charts(room: Room) -> Charts:
    """Return the last hour in bins of ten seconds."""
    end = now() // 1000 // BIN_S * BIN_S
    span = end - _HOUR_S, end, BIN_S
    traffic = Traffic(room.view)
    facts = ChartFacts(
        traffic=traffic.bins(*span),
        delays=traffic.delay_bins(*span),
        dead_letters=Failures(room.view).bins(*span),
        samples=room.samples.all(),
    )
    return charts_of(facts, room.declarations.step_answers, list(room.session.application.services), end)
