"""Lets the control room of a demonstration kill members, start them again, and order outages of the provider.

It listens on loopback, for whoever has its token: the control room alone is given it.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from ensemble.free_ports import HOST
from launcher.fleet import Fleet
from launcher.service_process import CONTROL_ROOM

_MOST_BYTES: Final = 10_000
_PROVIDER_S: Final = 3.0


class RemoteControl:
    """Serves a fleet until it is closed. The fleet goes on without a member that was killed, until it is restarted."""

    def __init__(self, fleet: Fleet) -> None:
        """Listen on a free port."""
        self._fleet, self._lock, self._token = fleet, threading.Lock(), secrets.token_urlsafe(24)
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, name="remote control", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables of whoever may use it."""
        url = f"http://{HOST}:{self._server.server_port}"
        return {"CONTROL_ROOM_LAUNCHER_URL": url, "CONTROL_ROOM_LAUNCHER_TOKEN": self._token}

    def is_known(self, token: str) -> bool:
        """Return whether a request carries the token."""
        return hmac.compare_digest(self._token.encode(), token.encode(errors="replace"))

    def describe(self) -> dict[str, Any]:
        """Return all members, each with the reason why it is not ready, and the mode of the provider's outage."""
        names = [name for name in self._fleet.members if name != CONTROL_ROOM]
        members = [
            {"name": name, "is_alive": self._fleet.is_alive(name), "reason": self._fleet.state_of(name)}
            for name in names
        ]
        return {"members": members, "outage": self._provider(None)}

    def carry_out(self, does: str, subject: str) -> None:
        """Do one thing: `kill` or `restart` a member, or order an `outage`. Raises ValueError in words."""
        actions = {"kill": self.kill, "restart": self.restart, "outage": self.order_outage}
        if does not in actions:
            raise ValueError(f"{does!r} is none of {', '.join(actions)}")
        actions[does](subject)

    def kill(self, name: str) -> None:
        """End a member as a crash would. Raises ValueError for one that may not be killed, or does not run."""
        self._require(name)
        with self._lock:
            if not self._fleet.is_alive(name):
                raise ValueError(f"{name} does not run")
            self._fleet.kill(name)

    def restart(self, name: str) -> None:
        """Start a member again, after a clean stop if it runs. Raises ValueError for one that may not be."""
        self._require(name)
        with self._lock:
            self._fleet.restart(name)

    def order_outage(self, mode: str) -> None:
        """Have the provider be `up`, `down`, in `error`, or `hang`. Raises ValueError if it cannot be told so."""
        if self._provider(json.dumps({"mode": mode}).encode()) != mode:
            raise ValueError(f"the provider cannot be told to be {mode!r}; is it running?")

    def _require(self, name: str) -> None:
        if name == CONTROL_ROOM or name not in self._fleet.members:
            names = ", ".join(each for each in self._fleet.members if each != CONTROL_ROOM)
            raise ValueError(f"no member {name!r}; members are {names}")

    def _provider(self, order: bytes | None) -> str | None:
        """Return the mode of the provider, after an order if one is given; None if it does not answer."""
        headers = {"Content-Type": "application/json"}
        url = f"{self._fleet.provider_url}/admin/outage"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            request = urllib.request.Request(url, order, headers)  # noqa: S310  a member of the fleet
            with direct.open(request, timeout=_PROVIDER_S) as response:
                return str(json.loads(response.read(_MOST_BYTES))["mode"])
        except (OSError, ValueError, KeyError):
            return None


class _Server(ThreadingHTTPServer):
    def __init__(self, control: RemoteControl) -> None:
        super().__init__((HOST, 0), _Handler)
        self.control = control


class _Handler(BaseHTTPRequestHandler):
    """Answers `GET /`, and `POST /` with `{"does": "kill", "subject": "payment"}` or the like."""

    timeout = 30
    server: _Server

    def do_GET(self) -> None:
        """Say how all are."""
        if self._is_admitted():
            self._answer(HTTPStatus.OK, self.server.control.describe())

    def do_POST(self) -> None:
        """Do one thing, and say how all are then."""
        if not self._is_admitted():
            return
        try:
            length = min(int(self.headers.get("Content-Length", "0")), _MOST_BYTES)
            order = json.loads(self.rfile.read(length))
            self.server.control.carry_out(order["does"], str(order["subject"]))
        except (ValueError, KeyError, TypeError) as error:
            self._answer(HTTPStatus.CONFLICT, {"problem": str(error)})
            return
        self._answer(HTTPStatus.OK, self.server.control.describe())

    def log_message(self, *_: object) -> None:
        """Keep the terminal for the orders."""

    def _is_admitted(self) -> bool:
        if self.server.control.is_known(self.headers.get("Authorization", "").removeprefix("Bearer ")):
            return True
        self._answer(HTTPStatus.UNAUTHORIZED, {"problem": "the token is missing or wrong"})
        return False

    def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
