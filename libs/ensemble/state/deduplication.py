"""The window of message ids that were handled, for topics that outsiders write. Bounded by time and by count."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.state.keyed import KeyedStore
from ensemble.state.store import Change
from ensemble.system_messages.state import SeenMessage


@dataclass(frozen=True)
class WindowLimits:
    """For how long, and how many, ids are remembered by one partition."""

    keep_ms: int = 24 * 3600 * 1000
    count: int = 200_000


class SeenWindow(KeyedStore[SeenMessage]):
    """One partition's window. An id that was dead-lettered is not in it, so a redrive can still take effect."""

    def __init__(self, changelog: str, limits: WindowLimits, sources: SchemaSourceSelector | None = None) -> None:
        super().__init__(changelog, [SeenMessage], sources)
        self._limits = limits
        self._order: deque[tuple[int, bytes]] = deque()
        self._seen_at: tuple[SeenMessage, bytes] | None = None
        self._expired: list[tuple[int, bytes]] = []

    def knows(self, key: bytes, message_id: str) -> bool:
        """Return whether this message was handled before, or earlier in this batch."""
        entry = _entry(key, message_id)
        return entry in self.batch or entry in self.committed

    def add(self, key: bytes, message_id: str, now: int) -> None:
        """Remember the message, from this batch's commit on."""
        if self._seen_at is None or self._seen_at[0].at != now:
            seen = SeenMessage(at=now)
            self._seen_at = (seen, self.codec.encode(seen) or b"")
        self.batch[_entry(key, message_id)] = self._seen_at

    def changes(self) -> Sequence[Change]:
        """Return the ids of this batch, and tombstones for the oldest ones that are beyond the window's limits."""
        self._expired = self._take_expired()
        for _, key in self._expired:
            self.batch[key] = (None, None)
        return super().changes()

    def fold(self) -> None:
        for key, (seen, _) in self.batch.items():
            if seen is not None:
                self._order.append((seen.at, key))
        super().fold()
        self._expired = []

    def drop(self) -> None:
        self._order.extendleft(reversed(self._expired))
        self._expired = []
        super().drop()

    def restored(self) -> None:
        """Put the ids in order of time."""
        entries = ((seen.at, key) for key in self.committed if (seen := self.get(key)))
        self._order = deque(sorted(entries))

    def _take_expired(self) -> list[tuple[int, bytes]]:
        if not self.batch:
            return []
        newest = max(seen.at for seen, _ in self.batch.values() if seen is not None)
        over = len(self.committed) + len(self.batch) - self._limits.count
        expired: list[tuple[int, bytes]] = []
        while self._order and (over > 0 or self._order[0][0] < newest - self._limits.keep_ms):
            expired.append(self._order.popleft())
            over -= 1
        return expired


def _entry(key: bytes, message_id: str) -> bytes:
    return key + b"/" + message_id.encode()
