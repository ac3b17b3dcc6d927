"""The window of message ids that were handled, for topics that outsiders write. Bounded by time and by count."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ensemble.messages.schema_set import SchemaSources
from ensemble.state.keyed import PartitionStore
from ensemble.state.unit_of_work import Change
from ensemble.system_messages.state import SeenMessage


@dataclass(frozen=True)
class WindowLimits:
    """How long and how many ids one partition remembers."""

    keep_ms: int = 24 * 3600 * 1000
    count: int = 200_000


class SeenWindow(PartitionStore[SeenMessage]):
    """One partition's window. An id that was dead-lettered is not in it, so a redrive can still take effect."""

    def __init__(self, changelog: str, limits: WindowLimits, sources: SchemaSources | None = None) -> None:
        super().__init__(changelog, [SeenMessage], sources)
        self._limits = limits
        self._order: deque[tuple[int, bytes]] = deque()
        self._mark: tuple[SeenMessage, bytes] | None = None
        self._leaving: list[tuple[int, bytes]] = []

    def knows(self, key: bytes, message_id: str) -> bool:
        """Whether this message was handled before, or earlier in this batch."""
        entry = _entry(key, message_id)
        return entry in self.batch or entry in self.committed

    def add(self, key: bytes, message_id: str, now: int) -> None:
        """Remember the message, from this batch's commit on."""
        if self._mark is None or self._mark[0].at != now:
            mark = SeenMessage(at=now)
            self._mark = (mark, self.codec.encode(mark) or b"")
        self.batch[_entry(key, message_id)] = self._mark

    def changes(self) -> Sequence[Change]:
        """The ids of this batch, and tombstones for as many old ones as the window is over its limits."""
        self._leaving = self._outgrown()
        for _, key in self._leaving:
            self.batch[key] = (None, None)
        return super().changes()

    def fold(self) -> None:
        for key, (mark, _) in self.batch.items():
            if mark is not None:
                self._order.append((mark.at, key))
        super().fold()
        self._leaving = []

    def drop(self) -> None:
        self._order.extendleft(reversed(self._leaving))
        self._leaving = []
        super().drop()

    def restored(self) -> None:
        """The changelog is read: put the ids in order of time."""
        entries = ((mark.at, key) for key in self.committed if (mark := self.get(key)))
        self._order = deque(sorted(entries))

    def _outgrown(self) -> list[tuple[int, bytes]]:
        if not self.batch:
            return []
        newest = max(mark.at for mark, _ in self.batch.values() if mark is not None)
        over = len(self.committed) + len(self.batch) - self._limits.count
        gone: list[tuple[int, bytes]] = []
        while self._order and (over > 0 or self._order[0][0] < newest - self._limits.keep_ms):
            gone.append(self._order.popleft())
            over -= 1
        return gone


def _entry(key: bytes, message_id: str) -> bytes:
    return key + b"/" + message_id.encode()
