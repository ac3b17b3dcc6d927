"""Lets batches grow under load: a batch of several records is followed by the next one a moment later, not at once.

A transaction costs the broker and the client about the same however much it holds. A service that begins the next one
as soon as the last has ended spends the machine's CPU on transactions of few messages, and services that have more to
do wait for it (see docs/adr/0040-a-pace-for-batches.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_PERIOD_S: Final = 0.02
"""From the begin of one batch to that of the next. With 40 ms there are fewer transactions still, and orders are
slower: they pass through eight batches one after the other."""
_SEVERAL: Final = 5
"""So many records in a period are 250 a second: below that a service answers at once."""


class Pace:
    """Says when the next batch of a process may begin. Nothing waits while little comes, nor behind a full batch."""

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Begin without a wait. `now` counts seconds."""
        self._now, self._sleep = now, sleep
        self._ends_at, self._next_at = 0.0, 0.0

    def begin(self, records: int, limit: int) -> None:
        """Note that a batch of so many records begins, which could have had `limit`."""
        self._ends_at = self._now() + _PERIOD_S if _SEVERAL <= records < limit else 0.0

    def commit(self) -> None:
        """Note that this batch was committed: what has no transaction costs little, and is followed at once."""
        self._next_at = self._ends_at

    def wait(self, longest_s: Callable[[], float]) -> None:
        """Wait until the next batch may begin, once for each batch, and no longer than `longest_s` says then."""
        if self._next_at:
            left_s, self._next_at = self._next_at - self._now(), 0.0
            if left_s > 0 and (wait_s := min(left_s, longest_s())) > 0:
                self._sleep(wait_s)
