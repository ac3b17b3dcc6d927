"""The stage: the flow as it is declared, and what runs over it now, or ran in the last hour."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backoffice.order_filter import OrderFilter
from backoffice.stage import LINE, Stage, StageNode, stage_of
from backoffice.stage_status import StageFacts, StageStatus, status_of
from ensemble.operations import Audit, DeadLetterFilter, Failures, Traffic, now
from ensemble.topology import Graph
from services.control_room.control_room import ControlRoom, Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
WINDOW_S: Final = 60
_HOUR_S: Final = 3_600
_FAILURES: Final = 500


@router.get("/")
def show_stage(request: Request, room: Room) -> HTMLResponse:
    """Show the stage as it is now."""
    stage = _stage(room.declarations.graph)
    return render(
        request,
        room,
        "stage.html",
        stage=stage,
        line_height=LINE,
        status=_status(room, stage, now(), WINDOW_S),
        roles=_roles(room.declarations.graph),
        urls={node.name: _url(node) for node in stage.nodes},
    )


@router.get("/stage.json")
def get_status(
    room: Room,
    ago: Annotated[int, Query(ge=0, le=_HOUR_S)] = 0,
    seconds: Annotated[int, Query(ge=1, le=_HOUR_S)] = WINDOW_S,
) -> StageStatus:
    """Return how the stage looked `ago` seconds before now: what was written in the `seconds` up to then."""
    stage = _stage(room.declarations.graph)
    return _status(room, stage, now() - 1000 * ago, seconds, is_past=ago > 0)


def _status(room: ControlRoom, stage: Stage, at: int, seconds: int, *, is_past: bool = False) -> StageStatus:
    failures, audit, traffic = Failures(room.view), Audit(room.view), Traffic(room.view)
    sample = room.samples.at(at)
    facts = StageFacts(
        traffic=traffic.edges(at, seconds),
        delays=traffic.delays(at, seconds),
        parked=failures.parked(),
        dead_letters=failures.list(DeadLetterFilter(open_only=True), _FAILURES),
        pauses=audit.pauses(),
        incidents=audit.incidents(open_only=not is_past),
        behind=sample.behind if sample else {},
        hidden=sample.hidden if sample else {},
        stopped=sample.stopped if sample else {},
        unready=sample.unready if sample else {},
        steps={step: count for step, count in room.orders.count("step", OrderFilter(), at).items() if step},
    )
    return status_of(stage, facts.as_of(at) if is_past else facts, at, seconds)


@cache
def _stage(graph: Graph) -> Stage:
    return stage_of(graph)


def _roles(graph: Graph) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for node in graph.roles:
        names.setdefault(node.service, []).append(node.role)
    return names


def _url(node: StageNode) -> str:
    return "/orders" if node.kind == "outside" else f"/consumers?service={node.name}"
