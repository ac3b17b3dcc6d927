"""The system: who reads what and how far, stock, policies, and the last hour in charts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from ensemble.operations import Traffic, now, policies_in_force
from services.control_room.control_room import Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render
from services.control_room.pages.work import lags_of

router = APIRouter(route_class=PageRoute)
_HOUR_S: Final = 3_600
_BIN_S: Final = 10

Text = Annotated[str, Query(max_length=256)]


@router.get("/consumers")
def list_consumers(request: Request, room: Room, *, service: Text = "") -> HTMLResponse:
    """Show how far each service is behind each of its inputs, the farthest first."""
    lags = lags_of(room)
    behind: dict[str, int] = dict.fromkeys(room.session.application.services, 0)
    for lag in lags:
        behind[lag.group] = behind.get(lag.group, 0) + lag.behind
    shown = [lag for lag in lags if service in {"", lag.group}]
    return render(request, room, "consumers.html", lags=shown, behind=behind, service=service)


@router.get("/stock")
def list_stock(request: Request, room: Room, *, warehouse: Text = "", sku: Text = "") -> HTMLResponse:
    """Show what each warehouse has of each sku."""
    levels = room.stock.levels(warehouse or None, sku or None)
    return render(request, room, "stock.html", levels=levels, warehouse=warehouse, sku=sku)


@router.get("/policies")
def list_policies(request: Request, room: Room) -> HTMLResponse:
    """Show the policies in force, each value with where it comes from."""
    application = room.session.application
    return render(request, room, "policies.html", services=policies_in_force(application, list(application.services)))


@router.get("/charts")
def show_charts(request: Request, room: Room) -> HTMLResponse:
    """Show the last hour in charts."""
    return render(request, room, "charts.html")


@router.get("/charts.json")
def get_charts(room: Room) -> dict[str, Any]:
    """Return the last hour in bins of ten seconds: messages by type, the columns that charts are drawn from."""
    end = now() // 1000 // _BIN_S * _BIN_S
    start = end - _HOUR_S
    moments = list(range(start, end, _BIN_S))
    types = ("OrderPlaced", "OrderCompleted", "OrderCancelled", "CommandFailed")
    traffic = Traffic(room.view)
    edges = traffic.edges(1000 * end, _HOUR_S)
    columns: dict[str, list[float]] = {name: [0.0] * len(moments) for name in (*types, "commands", "events")}
    for edge in edges:
        is_command = edge.topic.endswith(".commands")
        for second in traffic.seconds(edge.sender, edge.type, edge.topic):
            place = (int(second.at.timestamp()) - start) // _BIN_S if second.at else -1
            if not 0 <= place < len(moments):
                continue
            rate = second.messages / _BIN_S
            columns["commands" if is_command else "events"][place] += rate
            if edge.type in columns:
                columns[edge.type][place] += rate
    return {"at": moments, "columns": columns}
