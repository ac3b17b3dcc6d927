"""/livez, /readyz and /metrics of one process, on a thread of their own. Loopback unless told otherwise.

/livez says no more than that the process turns, and is open to all who reach the port: a supervisor must be able to ask
whatever happens. The other two need the token where one is set, and a limit keeps a flood of questions off the service.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from ensemble.errors import ConfigurationError

_START_LIMIT_S: Final = 10.0
_MOST_BYTES: Final = 1024
"""Nobody has to send anything but a request line and a few headers."""
_MOST_HEADER_BYTES: Final = 4096
_BURST_S: Final = 2.0


@dataclass(frozen=True)
class Guard:
    """Who may ask, and how often."""

    token: SecretStr | None = None
    requests_per_s: float = 50


class HealthServer:
    """Serves three paths. `why_not_live` and `why_not_ready` give a reason, or nothing when all is well."""

    def __init__(
        self,
        why_not_live: Callable[[], str],
        why_not_ready: Callable[[], str],
        registry: CollectorRegistry,
        guard: Guard | None = None,
    ) -> None:
        self._live, self._ready, self._registry = why_not_live, why_not_ready, registry
        self._gate = _Gate(guard or Guard())
        self._loop = asyncio.new_event_loop()

    def start(self, host: str, port: int) -> None:
        """Listen; ConfigurationError when the port is taken."""
        started: Future[None] = Future()
        threading.Thread(target=self._serve, args=(host, port, started), name="health", daemon=True).start()
        try:
            started.result(_START_LIMIT_S)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({error.strerror}); set ENSEMBLE_HTTP_PORT to a free port, or "
                "0 to turn health and metrics off"
            ) from None

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self, host: str, port: int, started: Future[None]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen(host, port))
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(None)
        self._loop.run_forever()

    async def _listen(self, host: str, port: int) -> None:
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[self._guarded])
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        most = _MOST_HEADER_BYTES
        runner = web.AppRunner(app, access_log=None, max_line_size=most, max_field_size=most)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refused = _too_long(request) or ("" if request.path == "/livez" else self._gate.refuses(request))
        return _REFUSALS[refused]() if refused else await handler(request)

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._live())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready())

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), content_type="text/plain", charset="utf-8")


class _Gate:
    """Lets requests pass that bring the token, and not too many of any kind."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._most = guard.requests_per_s * _BURST_S
        self._left, self._at = self._most, time.monotonic()

    def refuses(self, request: web.Request) -> str:
        """Why, or nothing. A request without the token counts as well: guessing is slow."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._guard.requests_per_s)
        self._at = now
        if self._left < 1:
            return "too many"
        self._left -= 1
        return "" if self._knows(request.headers.get("Authorization", "")) else "no token"

    def _knows(self, given: str) -> bool:
        if self._guard.token is None:
            return True
        wanted = f"Bearer {self._guard.token.get_secret_value()}"
        return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _too_long(request: web.Request) -> str:
    return "too long" if (request.content_length or 0) > _MOST_BYTES else ""


_REFUSALS: Final[dict[str, Callable[[], web.Response]]] = {
    "too many": lambda: web.json_response({"reason": "too many requests"}, status=429, headers={"Retry-After": "1"}),
    "too long": lambda: web.json_response({"reason": "nothing of that size is read here"}, status=413),
    "no token": lambda: web.json_response(
        {"reason": "send the token of ENSEMBLE_HTTP_TOKEN as `Authorization: Bearer ...`"},
        status=401,
        headers={"WWW-Authenticate": "Bearer"},
    ),
}


def _answer(reason: str) -> web.Response:
    return web.json_response(
        {"status": "unavailable" if reason else "ok", "reason": reason}, status=503 if reason else 200
    )
