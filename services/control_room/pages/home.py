"""The first page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from services.control_room.control_room import Room
from services.control_room.pages.rendering import render

router = APIRouter()


@router.get("/")
def show_home(request: Request, room: Room) -> HTMLResponse:
    """Show where everything is."""
    return render(request, "home.html", cluster=room.session.client.bootstrap_servers, view=room.updates.status)
