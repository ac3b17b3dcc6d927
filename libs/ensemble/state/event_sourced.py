"""Event sourcing: an aggregate's entries are the fold of its ledger, with a snapshot of what changed now and then.

A snapshot is changelog records of single entries plus one `LedgerPosition` for each key, in the batch's own
transaction. Restoring reads the changelog, then the ledger from the latest offset a position names: the snapshot that
wrote it had everything before. Facts that a snapshot already holds are known by their sequence number. So a snapshot
may be taken at any time and may be old, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from ensemble.errors import OversizedOutput, TerminalError
from ensemble.messages.message import Event, State
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.stores import EventSourcedSpec
from ensemble.state.state_codec import StateCodec
from ensemble.state.store import Change
from ensemble.state.unit_of_work import OutputRoute, RecordLayer, fact_route
from ensemble.system_messages.state import LedgerPosition

log = structlog.get_logger()

Writes = dict[bytes, State | None]
"""New entries by key; None removes one.

An entry's key is `<key>/<entry name>/<sub key>`; a position's is `<key>`.
"""


class Entries(Protocol):
    """A partition's entries and positions: as of the batch (the store itself), or as of one record in it."""

    def get(self, key: bytes) -> Any:
        """Return the entry, or None."""

    def possible_keys(self) -> Iterable[bytes]:
        """Return the keys of all entries, some twice, and some whose entry `get` no longer returns."""


class EntryView(Mapping[str, Any]):
    """The entries of one name under one key, read through on demand. Iterating looks at every key of the partition."""

    def __init__(self, entries: Entries, prefix: bytes) -> None:
        self._entries, self._prefix = entries, prefix

    def __getitem__(self, name: str) -> Any:
        entry = self._entries.get(self._prefix + name.encode())
        if entry is None:
            raise KeyError(name)
        return entry

    def __iter__(self) -> Iterator[str]:
        keys = dict.fromkeys(key for key in self._entries.possible_keys() if key.startswith(self._prefix))
        return (key[len(self._prefix) :].decode() for key in keys if self._entries.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class EventSourcedStore:
    """One partition's aggregates of one type."""

    def __init__(self, spec: EventSourcedSpec, sources: SchemaSourceSelector | None = None) -> None:
        self.changelog, self.ledger = spec.changelog_name, spec.ledger.name
        self.ledger_end = 0
        self._aggregate_type, self._entry_names, self._snapshot_every = spec.subject, spec.entries, spec.snapshot_every
        self._codec = StateCodec(self.changelog, spec.types, sources)
        self._committed: dict[bytes, State | bytes] = {}
        """Entries and positions; those of a snapshot stay bytes until they are read."""
        self._changed_keys: set[bytes] = set()
        """Keys whose committed entry has changed since the last snapshot."""
        self._fact_count = 0
        """Facts that have been committed since the last snapshot."""
        self._takes_snapshot = False
        """Whether this batch commits a snapshot."""
        self._is_postponed = False
        """Whether this batch should have, and could not."""
        self.batch: Writes = {}
        self.batch_fact_count = 0

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def get(self, key: bytes) -> Any:
        """Return the entry as of this batch, or None."""
        if key in self.batch:
            return self.batch[key]
        entry = self._committed.get(key)
        if isinstance(entry, bytes):
            entry = self._committed[key] = self._codec.decode(key, entry)
        return entry

    def possible_keys(self) -> Iterable[bytes]:
        return (*self._committed, *self.batch)

    def aggregate(self, key: bytes, entries: Entries) -> Any:
        """Return the aggregate of `key` over `entries`."""
        views = {name: EntryView(entries, key + b"/" + name.encode() + b"/") for name in self._entry_names}
        return self._aggregate_type(key.decode(), self.sequence(key, entries), **views)

    def sequence(self, key: bytes, entries: Entries) -> int:
        """Return the sequence number of the key's last fact, 0 before the first."""
        position = entries.get(key)
        return position.sequence if position is not None else 0

    def apply_fact(self, key: bytes, fact: Any, entries: Entries) -> Writes:
        """Return the entries and the position that follow from `fact`.

        Raises TerminalError if its sequence number is not the next one.
        """
        expected = self.sequence(key, entries) + 1
        if fact.sequence != expected:
            raise TerminalError(
                f"ledger of {key.decode()!r}: fact {type(fact).__name__} has sequence {fact.sequence}, expected "
                f"{expected}"
            )
        changes = self.aggregate(key, entries).evolve(fact)
        writes: Writes = {
            b"/".join((key, name.encode(), sub_key.encode())): state for (name, sub_key), state in changes.items()
        }
        return writes | {key: LedgerPosition(sequence=fact.sequence, offset=self.ledger_end)}

    def changes(self) -> Sequence[Change]:
        """Return a snapshot of what changed since the last one, if enough facts have come; else nothing.

        A snapshot that an entry is too large for is put off until as many facts have come again. It may be old, never
        wrong, and the ledger holds all of it.
        """
        is_due = self._fact_count + self.batch_fact_count >= self._snapshot_every
        snapshot = self._snapshot() if is_due else None
        self._takes_snapshot, self._is_postponed = snapshot is not None, is_due and snapshot is None
        return snapshot or []

    def _snapshot(self) -> list[Change] | None:
        """Return what changed since the last snapshot, or None if an entry is too large, from before it was refused."""
        keys = self._changed_keys | self.batch.keys()
        try:
            return [(key, self._codec.encode(self._at_ledger_end(self.get(key)), key)) for key in keys]
        except OversizedOutput as error:
            log.warning("snapshot.postponed", changelog=self.changelog, facts=self._snapshot_every, reason=str(error))
            return None

    def require_room(self, key: bytes, entry: State | None) -> None:
        """Raise OversizedOutput if a snapshot could not hold this entry."""
        self._codec.encode(entry, key)

    def changed_keys(self) -> list[bytes]:
        """Return the keys of the entries that a snapshot would hold, if this batch took one."""
        return [key for key, value in self.changes() if value is not None]

    def _at_ledger_end(self, state: Any) -> State | None:
        """Return a position with the ledger's end as it is known now, any other state as it is."""
        return state.model_copy(update={"offset": self.ledger_end}) if isinstance(state, LedgerPosition) else state

    def commit(self) -> None:
        self._fact_count += self.batch_fact_count
        self._changed_keys |= self.batch.keys()
        if self._takes_snapshot:
            self._changed_keys = set()
        if self._takes_snapshot or self._is_postponed:
            self._fact_count = 0
        for key, state in self.batch.items():
            if state is None:
                self._committed.pop(key, None)
            else:
                self._committed[key] = state
        self._end_batch()

    def abort(self) -> None:
        self._end_batch()

    def _end_batch(self) -> None:
        self.batch, self.batch_fact_count = {}, 0
        self._takes_snapshot = self._is_postponed = False

    def ensure_schema_known(self, value: bytes) -> None:
        self._codec.ensure_schema_known(value)

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._committed.pop(key, None)
        else:
            self._committed[key] = value

    def finish_restore(self) -> None:
        """Do nothing: entries need no index."""

    def size(self) -> int:
        return len(self._committed)

    def replay_from(self) -> int:
        """Return the ledger offset from which facts have to be folded: no snapshot holds later ones."""
        positions = [self.get(key) for key in list(self._committed) if b"/" not in key]
        self.ledger_end = max((position.offset for position in positions), default=0)
        return self.ledger_end

    def replay(self, key: bytes, fact: Any) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it."""
        if fact.sequence <= self.sequence(key, self):
            return
        self.batch.update(self.apply_fact(key, fact, self))
        self.batch_fact_count += 1
        self.commit()


class _StagedEntries:
    """A store's entries, with one record's own writes over them."""

    def __init__(self, store: EventSourcedStore, writes: Writes) -> None:
        self._store, self._writes = store, writes

    def get(self, key: bytes) -> Any:
        return self._writes[key] if key in self._writes else self._store.get(key)

    def possible_keys(self) -> Iterable[bytes]:
        return (*self._store.possible_keys(), *self._writes)


class StagedEventSourced:
    """The `EventSourced[A]` port of one record layer."""

    def __init__(self, store: EventSourcedStore, layer: RecordLayer, routes: Mapping[type, OutputRoute]) -> None:
        self._store, self._layer, self._routes = store, layer, routes
        self._writes: Writes = {}
        self._fact_count = 0
        layer.staged.append(self)

    def get(self, key: str) -> Any:
        return self._store.aggregate(self._layer.scoped(key), _StagedEntries(self._store, self._writes))

    def append(self, key: str, facts: Iterable[Event]) -> None:
        raw_key, entries = self._layer.scoped(key), _StagedEntries(self._store, self._writes)
        for fact in facts:
            self._writes.update(self._store.apply_fact(raw_key, fact, entries))
            self._layer.stage(fact_route(self._routes, fact), fact)
            self._fact_count += 1

    def seal(self) -> None:
        """Check that a snapshot can hold each entry, so that the record that makes one too large is the one to fail.

        Facts are encoded already, entries are when a snapshot is taken.
        """
        for key, entry in self._writes.items():
            self._store.require_room(key, entry)

    def merge(self) -> None:
        if self._fact_count:
            self._store.batch.update(self._writes)
            self._store.batch_fact_count += self._fact_count
            self.discard()

    def discard(self) -> None:
        self._writes, self._fact_count = {}, 0
