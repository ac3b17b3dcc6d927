"""Where the processes of a running `up` answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil

from cli.verification import note_of_up
from ensemble.command_line.connection import endpoints as configured_endpoints
from ensemble.embedded import default_directory

if TYPE_CHECKING:
    from ensemble.operations import Endpoints


def endpoints() -> Endpoints:
    """Return where processes answer /readyz: as the environment says, else those of `up` if it runs here."""
    configured = configured_endpoints()
    return configured if configured.urls else replace(configured, urls=_of_up())


def _of_up() -> dict[str, tuple[str, ...]]:
    try:
        note: dict[str, Any] = json.loads(note_of_up(default_directory().parent).read_text(encoding="utf-8"))
        urls = note["health"].items() if psutil.pid_exists(note["pid"]) else ()
        return {str(name): (str(url),) for name, url in urls}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
