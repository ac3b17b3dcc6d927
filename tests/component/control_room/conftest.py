"""The control room on all services in memory; nobody updates its view but the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import Session
from services.app import APP
from services.control_room.application import create_app
from services.control_room.control_room import ControlRoom
from services.control_room.settings import ControlRoomSettings
from tests.support.flow_in_memory import FlowInMemory
from tests.support.rehearsal_in_memory import rehearse_in_memory


@dataclass(frozen=True)
class RoomInMemory:
    """The flow, the control room on it, and a browser."""

    flow: FlowInMemory
    room: ControlRoom
    browser: TestClient

    def update(self) -> None:
        """Let the services work, and bring the view up to date."""
        assert self.room.updates.update(), self.room.updates.status


@contextmanager
def open_room(ago_s: float = 0.0, **settings: Any) -> Iterator[RoomInMemory]:
    """Give a control room on services of its own, which began so many seconds ago."""
    flow: Any = FlowInMemory(ago_s)
    session = Session(APP, flow, DirectorySourceSelector())
    control_room = ControlRoom.open(session, ControlRoomSettings(**settings), rehearse=rehearse_in_memory)
    browser = TestClient(create_app(control_room), base_url="http://127.0.0.1:8100")
    yield RoomInMemory(flow, control_room, browser)
    control_room.close()


@pytest.fixture
def room() -> Iterator[RoomInMemory]:
    with capture_logs(), open_room() as room:
        yield room
