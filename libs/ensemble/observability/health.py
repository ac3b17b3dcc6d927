"""/livez, /readyz and /metrics of one process, served by a thread of their own.

/livez says no more than that the process turns, and is open to all who reach the port: a supervisor must be able to ask
whatever happens. The other two need the token where one is set, and their rate is limited so that a flood of requests
does not take the service's time.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from ensemble.errors import ConfigurationError
from ensemble.observability.http_server import HttpServer, Request, Response

_BODY_LIMIT: Final = 1024
"""In bytes."""
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
        self._server = HttpServer(self._answer, "health")

    def start(self, host: str, port: int) -> None:
        """Listen. Raises ConfigurationError if the port is taken."""
        try:
            self._server.start(host, port)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({error.strerror}); set ENSEMBLE_HTTP_PORT to a free port, or "
                "0 to turn health and metrics off"
            ) from None

    def stop(self) -> None:
        """Answer no more requests, and give the port back."""
        self._server.stop()

    def _answer(self, request: Request) -> Response:
        """Answer a request, or refuse it. One without the token counts for the rate as well: guessing is slow."""
        if request.content_length > _BODY_LIMIT:
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "nothing of that size is read here")
        if request.path != "/livez":
            if not self._limiter.take():
                return _refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", {"Retry-After": "1"})
            if not self._has_token(request):
                reason = "send the token of ENSEMBLE_HTTP_TOKEN as `Authorization: Bearer ...`"
                return _refuse(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})
        if request.method not in {"GET", "HEAD"}:
            return _refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered", {"Allow": "GET, HEAD"})
        return self._show(request.path)

    def _show(self, path: str) -> Response:
        match path:
            case "/livez":
                return _status(self._why_not_live())
            case "/readyz":
                return _status(self._why_not_ready(), self._note())
            case "/metrics":
                return Response(HTTPStatus.OK, generate_latest(self._registry), "text/plain; charset=utf-8")
            case _:
                return _refuse(HTTPStatus.NOT_FOUND, "there are /livez, /readyz and /metrics")

    def _has_token(self, request: Request) -> bool:
        if self._guard.token is None:
            return True
        header, expected = request.headers.get("Authorization", ""), f"Bearer {self._guard.token.get_secret_value()}"
        return hmac.compare_digest(header.encode("latin-1", errors="replace"), expected.encode())


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


def _refuse(status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps({"reason": reason}).encode(), headers=headers or {})


def _status(reason: str, note: str = "") -> Response:
    status = {"status": "unavailable" if reason else "ok", "reason": reason}
    content = {**status, "note": note} if note else status
    return Response(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK, json.dumps(content).encode())
