"""Points of the loop at which a fault test kills the process, as `kill -9` does, or has it stand still."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

Reached = Callable[[str], None]


def nothing_happens(_: str) -> None:
    """Do nothing, as all but fault tests do at each point."""


def crash_points(crash_at: str, freeze_at: str = "") -> Reached:
    """Return a function that kills the process at a point: for `after-flush:3`, the third time it is reached.

    At `freeze_at` the process stands still (SIGSTOP) until it is resumed.
    """
    if not crash_at and not freeze_at:
        return nothing_happens
    countdowns = [_Countdown(crash_at, signal.SIGKILL), _Countdown(freeze_at, signal.SIGSTOP)]

    def reached(point: str) -> None:
        for countdown in countdowns:
            countdown.reach(point)

    return reached


class _Countdown:
    """Sends this process a signal when a point is reached for the time that the setting names."""

    def __init__(self, setting: str, number: signal.Signals) -> None:
        self._target, _, count = setting.partition(":")
        self._remaining, self._signal = int(count or 1), number

    def reach(self, point: str) -> None:
        if point == self._target:
            self._remaining -= 1
            if self._remaining == 0:
                os.kill(os.getpid(), self._signal)
