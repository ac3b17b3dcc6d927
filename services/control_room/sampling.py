"""Takes samples of the services, over and over."""

from __future__ import annotations

import threading
from typing import Final

from ensemble.operations import Samples, now

EVERY_S: Final = 5.0


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
            self._samples.take(now())
            self._stopping.wait(self._every_s)
