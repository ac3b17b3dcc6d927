"""Event sourcing: an aggregate's entries are the fold of its ledger, with a snapshot of what changed now and then.

A snapshot is changelog records of single entries plus one `LedgerPosition` for each key, in the batch's own
transaction. Restoring reads the changelog, then the ledger from the latest offset a position names: the snapshot that
wrote it had everything before. Facts that a snapshot already holds are known by their sequence number, which lies in
their field `sequence`, if they have one, or else in a header. So a snapshot may be taken at any time and may be old,
never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from ensemble.errors import OversizedOutput, TerminalError, UndecodableRecord
from ensemble.messages.message import Event, State
from ensemble.messages.records import ConsumedRecord, Headers
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.stores import SEQUENCE, EventSourcedSpec
from ensemble.state.aggregate_forms import Entries, Writes, form_of
from ensemble.state.state_codec import StateCodec
from ensemble.state.store import Change
from ensemble.state.unit_of_work import OutputRoute, RecordLayer, fact_route
from ensemble.system_messages.state import LedgerPosition

log = structlog.get_logger()

SEQUENCE_HEADER: Final = "ce_sequence"
"""The number of a fact that has no field for it: digits that sort as text, by the sequence extension of CloudEvents."""
_DIGITS: Final = 19


class EventSourcedStore:
    """One partition's aggregates of one type."""

    def __init__(self, spec: EventSourcedSpec, sources: SchemaSourceSelector | None = None) -> None:
        self.changelog, self.ledger = spec.changelog_name, spec.ledger.name
        self.ledger_end = 0
        self._form, self._snapshot_every = form_of(spec), spec.snapshot_every
        self._self_numbered = frozenset(fact for fact in spec.ledger.messages if SEQUENCE in fact.model_fields)
        """The facts whose number lies in a field of their own."""
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
        return self._form.read(key, self.sequence(key, entries), entries)

    def sequence(self, key: bytes, entries: Entries) -> int:
        """Return the sequence number of the key's last fact, 0 before the first."""
        position = entries.get(key)
        return position.sequence if position is not None else 0

    def number(self, key: bytes, fact: Any, entries: Entries) -> tuple[Any, int, Headers]:
        """Return `fact` with the number that it has in the ledger, that number, and the headers that tell it."""
        following = self.sequence(key, entries) + 1
        if type(fact) not in self._self_numbered:
            return fact, following, [(SEQUENCE_HEADER, f"{following:0{_DIGITS}}".encode())]
        if self._form.numbers_facts:
            return fact.model_copy(update={SEQUENCE: following}), following, []
        return fact, fact.sequence, []

    def apply_fact(self, key: bytes, fact: Any, number: int, entries: Entries) -> Writes:
        """Return the entries and the position that follow from `fact`. Raises TerminalError if `number` is not next."""
        sequence = self.sequence(key, entries)
        if number != sequence + 1:
            raise TerminalError(
                f"ledger of {key.decode()!r}: fact {type(fact).__name__} has sequence {number}, expected {sequence + 1}"
            )
        position = LedgerPosition(sequence=number, offset=self.ledger_end)
        return self._form.fold(key, sequence, fact, entries) | {key: position}

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
        """Return the ledger offset from which facts have to be folded: no snapshot holds later ones.

        Raises UnreadableState for snapshots that the aggregate has written in another form.
        """
        positions = {key: self.get(key) for key in list(self._committed) if b"/" not in key}
        for key in positions:
            self._form.require_own(key, self._committed)
        self.ledger_end = max((position.offset for position in positions.values()), default=0)
        return self.ledger_end

    def replay(self, key: bytes, fact: Any, record: ConsumedRecord) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it. Raises UndecodableRecord if it has no number."""
        number = fact.sequence if type(fact) in self._self_numbered else _number_in(record)
        if number < 1:
            raise UndecodableRecord(f"fact {type(fact).__name__} has the number {number}, but facts count from 1")
        if number <= self.sequence(key, self):
            return
        self.batch.update(self.apply_fact(key, fact, number, self))
        self.batch_fact_count += 1
        self.commit()


def _number_in(record: ConsumedRecord) -> int:
    """Return the number that a fact's header tells."""
    raw = dict(record.headers() or ()).get(SEQUENCE_HEADER) or b""
    if not raw.isdigit() or len(raw) > _DIGITS:
        raise UndecodableRecord(
            f"header {SEQUENCE_HEADER} is {raw[:40].decode(errors='replace')!r}, not the number of a fact; nothing but "
            "its own service may write to a ledger"
        )
    return int(raw)


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

    def get(self, key: str) -> Any:
        return self._store.aggregate(self._layer.scoped(key), _StagedEntries(self._store, self._writes))

    def append(self, *facts: Event) -> None:
        entries = _StagedEntries(self._store, self._writes)
        for fact in facts:
            route = fact_route(self._routes, fact)
            key = self._layer.scoped(route.key_of(fact))
            numbered, number, headers = self._store.number(key, fact, entries)
            writes = self._store.apply_fact(key, numbered, number, entries)
            self._layer.stage(route, numbered, headers)  # it may refuse the fact, which then changes nothing
            if not self._fact_count:
                self._layer.staged.append(self)
                self._layer.checks.append(self._require_room)
            self._writes.update(writes)
            self._fact_count += 1

    def _require_room(self) -> None:
        """Check that a snapshot can hold each entry, so that the record that makes one too large is the one to fail.

        Facts are encoded already, entries are when a snapshot is taken.
        """
        for key, entry in self._writes.items():
            self._store.require_room(key, entry)

    def merge(self) -> None:
        self._store.batch.update(self._writes)
        self._store.batch_fact_count += self._fact_count
        self.discard()

    def discard(self) -> None:
        self._writes, self._fact_count = {}, 0
