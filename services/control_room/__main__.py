"""Runs the control room: `python -m services.control_room`."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import Final

import uvicorn

from ensemble import EnsembleError
from ensemble.embedded import default_directory
from ensemble.errors import ConfigurationError
from ensemble.kafka.client import open_client
from ensemble.kafka.registry import schema_sources
from ensemble.observability import configure_logging
from ensemble.operations import Endpoints, Session
from ensemble.settings import CommandSettings, KafkaSettings, RegistrySettings, RuntimeSettings, load
from services.app import APP
from services.control_room.access import Access
from services.control_room.application import create_app
from services.control_room.connections import BoundedConnection
from services.control_room.control_room import ControlRoom
from services.control_room.settings import ControlRoomSettings

_SHUTDOWN_S: Final = 3
_BACKLOG: Final = 128
"""So many connections are opened at once before they are counted."""
_ANSWER_S: Final = 10.0
"""How long each answer of Kafka or the registry is waited for, once the control room runs."""


def main() -> int:
    """Run until SIGTERM or Ctrl-C (exit code 0); 2 if a setting is wrong, the port taken, or Kafka not there."""
    try:
        settings = load(ControlRoomSettings)
        Access(settings)  # what would be open to others is refused before Kafka is waited for
        configure_logging("control-room", load(RuntimeSettings))
        with _listen(settings) as listener:
            _serve(settings, listener)
    except EnsembleError as error:
        sys.stderr.write(f"control room: {error}\n")
        return 2
    return 0


class Server(uvicorn.Server):
    """Ends the live streams before it waits for what is being answered."""

    def __init__(self, config: uvicorn.Config, room: ControlRoom) -> None:
        super().__init__(config)
        self._room = room

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, finish what was asked, and stop."""
        self._room.live.close()
        self._room.actions.close()
        await super().shutdown(sockets)


def server_config(room: ControlRoom) -> uvicorn.Config:
    """Return how the control room is served."""
    return uvicorn.Config(
        create_app(room),
        http=BoundedConnection,
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # else X-Forwarded-For says who connects, and whoever is on this machine is any proxy
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


def _serve(settings: ControlRoomSettings, listener: socket.socket) -> None:
    session = _open_session()
    room = ControlRoom.open(session, settings, _directory(settings), endpoints=_endpoints())
    sys.stdout.write(f"control room listens on {_url(listener)}\n")
    sys.stdout.flush()
    Server(server_config(room), room).run(sockets=[listener])


def _open_session() -> Session:
    logging.getLogger("librdkafka").setLevel(logging.ERROR)
    client = open_client(load(KafkaSettings), load(CommandSettings).startup_timeout_s, on_wait=_say_waiting)
    sources = schema_sources(load(RegistrySettings).for_commands(settle_s=0.0), limit_s=_ANSWER_S, on_wait=_say_waiting)
    return Session(APP, type(client)(client.shared, client.admin, _ANSWER_S), sources)


def _endpoints() -> Endpoints:
    settings = load(CommandSettings)
    return Endpoints(settings.health_urls, settings.http_token.get_secret_value() if settings.http_token else "")


def _directory(settings: ControlRoomSettings) -> Path:
    """Make the directory of its files. Raises ConfigurationError if that is not possible."""
    directory = settings.data_dir or default_directory().parent / "control-room"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"CONTROL_ROOM_DATA_DIR: {directory}: {error.strerror}") from None
    return directory


def _listen(settings: ControlRoomSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigurationError(
            f"cannot listen on {where} ({error.strerror}); set CONTROL_ROOM_PORT to a free port"
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


def _say_waiting(reason: str) -> None:
    sys.stderr.write(f"control room: waiting for {reason}\n")


if __name__ == "__main__":
    sys.exit(main())
