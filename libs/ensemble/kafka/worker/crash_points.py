"""Points of the loop at which a fault test kills the process, as `kill -9` does, or has it stand still."""

from __future__ import annotations

import signal
from collections.abc import Callable

Reached = Callable[[str], None]
Send = Callable[[signal.Signals], object]


def nothing_happens(_: str) -> None:
    """Do nothing, as all but fault tests do at each point."""


def crash_points(crash_at: str, freeze_at: str = "", send: Send = signal.raise_signal) -> Reached:
    """Return a function that kills the process at a point: for `after-flush:3`, the third time it is reached.

    At `freeze_at` the process stands still (SIGSTOP) until it is resumed. `send` sends it the signal.
    """
    if not crash_at and not freeze_at:
        return nothing_happens
    countdowns = [_Countdown(crash_at, signal.SIGKILL, send), _Countdown(freeze_at, signal.SIGSTOP, send)]

    def reached(point: str) -> None:
        for countdown in countdowns:
            countdown.reach(point)

    return reached


class _Countdown:
    """Sends a signal when a point is reached for the time that the setting names."""

    def __init__(self, setting: str, number: signal.Signals, send: Send) -> None:
        self._target, _, count = setting.partition(":")
        self._remaining, self._signal, self._send = int(count or 1), number, send

    def reach(self, point: str) -> None:
        if point == self._target:
            self._remaining -= 1
            if self._remaining == 0:
                self._send(self._signal)
