"""/livez, /readyz and /metrics of one process, served by a thread of their own.

/livez says no more than that the process turns, and is open to all who reach the port: a supervisor must be able to ask
whatever happens. The other two need the token where one is set, and their rate is limited so that a flood of requests
does not take the service's time.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from ensemble.errors import ConfigurationError

_START_LIMIT_S: Final = 10.0
_STOP_LIMIT_S: Final = 2.0
_GRACE_S: Final = 0.5
"""How long a request that is being answered may take once the server stops."""
_BODY_LIMIT: Final = 1024
"""In bytes, as the next one. A request needs no more than its line and a few headers."""
_HEADER_LIMIT: Final = 4096
_BURST_S: Final = 2.0


@dataclass(frozen=True)
class Guard:
    """The token that a request must bring, and how many requests are answered."""

    token: SecretStr | None = None
    requests_per_s: float = 50


class HealthServer:
    """Serves three paths. `why_not_live` and `why_not_ready` return a reason, or an empty text when all is well."""

    def __init__(
        self,
        why_not_live: Callable[[], str],
        why_not_ready: Callable[[], str],
        registry: CollectorRegistry,
        guard: Guard | None = None,
        *,
        note: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen to nobody yet. /readyz adds what `note` returns, ready or not."""
        self._why_not_live, self._why_not_ready, self._registry = why_not_live, why_not_ready, registry
        self._note = note
        self._guard = guard or Guard()
        self._limiter = _RateLimiter(self._guard.requests_per_s, clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self._runner: web.AppRunner | None = None

    def start(self, host: str, port: int) -> None:
        """Listen. Raises ConfigurationError if the port is taken."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop).result(_START_LIMIT_S)
        except OSError as error:
            self.stop()
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({error.strerror}); set ENSEMBLE_HTTP_PORT to a free port, or "
                "0 to turn health and metrics off"
            ) from None

    def stop(self) -> None:
        """Answer no more requests, and give the port back."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_LIMIT_S)

    def _serve(self) -> None:
        self._loop.run_forever()
        if self._runner is not None:
            self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _listen(self, host: str, port: int) -> None:
        app = web.Application(middlewares=[self._check])
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_GRACE_S,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    @web.middleware
    async def _check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request, or refuse it. One without the token counts for the rate as well: guessing is slow."""
        if (request.content_length or 0) > _BODY_LIMIT:
            return _refuse(413, "nothing of that size is read here")
        if request.path != "/livez":
            if not self._limiter.take():
                return _refuse(429, "too many requests", {"Retry-After": "1"})
            if not self._has_token(request):
                reason = "send the token of ENSEMBLE_HTTP_TOKEN as `Authorization: Bearer ...`"
                return _refuse(401, reason, {"WWW-Authenticate": "Bearer"})
        return await handler(request)

    def _has_token(self, request: web.Request) -> bool:
        if self._guard.token is None:
            return True
        header, expected = request.headers.get("Authorization", ""), f"Bearer {self._guard.token.get_secret_value()}"
        return hmac.compare_digest(header.encode(errors="replace"), expected.encode())

    async def _livez(self, _: web.Request) -> web.Response:
        return _status(self._why_not_live())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _status(self._why_not_ready(), self._note())

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), content_type="text/plain", charset="utf-8")


class _RateLimiter:
    """A token bucket that holds the requests of two seconds."""

    def __init__(self, requests_per_s: float, clock: Callable[[], float]) -> None:
        self._rate, self._capacity, self._clock = requests_per_s, requests_per_s * _BURST_S, clock
        self._available, self._filled_at = self._capacity, clock()

    def take(self) -> bool:
        """Return whether one more request may be answered now."""
        now = self._clock()
        self._available = min(self._capacity, self._available + (now - self._filled_at) * self._rate)
        self._filled_at = now
        is_allowed = self._available >= 1
        self._available -= is_allowed
        return is_allowed


def _refuse(status: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"reason": reason}, status=status, headers=headers)


def _status(reason: str, note: str = "") -> web.Response:
    status = {"status": "unavailable" if reason else "ok", "reason": reason}
    return web.json_response({**status, "note": note} if note else status, status=503 if reason else 200)
