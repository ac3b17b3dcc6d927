"""The control room on all services in memory, served on loopback for a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from ensemble.command_line.connection import sources
from ensemble.command_line.publishing import publish
from ensemble.free_ports import HOST
from ensemble.messages import Message
from ensemble.operations import Session
from services.app import APP
from services.control_room.__main__ import Server, server_config
from services.control_room.control_room import ControlRoom
from services.control_room.settings import ControlRoomSettings
from tests.support.rehearsal_in_memory import rehearse_in_memory
from tests.support.shared_flow import SharedFlow

_START_S = 60.0
_STOP_S = 60.0


@dataclass(frozen=True)
class RoomServer:
    """A flow, and the address of the control room that shows it."""

    url: str
    flow: Any
    room: ControlRoom

    def publish(self, *messages: Message) -> None:
        """Write messages as an outsider does, let the services work, and bring the pages up to date."""
        for message in messages:
            publish(self.flow, message)
            self.flow.settle()
        self.update()

    def update(self) -> None:
        """Bring the pages up to date."""
        self.room.updates.update()


@contextmanager
def serve_room(settings: ControlRoomSettings | None = None, ago_s: float = 0.0) -> Iterator[RoomServer]:
    """Serve a control room until the end of the block, on a flow that began so many seconds ago."""
    flow: Any = SharedFlow(ago_s)
    session = Session(APP, flow, sources())
    room = ControlRoom.open(session, settings or ControlRoomSettings(), rehearse=rehearse_in_memory)
    room.updates.update()
    started = threading.Event()
    config = server_config(room)
    config.host, config.port = HOST, 0
    server = _Server(config, room, started)
    thread = threading.Thread(target=server.run, name="room", daemon=True)
    thread.start()
    try:
        assert started.wait(_START_S), "the server has not started"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield RoomServer(f"http://{HOST}:{port}", flow, room)
    finally:
        server.should_exit = True  # not `force_exit`, with which the room would go on updating its view
        thread.join(_STOP_S)
    assert not thread.is_alive(), "the server has not stopped"


class _Server(Server):
    def __init__(self, config: uvicorn.Config, room: ControlRoom, started: threading.Event) -> None:
        super().__init__(config, room)
        self._started = started

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._started.set()
