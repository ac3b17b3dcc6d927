"""Where the processes of a running `up` answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli.verification import note_of_up, up_runs
from ensemble.command_line.connection import endpoints as configured_endpoints
from ensemble.embedded import default_directory

if TYPE_CHECKING:
    from ensemble.operations import Endpoints


def endpoints() -> Endpoints:
    """Return where processes answer /readyz: as the environment says, else those of `up` if it runs here."""
    configured = configured_endpoints()
    return configured if configured.urls else replace(configured, urls=endpoints_of_up())


def endpoints_of_up() -> dict[str, tuple[str, ...]]:
    """Return the addresses of the services of an `up` that runs here, nothing without one."""
    home = default_directory().parent
    if not up_runs(home):
        return {}
    try:
        note: dict[str, Any] = json.loads(note_of_up(home).read_text(encoding="utf-8"))
        return {str(name): (str(url),) for name, url in note["health"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
