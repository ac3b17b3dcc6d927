"""A small HTTP server on a thread of its own: it reads the head of a request, writes an answer, and hangs up.

For three paths that machines ask for, on the standard library alone. A request gets a few seconds and a few kilobytes;
its body is not read.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from io import BytesIO
from typing import Final

_HEAD_LIMIT: Final = 8192
"""In bytes. A request needs no more than its line and a few headers."""
_LEFTOVER_LIMIT: Final = 65_536
"""As much of a request as was not read is dropped before the connection is closed: else the answer could be lost."""
_MOST_CONNECTIONS: Final = 100
"""Those of others must not take the open files that the process needs for its brokers and its state."""
_REQUEST_LIMIT_S: Final = 5.0
_START_LIMIT_S: Final = 10.0
_STOP_LIMIT_S: Final = 2.0
_GRACE_S: Final = 0.5
_END_OF_HEAD: Final = b"\r\n\r\n"
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """The head of a request: its path without the query, and the size in bytes that its body is said to have."""

    method: str
    path: str
    headers: Message
    content_length: int


@dataclass(frozen=True)
class Response:
    """What is answered, with the headers that are not the same in all answers."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, with_body: bool) -> bytes:
        """Return the bytes of the answer; without the body, as for HEAD, its length is told all the same."""
        headers = {
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Connection": "close",
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", *(f"{n}: {v}" for n, v in headers.items())]
        return "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD + (self.body if with_body else b"")


class HttpServer:
    """Answers requests with `answer`, which runs on the server's own thread and must not block."""

    def __init__(
        self,
        answer: Callable[[Request], Response],
        name: str,
        limit_s: float = _REQUEST_LIMIT_S,
        grace_s: float = _GRACE_S,
        *,
        most_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        """Listen to nobody yet. `name` is the thread's. A request and its answer may take `limit_s` together.

        Once the server stops, requests that have begun may take `grace_s` more. With more than `most_connections` it
        hangs up on whoever has been there for longest: who asks at once is answered, however many ask nothing.
        """
        self._answer, self._limit_s, self._grace_s = answer, limit_s, grace_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._server: asyncio.Server | None = None
        self._most, self._connections = most_connections, dict[asyncio.WriteTransport, None]()

    def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError if the port is taken; the server is stopped then."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop).result(_START_LIMIT_S)
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Answer no more requests, and give the port back."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_LIMIT_S)

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _listen(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._converse, host, port, limit=_HEAD_LIMIT)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        until = self._loop.time() + self._grace_s
        while under_way := asyncio.all_tasks() - {asyncio.current_task()}:  # a connection's task begins another one
            _, late = await asyncio.wait(under_way, timeout=max(until - self._loop.time(), 0))
            for task in late:
                task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request. Whoever is too slow, or hangs up, gets none."""
        self._connections[writer.transport] = None
        if len(self._connections) > self._most:
            self._hang_up_on_oldest()
        try:
            async with asyncio.timeout(self._limit_s):
                writer.write(await self._response_to(reader))
                writer.write_eof()
                await _drop_leftover(reader)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.pop(writer.transport, None)
            writer.transport.abort()

    def _hang_up_on_oldest(self) -> None:
        oldest = next(iter(self._connections))
        del self._connections[oldest]
        oldest.abort()

    async def _response_to(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = _parse(await reader.readuntil(_END_OF_HEAD))
        except (asyncio.LimitOverrunError, HTTPException, ValueError):
            return _BAD_REQUEST
        return self._answer(request).encode(with_body=request.method != "HEAD")


def _parse(head: bytes) -> Request:
    """Return the request. Raises ValueError or HTTPException if it is none."""
    line, _, rest = head.partition(b"\r\n")
    method, target, version = line.decode("latin-1").split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"{version} is not spoken here")
    headers = parse_headers(BytesIO(rest))
    return Request(method, target.partition("?")[0], headers, int(headers.get("Content-Length", "0")))


async def _drop_leftover(reader: asyncio.StreamReader) -> None:
    limit = _LEFTOVER_LIMIT
    while part := await reader.read(limit):  # of 0 bytes it is empty
        limit -= len(part)
