"""Ends a process whose loop does not turn.

Some client calls outlive their timeouts, and a supervisor can only restart what ends.
"""

from __future__ import annotations

import os
import threading
import time

import structlog

from ensemble.kafka.worker.heartbeat import Heartbeat

log = structlog.get_logger()

EXIT_STUCK = 70


def watch(heartbeat: Heartbeat, limit_s: float) -> None:
    """Start the watch: the loop may be overdue for `limit_s`."""
    threading.Thread(target=_watch, args=(heartbeat, limit_s), name="watchdog", daemon=True).start()


def _watch(heartbeat: Heartbeat, limit_s: float) -> None:
    while (remaining_s := limit_s - heartbeat.overdue_s) > 0:
        time.sleep(min(remaining_s, 5.0) + 0.01)
    log.critical(
        "process.stuck", reason=f"{heartbeat.describe_in_hand()}; ending the process so that it is started anew"
    )
    os._exit(EXIT_STUCK)
