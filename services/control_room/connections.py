"""Bounds connections: each takes an open file, and whoever opens one may send nothing, or stop halfway."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from functools import cache
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S: Final = 60.0
"""Within this time a request has to be there as a whole."""
_ENOUGH_FILES: Final = 10_000
_OTHER_FILES: Final = 200
"""Kafka's clients, the view and the log need open files as well."""


class BoundedConnection(H11Protocol):
    """Hangs up on whoever does not send a whole request in time, and at once where open files run out."""

    _ends_at: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._limit_request()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, which gives the rest of it no more time."""
        super().data_received(data)
        self._limit_request()

    def on_response_complete(self) -> None:
        """Begin to wait for another request."""
        super().on_response_complete()
        self._limit_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _limit_request(self) -> None:
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._stop_waiting()
        elif self._ends_at is None and not self.transport.is_closing():
            self._ends_at = self.loop.call_later(REQUEST_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._ends_at is not None:
            self._ends_at.cancel()
            self._ends_at = None


@cache
def most_connections() -> int:
    """Return how many connections there may be, once this process has as many open files as it may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = enough_files(soft, hard)
    if enough != soft:
        with suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_within(soft)


def enough_files(soft: int, hard: int) -> int:
    """Return which limit of open files a process should have that has this one, and may have a harder one."""
    enough = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(_ENOUGH_FILES, hard)
    return soft if soft == resource.RLIM_INFINITY else max(soft, enough)


def connections_within(files: int) -> int:
    """Return how many connections there may be where so many files may be open; RLIM_INFINITY has no limit."""
    return _ENOUGH_FILES if files == resource.RLIM_INFINITY else max(files - _OTHER_FILES, files // 2)
