"""Named moments of the loop at which a fault test has the process die, as by kill -9."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

Reached = Callable[[str], None]


def nothing_happens(_: str) -> None:
    """Do nothing, as all but fault tests do at each point."""


def crash_points(setting: str) -> Reached:
    """Return what dies at a point: `after-flush:3` when that point is reached for the third time."""
    if not setting:
        return nothing_happens
    target, _, count = setting.partition(":")
    left = int(count or 1)

    def reached(point: str) -> None:
        nonlocal left
        left -= point == target
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached
