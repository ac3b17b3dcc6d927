"""Services in this very process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ensemble.command_line.errors import Mistake, UnknownName
from ensemble.command_line.selection import application
from ensemble.kafka import run


def run_services(names: Sequence[str], instance: str | None, port: int | None, *, run: Callable[..., int] = run) -> int:
    """Run until SIGTERM or SIGINT and return the exit code. Raises UnknownName for a name that is no service's."""
    services = application().services
    for name in names:
        if name not in services:
            raise UnknownName(f"SERVICE: there is no {name!r}; there are {', '.join(services)}")
    if port is not None and len(names) > 1:
        raise Mistake("--port: is for one service; several in one process listen where they say themselves")
    if instance is not None:
        os.environ["ENSEMBLE_INSTANCE_ID"] = instance
    if port is not None:
        os.environ["ENSEMBLE_HTTP_PORT"] = str(port)
    return run(*(application().make_service(name) for name in dict.fromkeys(names)))
