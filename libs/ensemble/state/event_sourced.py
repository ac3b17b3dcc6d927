"""Event sourcing: an aggregate's entries are the fold of its ledger, with a snapshot of what changed now and then.

A snapshot is changelog records of single entries plus one `LedgerPosition` for each key, in the batch's own
transaction. Restoring reads the changelog, then the ledger from the latest offset a position names: the snapshot that
wrote it had everything before. Facts that a snapshot already holds are known by their sequence number. So a snapshot
may be taken at any time and may be old, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from ensemble.errors import TerminalError
from ensemble.messages.message import Event, State
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.stores import EventSourcedSpec
from ensemble.state.event_log import route_of
from ensemble.state.keyed import StateCodec
from ensemble.state.store import Change
from ensemble.state.unit_of_work import OutputRoute, RecordLayer
from ensemble.system_messages.state import LedgerPosition

Writes = dict[bytes, State | None]
_MISSING: Final = object()


class Aggregate(Protocol):
    """What `event_sourced` asks of an aggregate: pure, built anew for each read."""

    def evolve(self, fact: Any) -> Mapping[tuple[str, str], State | None]:
        """Return the entries that `fact` changes, by (entry name, sub key); None removes one."""


class Entries(Protocol):
    """A partition's entries as one reader sees them, with what the batch or its record has written over them."""

    def get(self, key: bytes) -> Any:
        """Return the entry, or None."""

    def candidates(self) -> Iterable[bytes]:
        """Return the keys of all entries, deleted ones possibly among them."""


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
        keys = dict.fromkeys(key for key in self._entries.candidates() if key.startswith(self._prefix))
        return (key[len(self._prefix) :].decode() for key in keys if self._entries.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class EventSourcedStore:
    """One partition's aggregates of one kind."""

    def __init__(self, spec: EventSourcedSpec, sources: SchemaSourceSelector | None = None) -> None:
        self.changelog, self.ledger = spec.changelog_name, spec.ledger.name
        self.ledger_end = 0
        self._aggregate_type, self._entry_types, self._every = spec.subject, spec.entries, spec.snapshot_every
        self._codec = StateCodec(self.changelog, spec.types, sources)
        self.types, self.ensure_schema_known = self._codec.types, self._codec.ensure_schema_known
        self._live: dict[bytes, State | bytes] = {}
        self._dirty: set[bytes] = set()
        self._facts = 0
        self._is_snapshot_due = False
        self.batch: Writes = {}
        self.batch_facts = 0

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def get(self, key: bytes) -> Any:
        """Return the entry as of this batch, or None."""
        if key in self.batch:
            return self.batch[key]
        entry = self._live.get(key)
        if isinstance(entry, bytes):
            entry = self._live[key] = self._codec.decode(key, entry)
        return entry

    def candidates(self) -> Iterable[bytes]:
        return (*self._live, *self.batch)

    def aggregate(self, key: bytes, entries: Entries) -> Any:
        """Return the aggregate of `key` over `entries`."""
        views = {name: EntryView(entries, key + b"/" + name.encode() + b"/") for name in self._entry_types}
        return self._aggregate_type(key.decode(), self.sequence(key, entries), **views)

    def sequence(self, key: bytes, entries: Entries) -> int:
        """Return the sequence number of the key's last fact, 0 before the first."""
        position = entries.get(key)
        return position.sequence if position is not None else 0

    def apply_fact(self, key: bytes, fact: Any, entries: Entries) -> Writes:
        """Return the writes that follow from `fact`. Raises TerminalError if its sequence leaves a gap."""
        expected = self.sequence(key, entries) + 1
        if fact.sequence != expected:
            raise TerminalError(
                f"ledger of {key.decode()!r}: fact {type(fact).__name__} has sequence {fact.sequence}, expected "
                f"{expected}"
            )
        changed = self.aggregate(key, entries).evolve(fact)
        writes: Writes = {
            b"/".join((key, name.encode(), sub.encode())): state for (name, sub), state in changed.items()
        }
        return writes | {key: LedgerPosition(sequence=fact.sequence, offset=self.ledger_end)}

    def changes(self) -> Sequence[Change]:
        """Return a snapshot of what changed since the last one, if enough facts have come; else nothing."""
        self._is_snapshot_due = self._facts + self.batch_facts >= self._every
        if not self._is_snapshot_due:
            return []
        return [(key, self._codec.encode(self._stamped(self.get(key)))) for key in self._dirty | self.batch.keys()]

    def changed_keys(self) -> list[bytes]:
        return [key for key, value in self.changes() if value is not None]

    def _stamped(self, state: Any) -> State | None:
        """Give a position the ledger offset that is known now."""
        return state.model_copy(update={"offset": self.ledger_end}) if isinstance(state, LedgerPosition) else state

    def fold(self) -> None:
        self._facts += self.batch_facts
        self._dirty |= self.batch.keys()
        if self._is_snapshot_due:
            self._facts, self._dirty = 0, set()
        for key, state in self.batch.items():
            if state is None:
                self._live.pop(key, None)
            else:
                self._live[key] = state
        self.drop()

    def drop(self) -> None:
        self.batch, self.batch_facts, self._is_snapshot_due = {}, 0, False

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._live.pop(key, None)
        else:
            self._live[key] = value

    def restored(self) -> None:
        """Do nothing: entries are decoded when they are read."""

    def size(self) -> int:
        return len(self._live)

    def replay_from(self) -> int:
        """Return the ledger offset from which facts have to be folded: no snapshot holds later ones."""
        positions = [self.get(key) for key in list(self._live) if b"/" not in key]
        self.ledger_end = max((position.offset for position in positions), default=0)
        return self.ledger_end

    def replay(self, key: bytes, fact: Any) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it."""
        if fact.sequence <= self.sequence(key, self):
            return
        self.batch.update(self.apply_fact(key, fact, self))
        self.batch_facts += 1
        self.fold()


class _StagedEntries:
    """A store's entries, with one record's own writes over them."""

    def __init__(self, store: EventSourcedStore, writes: Writes) -> None:
        self._store, self._writes = store, writes

    def get(self, key: bytes) -> Any:
        entry = self._writes.get(key, _MISSING)
        return self._store.get(key) if entry is _MISSING else entry

    def candidates(self) -> Iterable[bytes]:
        return (*self._store.candidates(), *self._writes)


class StagedEventSourced:
    """The `EventSourced[A]` port of one record layer."""

    def __init__(self, store: EventSourcedStore, layer: RecordLayer, routes: Mapping[type, OutputRoute]) -> None:
        self._store, self._layer, self._routes = store, layer, routes
        self._writes: Writes = {}
        self._facts = 0
        layer.staged.append(self)

    def get(self, key: str) -> Any:
        return self._store.aggregate(self._layer.scoped(key), _StagedEntries(self._store, self._writes))

    def append(self, key: str, facts: Iterable[Event]) -> None:
        raw, entries = self._layer.scoped(key), _StagedEntries(self._store, self._writes)
        for fact in facts:
            self._writes.update(self._store.apply_fact(raw, fact, entries))
            self._layer.stage(route_of(self._routes, fact), fact)
            self._facts += 1

    def seal(self) -> None:
        """Do nothing: facts are encoded already, entries when a snapshot is taken."""

    def fold(self) -> None:
        if self._facts:
            self._store.batch.update(self._writes)
            self._store.batch_facts += self._facts
            self.drop()

    def drop(self) -> None:
        self._writes, self._facts = {}, 0
