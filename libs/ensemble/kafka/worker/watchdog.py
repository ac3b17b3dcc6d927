"""Ends a process whose loop does not turn.

Some client calls outlive their timeouts, and a supervisor can only restart what ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

EXIT_STUCK = 70


def watch(last_turn_at: Callable[[], float], limit_s: float) -> None:
    """Start the watch. `last_turn_at` is in `time.monotonic()` seconds."""
    threading.Thread(target=_watch, args=(last_turn_at, limit_s), name="watchdog", daemon=True).start()


def _watch(last_turn_at: Callable[[], float], limit_s: float) -> None:
    while (remaining_s := limit_s - (time.monotonic() - last_turn_at())) > 0:
        time.sleep(min(remaining_s, 5.0) + 0.01)
    log.critical(
        "process.stuck",
        seconds=round(limit_s),
        reason="the loop has not turned; ending the process so that it is started anew",
    )
    os._exit(EXIT_STUCK)
