"""One service or the payment sandbox in this very process."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

from cli.running_stack import endpoints_of_up
from ensemble.command_line.errors import UnknownName
from ensemble.command_line.foreground import run_services
from ensemble.free_ports import HOST
from launcher import SANDBOX, SERVICES

_ASK_S: Final = 1.0


def run_service(service: str, instance: str | None, port: int | None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    if service == SANDBOX:
        return _run_sandbox(port)
    if service not in SERVICES:
        raise UnknownName(f"SERVICE: there is no {service!r}; there are {', '.join((*SERVICES, SANDBOX))}")
    return run_services([service], instance, port_of(service, instance, port))


def port_of(service: str, instance: str | None, port: int | None) -> int | None:
    """Return the port that was asked for. The only instance of a service takes that of an `up` that runs here."""
    return port_in_up(service) if port is None and instance is None else port


def port_in_up(service: str) -> int | None:
    """Return the port where `status` looks for this service of an `up` that runs here, unless something listens there.

    So a service of `up` that has died is found again when it is run by hand.
    """
    url = next(iter(endpoints_of_up().get(service, ())), "")
    port = urlsplit(url).port
    return None if port is None or _listens(port) else port


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), _ASK_S):
            return True
    except OSError:
        return False


def _run_sandbox(port: int | None) -> int:
    from services.payment_sandbox.__main__ import main  # its HTTP server is imported only by who runs it

    return main([] if port is None else ["--port", str(port)])
