"""Does a piece of work over and over, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

_LOG: Final = structlog.get_logger()


class Repetition:
    """Work that is done at once and then after every pause, until it is stopped; no fault of it ends that."""

    def __init__(
        self,
        name: str,
        work: Callable[[], bool],
        pause_s: Callable[[], float],
        *,
        longest_pause_s: float = 0.0,
        on_fault: Callable[[Exception], None] | None = None,
    ) -> None:
        """Do nothing yet. `work` returns whether it could be done; the pause doubles up to the longest while it cannot.

        `pause_s` is asked after each time, since how often it is worth while may change. `on_fault` is told what
        nobody expected.
        """
        self._name, self._work, self._on_fault = name, work, on_fault
        self._pause_s, self._longest_s = pause_s, longest_pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Do it from now on."""
        self._thread.start()

    def stop(self, limit_s: float = 5.0) -> None:
        """Do it no more; what is under way is waited for, `limit_s` at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        pause_s = self._pause_s()
        while not self._stopping.is_set():
            is_done, usual_s = self._try(), self._pause_s()
            pause_s = usual_s if is_done else min(2 * pause_s, max(self._longest_s, usual_s))
            self._stopping.wait(pause_s)

    def _try(self) -> bool:
        try:
            return self._work()
        except Exception as error:  # noqa: BLE001  the thread is never started again: pages would show this moment for good
            _LOG.error(f"{self._name}.failed", exc_info=error)
            with suppress(Exception):  # what failed may be the one who is told; the next time tries again
                if self._on_fault is not None:
                    self._on_fault(error)
            return False
