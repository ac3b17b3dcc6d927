"""Ends a process whose loop does not turn.

Some client calls outlive their timeouts, and a supervisor can only restart what ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from ensemble.kafka.worker.heartbeat import Heartbeat

log = structlog.get_logger()

EXIT_STUCK: Final = 70
_LOOK_S: Final = 5.0
_GRACE_S: Final = 0.01
"""So a wait ends behind its time, not just before it."""


def watch(heartbeat: Heartbeat, limit_s: float) -> None:
    """Start the watch: the loop may be overdue for `limit_s`."""
    threading.Thread(target=end_when_overdue, args=(heartbeat, limit_s), name="watchdog", daemon=True).start()


def end_when_overdue(
    heartbeat: Heartbeat,
    limit_s: float,
    sleep: Callable[[float], None] = time.sleep,
    end: Callable[[int], object] = os._exit,
) -> None:
    """End the process, with words, once the loop has been overdue for `limit_s`."""
    while (remaining_s := limit_s - heartbeat.overdue_s) > 0:
        sleep(min(remaining_s, _LOOK_S) + _GRACE_S)
    log.critical(
        "process.stuck", reason=f"{heartbeat.describe_in_hand()}; ending the process so that it is started anew"
    )
    end(EXIT_STUCK)
