"""Takes samples of the services, over and over."""

from __future__ import annotations

import threading
from typing import Final

import structlog

from ensemble.operations import Samples, now

EVERY_S: Final = 5.0
_LOG: Final = structlog.get_logger()


class Sampling:
    """A thread that takes samples until it is stopped."""

    def __init__(self, samples: Samples, every_s: float = EVERY_S) -> None:
        """Take none yet."""
        self._samples, self._every_s = samples, every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)

    def start(self) -> None:
        """Take samples from now on."""
        self._thread.start()

    def stop(self, limit_s: float = 2.0) -> None:
        """Take no more; one under way is waited for, `limit_s` at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._take()
            self._stopping.wait(self._every_s)

    def _take(self) -> None:
        try:
            self._samples.take(now())
        except Exception as error:  # noqa: BLE001  the thread is never started again: one fault would end all samples
            _LOG.error("sample.failed", exc_info=error)
