"""Keyed state that outgrows memory: a copy of the changelog in RocksDB, which saves a restart from reading it all.

The changelog stays the truth. The copy holds what was committed and nothing else, and beside it a mark: up to which
offset of which changelog it goes, and a hash of the last record. A copy whose mark does not fit is emptied and made
anew, never trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

import structlog

from ensemble.messages.codec import PREFIX_LENGTH
from ensemble.messages.message import State
from ensemble.messages.records import ConsumedRecord
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.state.key_tree import is_below
from ensemble.state.keyed import KeyedStore
from ensemble.state.rocks_map import RocksMap
from ensemble.state.store import Change, StartOver

log = structlog.get_logger()

S = TypeVar("S", bound=State)
_FORMAT: Final = 1
_RESTORED_AT_ONCE: Final = 5_000
"""So many restored records are written together."""
_TRUSTED_MS: Final = 12 * 3600 * 1000
"""Half of what brokers keep tombstones for by default: an older copy may hold what was deleted since, unseen."""
_RENEW_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True)
class CopyPlace:
    """Where the copy of one changelog's partition lies, and which topic it is a copy of."""

    directory: Path
    topic_id: str
    """Empty if the broker does not tell it: then a copy cannot be recognised."""


@dataclass(frozen=True)
class _Mark:
    """Up to where a copy goes."""

    topic_id: str
    position: int = 0
    """The offset of the changelog to read on from."""
    digest: str = ""
    """A hash of the record before it, if a record lies there."""
    at: int = 0
    """When the copy was the changelog's latest state, epoch milliseconds."""
    prefixes: tuple[str, ...] = ()
    """The schemas of its values, as records begin with them, in hexadecimal."""
    format: int = _FORMAT


class RocksStore(KeyedStore[S]):
    """One partition of a state store, on disk."""

    committed: RocksMap

    def __init__(
        self,
        changelog: str,
        types: Iterable[type[State]],
        sources: SchemaSourceSelector | None,
        *,
        place: CopyPlace,
        now: Callable[[], int],
    ) -> None:
        """Open the copy, and empty it if it is of another topic, too old or unreadable.

        Raises FatalError if another process has it open.
        """
        super().__init__(changelog, types, sources)
        self._topic_id, self._now = place.topic_id, now
        self.committed = RocksMap(place.directory)
        self._mark = self._readable_mark()
        self._prefixes = {bytes.fromhex(prefix) for prefix in self._mark.prefixes}
        self._acknowledged = 0
        """The offset behind the last changelog record of the batch that a broker has taken."""
        self._restored: list[Change] = []
        """What was read of the changelog and is not written yet."""
        self._restored_to = self._mark.position
        if reason := self._why_unusable():
            self.start_over(reason)

    # -- batches --------------------------------------------------------------------------------------------------

    def acknowledge(self, offset: int) -> None:
        """Note that a changelog record of the batch lies before `offset`."""
        self._acknowledged = max(self._acknowledged, offset)

    def commit(self) -> None:
        """Write the batch, and up to where the copy goes now, at once."""
        changes, now = [(key, value) for key, (_, value) in self.batch.items()], self._now()
        if changes:
            self._write(changes, self._acknowledged or self._mark.position, now)
        elif now - self._mark.at > _RENEW_MS:  # a transaction has committed, so nobody else writes the changelog
            self._set_mark(replace(self._mark, at=now))
        for key, (state, value) in self.batch.items():
            if state is None or value is None:
                self._forget_decoded(key)
            else:
                self._keep_decoded(key, state, value)
        self._forget_oldest()
        self.abort()

    def abort(self) -> None:
        super().abort()
        self._acknowledged = 0

    def keys_below(self, key: bytes) -> set[bytes]:
        """Return the keys `<key>/...` as of this batch."""
        keys = {*self.committed.keys_from(key + b"/"), *(other for other in self.batch if is_below(other, key))}
        return {other for other in keys if other not in self.batch or self.batch[other][0] is not None}

    def close(self) -> None:
        """Let another process open the copy."""
        self.committed.close()

    # -- restoring ------------------------------------------------------------------------------------------------

    @property
    def read_from(self) -> int:
        """The offset of the changelog from which a restart reads: that of the record the copy is recognised by."""
        return max(self._mark.position - 1, 0)

    def check_end(self, end: int) -> None:
        """Compare with the changelog's end; look up the schemas of what is there.

        Raises StartOver, with the copy emptied, if the changelog is shorter; SchemasUnavailable.
        """
        if self._mark.position > end:
            reason = f"the changelog ends at {end}, and the copy goes to {self._mark.position}"
            self.start_over(reason)
            raise StartOver(reason)
        for prefix in self._prefixes:
            self.ensure_schema_known(prefix)

    def restore_record(self, record: ConsumedRecord) -> None:
        """Apply one changelog record. Raises StartOver, with the copy emptied, if it is not the one that was there."""
        key, value, offset = record.key() or b"", record.value(), record.offset() or 0
        if offset < self._mark.position:
            if self._mark.digest not in ("", _digest(key, value)):
                reason = f"another record lies at offset {offset} than when the copy was written"
                self.start_over(reason)
                raise StartOver(reason)
            return
        if value is not None and value[:PREFIX_LENGTH] not in self._prefixes:
            self.ensure_schema_known(value)
        self._restored.append((key, value))
        self._restored_to = offset + 1
        if len(self._restored) >= _RESTORED_AT_ONCE:
            self._write_restored()

    def finish_restore(self) -> None:
        """Write what is left: the copy is the changelog's latest state."""
        self._write_restored()
        self._set_mark(replace(self._mark, at=self._now()))

    def start_over(self, reason: str) -> None:
        """Empty the copy: the changelog is read from its beginning."""
        if self._mark.position:
            log.warning("state.rebuilt", changelog=self.changelog, reason=reason)
        self.committed.empty()
        self._mark, self._restored, self._restored_to = _Mark(self._topic_id, at=self._now()), [], 0
        self._prefixes = set()
        self._decoded.clear()
        self._decoded_bytes = 0

    def size(self) -> int:
        """Return about how many entries there are: exactly 0 if there is none."""
        return len(self.committed)

    # -- helpers --------------------------------------------------------------------------------------------------

    def _write_restored(self) -> None:
        if self._restored:
            self._write(self._restored, self._restored_to, self._mark.at)
            self._restored = []

    def _write(self, changes: list[Change], position: int, at: int) -> None:
        self._prefixes |= {value[:PREFIX_LENGTH] for _, value in changes if value is not None}
        digest = _digest(*changes[-1]) if position != self._mark.position else self._mark.digest
        prefixes = tuple(sorted(prefix.hex() for prefix in self._prefixes))
        self._mark = _Mark(self._topic_id, position, digest, at, prefixes)
        self.committed.write(changes, _as_bytes(self._mark))

    def _set_mark(self, mark: _Mark) -> None:
        self._mark = mark
        self.committed.write([], _as_bytes(mark))

    def _readable_mark(self) -> _Mark:
        try:
            fields = json.loads(self.committed.mark() or b"")
            return _Mark(**{**fields, "prefixes": tuple(fields["prefixes"])})
        except (ValueError, TypeError, LookupError):
            return _Mark("", format=0)

    def _why_unusable(self) -> str:
        """Return why the copy is not gone on from, or an empty text."""
        age_ms = self._now() - self._mark.at
        if self._mark.format != _FORMAT:
            return "it was written by another release"
        if self._mark.topic_id != self._topic_id or not self._topic_id:
            return f"it is a copy of the topic with id {self._mark.topic_id!r}, this one has {self._topic_id!r}"
        if not -_RENEW_MS <= age_ms <= _TRUSTED_MS:  # machines' and brokers' clocks differ a little
            return f"it is {age_ms / 3_600_000:.1f} h old, and what was deleted since may be gone from the changelog"
        return ""


def _digest(key: bytes, value: bytes | None) -> str:
    return blake2b(repr((key, value)).encode(), digest_size=8).hexdigest()


def _as_bytes(mark: _Mark) -> bytes:
    return json.dumps(asdict(mark), separators=(",", ":")).encode()
