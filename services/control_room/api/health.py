"""How the control room itself is."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from ensemble.operations import Result
from services.control_room.control_room import Room
from services.control_room.view_updates import ViewStatus

router = APIRouter(tags=["health"])


class Health(Result):
    """Whether the process answers, and how far its view is."""

    status: Literal["ok"] = "ok"
    view: ViewStatus


@router.get("/healthz")
def get_health(room: Room) -> Health:
    """Answer that the process turns, also while Kafka is gone or the view is built anew: the view's status says so."""
    return Health(view=room.updates.status)
