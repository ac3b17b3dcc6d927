"""The stage: the flow as it is declared, and what runs over it now, or ran in the last hour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backoffice.stage import Stage, StageEdge, StageNode, stage_of
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
        status=_status(room, stage, now(), WINDOW_S),
        roles=_roles(room.declarations.graph),
        labels={edge.id: _label(edge) for edge in stage.edges},
        tips={edge.id: _tip(edge) for edge in stage.edges},
        starts={edge.id: _start(edge) for edge in stage.edges},
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


@dataclass(frozen=True)
class Spot:
    """Where a text stands."""

    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Label:
    """The names beside a line, one below the other, and where its rate and the cause of its failure stand."""

    names: tuple[str, ...]
    first: Spot
    rate: Spot
    cause: Spot


def _label(edge: StageEdge) -> Label:
    (x, y), names = edge.label, tuple(dict.fromkeys(message.type for message in edge.messages))
    if edge.anchor != "middle":
        below = y + 14 * len(names)
        return Label(names, Spot(x, y, edge.anchor), Spot(x, below, edge.anchor), Spot(x, below + 14, edge.anchor))
    few = names if len(names) == 1 else (f"{len(names)} {edge.kind}s",)
    if "Q" in edge.path:
        return Label(few, Spot(x, y, "middle"), Spot(x, y + 21, "middle"), Spot(x, y + 35, "middle"))
    return Label(few, Spot(x + 12, y, "end"), Spot(x, y + 19, "middle"), Spot(x + 18, y, "start"))


def _start(edge: StageEdge) -> tuple[float, float]:
    """Return where the line leaves its sender: there the mark stands."""
    x, y = map(float, edge.path[1:].split("V")[0].split("H")[0].split()[:2])
    end = float(re.split("[VHQ ]", edge.path)[2])
    out = 7.0 if end > (y if "V" in edge.path else x) else -7.0
    return (x, y + out) if "V" in edge.path else (x + out, y)


def _tip(edge: StageEdge) -> str:
    """Return the arrowhead at the end of a line."""
    end = max((edge.path.rpartition(letter) for letter in "VH"), key=lambda part: len(part[0]))[2]
    x, y = _start(edge)
    if "Q" in edge.path:
        x = float(edge.path.rpartition("Q")[2].split()[2])
    last = float(end)
    if edge.path.rfind("V") > edge.path.rfind("H"):
        back = -1 if "Q" not in edge.path and last > y else 1
        return f"M{x - 5:g} {last + 9 * back:g}L{x:g} {last:g}L{x + 5:g} {last + 9 * back:g}"
    back = -1 if last > x else 1
    return f"M{last + 9 * back:g} {y - 5:g}L{last:g} {y:g}L{last + 9 * back:g} {y + 5:g}"


def _url(node: StageNode) -> str:
    return "/orders" if node.kind == "outside" else f"/consumers?service={node.name}"
