"""Which keys are due next, and when."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

Due = tuple[int, bytes]
"""A time in epoch milliseconds, and the key that is due then."""


class DueIndex:
    """A heap of due times. Entries that no longer hold stay in it and are skipped when they come up.

    `is_current(due_at, key)` tells whether an entry still holds.
    """

    def __init__(self, is_current: Callable[[int, bytes], bool]) -> None:
        self._is_current = is_current
        self._heap: list[Due] = []

    def add(self, due_at: int, key: bytes) -> None:
        """Let `key` be due at `due_at`."""
        heapq.heappush(self._heap, (due_at, key))

    def rebuild(self, entries: Iterable[Due]) -> None:
        """Replace all entries."""
        self._heap = list(entries)
        heapq.heapify(self._heap)

    def next_due(self) -> int | None:
        """Return when the earliest current entry is due, or None."""
        while self._heap and not self._is_current(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int, limit: int) -> list[Due]:
        """Remove up to `limit` entries that are due by `now` and return them, earliest first, each once."""
        due: dict[Due, None] = {}
        while len(due) < limit and (due_at := self.next_due()) is not None and due_at <= now:
            due[heapq.heappop(self._heap)] = None
        while self._heap and self._heap[0] in due:  # it was added twice
            heapq.heappop(self._heap)
        return list(due)
