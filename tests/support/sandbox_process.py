"""A payment sandbox, as a child process or on a thread of this one, and plain requests to it."""

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from services.payment_sandbox.ledger import Ledger
from services.payment_sandbox.server import create_app
from services.payment_sandbox.settings import SandboxSettings

APPROVE = "tok_approve"
_START_S = 60.0
_STOP_S = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    document: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: `url`, and requests that wait at most `timeout_s`."""

    url: str
    timeout_s: float = 10.0

    def send(self, method: str, path: str, *, key: str | None = None, body: Any = None) -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=self.timeout_s)) as connection:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()), dict(response.getheaders()))

    def charge(self, order_id: str, token: str = APPROVE, *, amount: int = 500) -> Answer:
        body = {"order_id": order_id, "amount": amount, "currency": "EUR", "payment_token": token}
        return self.send("POST", "/v1/charges", key=f"{order_id}:charge", body=body)

    def refund(self, order_id: str, reason: str = "cancelled") -> Answer:
        body = {"order_id": order_id, "charge_key": f"{order_id}:charge", "reason": reason}
        return self.send("POST", "/v1/refunds", key=f"{order_id}:refund", body=body)

    def entries_of(self, order_id: str) -> list[tuple[str, str, int]]:
        """(kind, status, amount) of the order's ledger entries, in order."""
        entries: list[tuple[str, str, int]] = []
        after: int | None = 0
        while after is not None:
            page = self.send("GET", f"/v1/ledger?after={after}").document
            entries += [(e["kind"], e["status"], e["amount"]) for e in page["entries"] if e["order_id"] == order_id]
            after = page["next"]
        return entries


@dataclass(frozen=True, kw_only=True)
class SandboxProcess(Sandbox):
    """A sandbox that is a process of its own."""

    process: subprocess.Popen[str]

    def kill(self) -> None:
        """kill -9, as a crash would."""
        self.process.kill()
        self.process.wait(_STOP_S)


@contextmanager
def sandbox_on_thread(ledger: Path, **settings: Any) -> Iterator[Sandbox]:
    """Run a sandbox on loopback, on a thread of this process, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    serving = asyncio.run_coroutine_threadsafe(_serve(SandboxSettings(ledger=ledger, **settings)), loop)
    runner = serving.result(_START_S)
    try:
        yield Sandbox(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_STOP_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_S)
        loop.close()


async def _serve(settings: SandboxSettings) -> web.AppRunner:
    ledger = Ledger.open(settings.ledger)
    app = create_app(settings, ledger)

    async def close(_: web.Application) -> None:
        ledger.close()

    app.on_cleanup.append(close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    await web.TCPSite(runner, settings.host, 0).start()
    return runner


def sandbox_command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "services.payment_sandbox", *flags]


@contextmanager
def running_sandbox(ledger: Path, *flags: str, port: int = 0) -> Iterator[SandboxProcess]:
    """Run a sandbox on loopback until the block ends."""
    command = sandbox_command("--port", str(port), "--ledger", str(ledger), *flags)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield SandboxProcess(_announced_url(process), process=process)
        finally:
            process.terminate()
            _end(process)


def _announced_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], _START_S)
    line = process.stdout.readline() if readable else ""
    assert "listens on " in line, f"the sandbox did not start within {_START_S} s: {line!r}"
    return line.split("listens on ")[1].split(",")[0]


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
