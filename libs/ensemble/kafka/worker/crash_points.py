"""Points of the loop at which a fault test kills the process, as `kill -9` does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

Reached = Callable[[str], None]


def nothing_happens(_: str) -> None:
    """Do nothing, as all but fault tests do at each point."""


def crash_points(setting: str) -> Reached:
    """Return a function that kills the process at a point: for `after-flush:3`, the third time it is reached."""
    if not setting:
        return nothing_happens
    target, _, count = setting.partition(":")
    remaining = int(count or 1)

    def reached(point: str) -> None:
        nonlocal remaining
        remaining -= point == target
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached
