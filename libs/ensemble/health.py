"""/livez, /readyz and /metrics of one process, on a thread of their own. Loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from ensemble.errors import ConfigurationError

_START_LIMIT_S = 10.0


class HealthServer:
    """Serves three paths. `why_not_live` and `why_not_ready` give a reason, or nothing when all is well."""

    def __init__(
        self, why_not_live: Callable[[], str], why_not_ready: Callable[[], str], registry: CollectorRegistry
    ) -> None:
        self._live, self._ready, self._registry = why_not_live, why_not_ready, registry
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
        app = web.Application(client_max_size=1024)
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._live())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready())

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), content_type="text/plain", charset="utf-8")


def _answer(reason: str) -> web.Response:
    return web.json_response(
        {"status": "unavailable" if reason else "ok", "reason": reason}, status=503 if reason else 200
    )
