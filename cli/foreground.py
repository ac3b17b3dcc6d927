"""One service in this very process."""

from __future__ import annotations

import os
import runpy
import sys

from cli.commands.run import NAMES, SANDBOX
from cli.errors import Mistake


def run_service(service: str, instance: str | None, port: int | None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    if service not in NAMES:
        raise Mistake(f"SERVICE: there is no {service!r}; there are {', '.join(NAMES)}")
    if instance is not None:
        os.environ["ENSEMBLE_INSTANCE_ID"] = instance
    if port is not None:
        os.environ["SANDBOX_PORT" if service == SANDBOX else "ENSEMBLE_HTTP_PORT"] = str(port)
    sys.argv = [service]
    try:
        runpy.run_module(module_of(service), run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def module_of(service: str) -> str:
    """Return the module that runs a service."""
    return f"services.{service.replace('-', '_')}"
