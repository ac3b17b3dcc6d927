"""One service or the payment sandbox in this very process."""

from __future__ import annotations

import os
import runpy
import sys

from ensemble.command_line.errors import UnknownName
from ensemble.command_line.foreground import run_services
from launcher import SANDBOX, SERVICES


def run_service(service: str, instance: str | None, port: int | None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    if service == SANDBOX:
        return _run_sandbox(port)
    if service not in SERVICES:
        raise UnknownName(f"SERVICE: there is no {service!r}; there are {', '.join((*SERVICES, SANDBOX))}")
    return run_services([service], instance, port)


def _run_sandbox(port: int | None) -> int:
    if port is not None:
        os.environ["SANDBOX_PORT"] = str(port)
    sys.argv = [SANDBOX]
    try:
        runpy.run_module("services.payment_sandbox", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
