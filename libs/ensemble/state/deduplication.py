"""The window of messages that were handled, for topics that outsiders write. Bounded by time and by count.

A message's identity is its topic, key, source and id: CloudEvents makes an id unique within its source, and only there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.state.keyed import KeyedStore
from ensemble.state.store import Change
from ensemble.system_messages.state import SeenMessage


@dataclass(frozen=True)
class WindowLimits:
    """For how long, and how many, messages are remembered by one partition: 12.5 outsiders' a second for a day."""

    keep_ms: int = 24 * 3600 * 1000
    count: int = 1_200_000


_FORM: Final = b"\x01"
_IDENTITY_BYTES: Final = 16
_CONTENT_BYTES: Final = 8
_IDENTITY_END: Final = len(_FORM) + _IDENTITY_BYTES
_ENTRY_BYTES: Final = _IDENTITY_END + _CONTENT_BYTES


def window_entry(topic: str, key: bytes, source: bytes, *, message_id: str, content: bytes) -> bytes:
    """Return what the window keeps of a message: a hash of its identity, then one of its `content`: what it says."""
    identity = f"{topic}/{key!r}/{source!r}/{message_id}".encode()
    return with_content(_FORM + blake2b(identity, digest_size=_IDENTITY_BYTES).digest(), content)


def with_content(entry: bytes, content: bytes) -> bytes:
    """Return the entry that a message of the same identity has if this is what it says."""
    return entry[:_IDENTITY_END] + blake2b(content, digest_size=_CONTENT_BYTES).digest()


class SeenWindow(KeyedStore[SeenMessage]):
    """One partition's window. A message that was dead-lettered is not in it, so a redrive can still take effect."""

    def __init__(self, changelog: str, limits: WindowLimits, sources: SchemaSourceSelector | None = None) -> None:
        super().__init__(changelog, [SeenMessage], sources)
        self._limits = limits
        self._by_time: deque[tuple[int, bytes]] = deque()
        """Time and entry of every committed message, the oldest first."""
        self._by_identity: dict[bytes, bytes] = {}
        """The entries, staged ones included, by the part that says which message it is."""
        self._state_now: tuple[SeenMessage, bytes | None] | None = None
        """The state of all entries that are added at one time, and its bytes: encoded once a batch."""
        self._added_at = 0
        """When the last message was added: all those of a batch at one time."""
        self._expired: list[tuple[int, bytes]] = []
        """Entries that this batch removes; an abort puts them back."""

    def entry_like(self, entry: bytes) -> bytes | None:
        """Return the entry of the message that was handled under this identity, in this batch or before, or None."""
        return self._by_identity.get(entry[:_IDENTITY_END])

    def has_id(self, key: bytes, message_id: str) -> bool:
        """Return whether a release that told messages apart by key and id alone has handled this one."""
        return _entry_by_id(key, message_id) in self.committed

    def add(self, entry: bytes, now: int) -> None:
        """Remember the message, from this batch's commit on."""
        if self._state_now is None or self._state_now[0].at != now:
            seen = SeenMessage(at=now)
            self._state_now = (seen, self.codec.encode(seen))
        self.batch[entry], self._added_at = self._state_now, now
        self._by_identity[entry[:_IDENTITY_END]] = entry

    def changes(self) -> Sequence[Change]:
        """Return the entries of this batch, and tombstones of the oldest beyond the limits, which are removed."""
        self._expired = self._take_expired()
        for _, key in self._expired:
            self.batch[key] = (None, None)
        return super().changes()

    def commit(self) -> None:
        for entry, (seen, _) in self.batch.items():
            if seen is not None:
                self._by_time.append((seen.at, entry))
            elif self.entry_like(entry) == entry:
                del self._by_identity[entry[:_IDENTITY_END]]
        super().commit()
        self._expired = []

    def abort(self) -> None:
        self._by_time.extendleft(reversed(self._expired))
        self._expired = []
        for entry, (seen, _) in self.batch.items():
            if seen is not None:
                del self._by_identity[entry[:_IDENTITY_END]]
        super().abort()

    def finish_restore(self) -> None:
        """Put the entries in order of time."""
        entries = ((seen.at, entry) for entry in self.committed if (seen := self.get(entry)))
        self._by_time = deque(sorted(entries))
        self._by_identity = {entry[:_IDENTITY_END]: entry for entry in self.committed if _has_form(entry)}

    def _take_expired(self) -> list[tuple[int, bytes]]:
        if not self.batch:
            return []
        over = len(self.committed) + len(self.batch) - self._limits.count
        expired: list[tuple[int, bytes]] = []
        while self._by_time and (over > 0 or self._by_time[0][0] < self._added_at - self._limits.keep_ms):
            expired.append(self._by_time.popleft())
            over -= 1
        return expired


def _has_form(entry: bytes) -> bool:
    """Return whether the entry was made by `window_entry`, not by a release before it."""
    return len(entry) == _ENTRY_BYTES and entry.startswith(_FORM)


def _entry_by_id(key: bytes, message_id: str) -> bytes:
    return key + b"/" + message_id.encode()
