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
        self._by_time: deque[tuple[int, bytes]] = deque()
        """Time and key of every committed id, the oldest first."""
        self._state_now: tuple[SeenMessage, bytes] | None = None
        """The state of all ids that are added at one time, and its bytes: encoded once a batch."""
        self._expired: list[tuple[int, bytes]] = []
        """Ids that this batch removes; an abort puts them back."""

    def has(self, key: bytes, message_id: str) -> bool:
        """Return whether this message was handled before, or earlier in this batch."""
        entry_key = _entry_key(key, message_id)
        return entry_key in self.batch or entry_key in self.committed

    def add(self, key: bytes, message_id: str, now: int) -> None:
        """Remember the message, from this batch's commit on."""
        if self._state_now is None or self._state_now[0].at != now:
            seen = SeenMessage(at=now)
            self._state_now = (seen, self.codec.encode(seen) or b"")
        self.batch[_entry_key(key, message_id)] = self._state_now

    def changes(self) -> Sequence[Change]:
        """Return the ids of this batch; remove the oldest ones beyond the window's limits, and return tombstones."""
        self._expired = self._take_expired()
        for _, key in self._expired:
            self.batch[key] = (None, None)
        return super().changes()

    def commit(self) -> None:
        for key, (seen, _) in self.batch.items():
            if seen is not None:
                self._by_time.append((seen.at, key))
        super().commit()
        self._expired = []

    def abort(self) -> None:
        self._by_time.extendleft(reversed(self._expired))
        self._expired = []
        super().abort()

    def finish_restore(self) -> None:
        """Put the ids in order of time."""
        entries = ((seen.at, key) for key in self.committed if (seen := self.get(key)))
        self._by_time = deque(sorted(entries))

    def _take_expired(self) -> list[tuple[int, bytes]]:
        if not self.batch:
            return []
        newest = max(seen.at for seen, _ in self.batch.values() if seen is not None)
        over = len(self.committed) + len(self.batch) - self._limits.count
        expired: list[tuple[int, bytes]] = []
        while self._by_time and (over > 0 or self._by_time[0][0] < newest - self._limits.keep_ms):
            expired.append(self._by_time.popleft())
            over -= 1
        return expired


def _entry_key(key: bytes, message_id: str) -> bytes:
    return key + b"/" + message_id.encode()
