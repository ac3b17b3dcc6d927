"""One process of a fleet: how it is started, asked and ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Final, Protocol

from ensemble.free_ports import HOST, free_ports

SANDBOX: Final = "payment-sandbox"
CONTROL_ROOM: Final = "control-room"
SERVICES: Final = ("order", "payment", "inventory", "shipping", "orchestrator")
_HEALTH: Final = {SANDBOX: "/livez", CONTROL_ROOM: "/healthz"}
_ASK_S: Final = 1.0
_NOTED_BYTES: Final = 20_000


def describe_bind_failure(error: OSError) -> str:
    """Return why nobody can listen on a port now, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return "is in use; stop its program"
    return f"cannot be listened on ({error.strerror}); let this user do so"


@dataclass(frozen=True)
class Member:
    """A service instance, the payment sandbox, or the control room; its HTTP port is where it is asked how it is."""

    service: str
    port: int
    instance: int = 0

    @property
    def name(self) -> str:
        """`payment`, or `payment-1` for a second instance."""
        return f"{self.service}-{self.instance}" if self.instance else self.service

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def module(self) -> str:
        """The module that runs it."""
        return f"services.{self.service.replace('-', '_')}"

    def settings(self) -> dict[str, str]:
        """Return the environment variables of this member."""
        if self.service == SANDBOX:
            return {"SANDBOX_PORT": str(self.port), "SANDBOX_HOST": HOST}
        if self.service == CONTROL_ROOM:
            return {"CONTROL_ROOM_PORT": str(self.port), "CONTROL_ROOM_HOST": HOST, "ENSEMBLE_LOG_FORMAT": "json"}
        return {
            "ENSEMBLE_HTTP_PORT": str(self.port),
            "ENSEMBLE_INSTANCE_ID": str(self.instance),
            "ENSEMBLE_LOG_FORMAT": "json",
        }

    @property
    def port_problem(self) -> str:
        """Why it cannot listen on its port, and what to do; empty if it can."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                return describe_bind_failure(error)
            return ""

    def why_not_ready(self, token: str = "") -> str:
        """Return the reason that it reports, or an empty string; it is asked with this bearer token."""
        connection = HTTPConnection(HOST, self.port, timeout=_ASK_S)
        try:
            connection.request("GET", _HEALTH.get(self.service, "/readyz"), headers=_authorization(token))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException):
            return "starting"
        finally:
            connection.close()
        return "" if answer.status == 200 else reason_in(body)  # noqa: PLR2004  HTTP's OK


def with_free_port(service: str, instance: int = 0) -> Member:
    """Return a member on a free port."""
    [port] = free_ports(1)
    return Member(service, port, instance)


class Child(Protocol):
    """What is asked of a process and its input, as `subprocess.Popen` answers it."""

    pid: int

    @property
    def stdin(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


Start = Callable[[str, IO[bytes]], Child]
"""Runs `launcher.child_process` for a module, with both outputs to a file, in a process group of its own."""


def start_python(module: str, output: IO[bytes]) -> Child:
    """Start it in a Python of its own; in a process group of its own, so that Ctrl-C reaches its owner alone."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "launcher.child_process", module],
        stdin=subprocess.PIPE, stdout=output, stderr=output, process_group=0, bufsize=0,
    )  # fmt: skip


@dataclass
class ServiceProcess:
    """The process of a member. It waits for `release` before it runs, and ends when this process does."""

    member: Member
    log: Path
    start: Start = start_python
    process: Child = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = self.start(self.member.module, output)

    def release(self, environment: Mapping[str, str]) -> None:
        """Run the member with these variables beside those of this process."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({**environment, **self.member.settings()}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended already, which its exit code tells

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.poll()

    @property
    def is_paused(self) -> bool:
        """Whether a signal has suspended it."""
        import psutil

        try:
            return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the process still runs."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def wait(self, timeout_s: float) -> int:
        """Return its exit code when it is gone: killed, if it takes longer."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def last_lines(self, count: int) -> list[str]:
        """Return the end of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _NOTED_BYTES))
            return log.read().decode(errors="replace").splitlines()[-count:]


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def reason_in(body: bytes) -> str:
    """Return why a process says that it is not ready."""
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "not ready"
