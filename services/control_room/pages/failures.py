"""What failed and what waits for it: dead letters by cause, parked keys, incidents, pauses, and the audit."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from ensemble.operations import (
    OPEN,
    Audit,
    AuditFilter,
    DeadLetterFilter,
    Failures,
    Position,
    describe_dead_letter,
    find_dead_letter,
)
from services.control_room.api.parameters import Offset, PartitionNumber, TopicName
from services.control_room.control_room import Room
from services.control_room.pages.problem_pages import PageRoute
from services.control_room.pages.rendering import render

router = APIRouter(route_class=PageRoute)
PAGE: Final = 50
_LIMIT: Final = 200

Text = Annotated[str, Query(max_length=256)]


@router.get("/dead-letters")
def list_dead_letters(  # noqa: PLR0913  one for each part of the filter
    request: Request,
    room: Room,
    *,
    service: Text = "",
    group: Text = "",
    key: Text = "",
    every: Annotated[bool, Query(alias="all")] = False,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """Show the causes of dead letters, and the dead letters of one cause, or of one key."""
    which = DeadLetterFilter(service=service or None, group=group or None, key=key or None, open_only=not every)
    failures = Failures(room.view)
    letters = failures.list(which, PAGE + 1, start) if group or key else ()
    texts = {"service": service, "group": group, "key": key, "all": "true" if every else ""}
    query = {name: value for name, value in texts.items() if value}
    return render(
        request,
        room,
        "dead_letters.html",
        groups=failures.groups(DeadLetterFilter(service=service or None, open_only=not every)),
        letters=letters[:PAGE],
        service=service,
        group=group,
        key=key,
        every=every,
        more_url=f"/dead-letters?{urlencode({**query, 'start': start + PAGE})}" if len(letters) > PAGE else None,
        this_url=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
    )


@router.get("/dead-letters/{topic}/{partition}/{offset}")
def show_dead_letter(
    request: Request,
    room: Room,
    *,
    topic: TopicName,
    partition: PartitionNumber,
    offset: Offset,
) -> HTMLResponse:
    """Show one dead letter: why it failed, what it says, and what became of it."""
    summary = Failures(room.view).get(Position(topic=topic, partition=partition, offset=offset))
    details = describe_dead_letter(room.session, find_dead_letter(room.session, str(summary.position)))
    return render(request, room, "dead_letter.html", letter=summary, details=details, is_open=summary.status in OPEN)


@router.get("/parked")
def list_parked(request: Request, room: Room, *, service: Text = "", key: Text = "") -> HTMLResponse:
    """Show the keys whose records wait behind one that failed, the oldest first."""
    keys = Failures(room.view).parked(service or None, None, key or None)
    return render(request, room, "parked.html", keys=keys[:_LIMIT], count=len(keys), service=service, key=key)


@router.get("/incidents")
def list_incidents(request: Request, room: Room, *, every: Annotated[bool, Query(alias="all")] = False) -> HTMLResponse:
    """Show the outages of what services depend on, the newest first."""
    incidents = Audit(room.view).incidents(open_only=not every)
    return render(request, room, "incidents.html", incidents=incidents[:_LIMIT], every=every)


@router.get("/audit")
def list_audit(request: Request, room: Room, *, by: Text = "", service: Text = "") -> HTMLResponse:
    """Show what operators have had done, the newest first."""
    entries = Audit(room.view).list(_LIMIT, AuditFilter(requested_by=by or None, service=service or None))
    return render(request, room, "audit.html", entries=entries, by=by, service=service)
