"""Event sourcing: an aggregate's entries are the fold of its ledger, with a snapshot of what changed now and then.

A snapshot is changelog records of single entries plus one `LedgerPosition` for each key, in the batch's own
transaction. Restoring reads the changelog, then the ledger from the latest offset a position names: the snapshot that
wrote it had everything before. Facts that a snapshot already holds are known by their sequence number. So a snapshot
may be taken at any time and may be old, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from ensemble.errors import TerminalError, UndeclaredOutput
from ensemble.messages.message import Event, State
from ensemble.messages.schema_set import SchemaSources
from ensemble.service.stores import EventSourcedSpec
from ensemble.state.keyed import StateCodec
from ensemble.state.unit_of_work import Change, Layer, OutputRoute
from ensemble.system_messages.state import LedgerPosition

E = TypeVar("E", bound=Event)
Writes = dict[bytes, State | None]
_MISSING: Final = object()


class Aggregate(Protocol):
    """What `event_sourced` asks of an aggregate: pure, made anew for each read."""

    def evolve(self, fact: Any) -> Mapping[tuple[str, str], State | None]:
        """The entries that `fact` changes, by (entry name, sub key); None removes one."""


class Entries(Protocol):
    """Entries as somebody sees them: committed, of this batch, and of the record in hand."""

    def get(self, key: bytes) -> Any:
        """The entry, or None."""

    def known(self) -> Iterable[bytes]:
        """Those there may be; `get` knows which of them are gone."""


class EntryView(Mapping[str, Any]):
    """The entries of one name under one key, read through on demand. Iterating looks at every key of the partition."""

    def __init__(self, entries: Entries, prefix: bytes) -> None:
        self._entries, self._prefix = entries, prefix

    def __getitem__(self, name: str) -> Any:
        found = self._entries.get(self._prefix + name.encode())
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        known = dict.fromkeys(key for key in self._entries.known() if key.startswith(self._prefix))
        return (key[len(self._prefix) :].decode() for key in known if self._entries.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class LedgerStore:
    """One partition's aggregates of one kind."""

    def __init__(self, spec: EventSourcedSpec, sources: SchemaSources | None = None) -> None:
        self.changelog, self.ledger = spec.changelog_name, spec.ledger.name
        self.ledger_end = 0
        """An offset of the ledger behind which nothing unknown lies: what was delivered and committed."""
        self._make, self._entry_types, self._every = spec.subject, spec.entries, spec.snapshot_every
        self._codec = StateCodec(self.changelog, [*spec.entries.values(), LedgerPosition], sources)
        self.types, self.ensure_schema_known = self._codec.types, self._codec.ensure_schema_known
        self._live: dict[bytes, State | bytes] = {}
        self._dirty: set[bytes] = set()
        self._facts = 0
        self._taking = False
        self.batch: Writes = {}
        self.batch_facts = 0

    def get(self, key: bytes) -> Any:
        """The entry of this batch, or None."""
        if key in self.batch:
            return self.batch[key]
        held = self._live.get(key)
        if isinstance(held, bytes):
            held = self._live[key] = self._codec.decode(key, held)
        return held

    def known(self) -> Iterable[bytes]:
        return (*self._live, *self.batch)

    def aggregate(self, key: bytes, entries: Entries) -> Any:
        """The aggregate of `key` as `entries` has it."""
        views = {name: EntryView(entries, key + b"/" + name.encode() + b"/") for name in self._entry_types}
        return self._make(key.decode(), self.sequence(key, entries), **views)

    def sequence(self, key: bytes, entries: Entries) -> int:
        """The sequence number of the key's last fact, 0 before the first."""
        position = entries.get(key)
        return position.sequence if position is not None else 0

    def fold_fact(self, key: bytes, fact: Any, entries: Entries) -> Writes:
        """The writes that `fact` means; TerminalError when its sequence leaves a gap."""
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
        """Nothing, until enough facts have come: then everything changed since the last snapshot."""
        self._taking = self._facts + self.batch_facts >= self._every
        if not self._taking:
            return []
        return [(key, self._codec.encode(self._stamped(self.get(key)))) for key in self._dirty | self.batch.keys()]

    def _stamped(self, state: Any) -> State | None:
        """A position takes the ledger offset known now."""
        return state.model_copy(update={"offset": self.ledger_end}) if isinstance(state, LedgerPosition) else state

    def fold(self) -> None:
        self._facts += self.batch_facts
        self._dirty |= self.batch.keys()
        if self._taking:
            self._facts, self._dirty = 0, set()
        for key, state in self.batch.items():
            if state is None:
                self._live.pop(key, None)
            else:
                self._live[key] = state
        self.drop()

    def drop(self) -> None:
        self.batch, self.batch_facts, self._taking = {}, 0, False

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._live.pop(key, None)
        else:
            self._live[key] = value

    def size(self) -> int:
        return len(self._live)

    def replay_from(self) -> int:
        """Once the changelog is read: the ledger offset from which facts have to be folded."""
        positions = [self.get(key) for key in list(self._live) if b"/" not in key]
        self.ledger_end = max((position.offset for position in positions), default=0)
        return self.ledger_end

    def replay(self, key: bytes, fact: Any) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it."""
        if fact.sequence <= self.sequence(key, self):
            return
        self.batch.update(self.fold_fact(key, fact, self))
        self.batch_facts += 1
        self.fold()


def _route(routes: Mapping[type, OutputRoute], fact: Event) -> OutputRoute:
    route = routes.get(type(fact))
    if route is None:
        raise UndeclaredOutput(
            f"{type(fact).__name__} is no fact of this ledger; it holds "
            f"{', '.join(sorted(kind.__name__ for kind in routes))}"
        )
    return route


class _Staged:
    """A store's entries under one record's own writes."""

    def __init__(self, store: LedgerStore, writes: Writes) -> None:
        self._store, self._writes = store, writes

    def get(self, key: bytes) -> Any:
        found = self._writes.get(key, _MISSING)
        return self._store.get(key) if found is _MISSING else found

    def known(self) -> Iterable[bytes]:
        return (*self._store.known(), *self._writes)


class StagedAggregate:
    """`EventSourced[A]` for one layer."""

    def __init__(self, store: LedgerStore, layer: Layer, routes: Mapping[type, OutputRoute]) -> None:
        self._store, self._layer, self._routes = store, layer, routes
        self._writes: Writes = {}
        self._facts = 0
        layer.staged.append(self)

    def get(self, key: str) -> Any:
        return self._store.aggregate(self._layer.scoped(key), _Staged(self._store, self._writes))

    def append(self, key: str, facts: Iterable[Event]) -> None:
        raw, seen = self._layer.scoped(key), _Staged(self._store, self._writes)
        for fact in facts:
            self._writes.update(self._store.fold_fact(raw, fact, seen))
            self._layer.stage(_route(self._routes, fact), fact)
            self._facts += 1

    def seal(self) -> None:
        """Entries are encoded when a snapshot is taken; the facts already are."""

    def fold(self) -> None:
        if self._facts:
            self._store.batch.update(self._writes)
            self._store.batch_facts += self._facts
            self.drop()

    def drop(self) -> None:
        self._writes, self._facts = {}, 0


class FactStore:
    """One partition of an event log: the whole history of each key. It has no changelog, the ledger is one."""

    changelog, types = "", ()

    def __init__(self, ledger: str) -> None:
        self.ledger, self.ledger_end = ledger, 0
        self._facts: dict[bytes, list[Event]] = {}
        self.batch: dict[bytes, list[Event]] = {}

    def facts(self, key: bytes) -> list[Event]:
        return self._facts.get(key, []) + self.batch.get(key, [])

    def changes(self) -> Sequence[Change]:
        return ()

    def fold(self) -> None:
        for key, facts in self.batch.items():
            self._facts.setdefault(key, []).extend(facts)
        self.drop()

    def drop(self) -> None:
        self.batch = {}

    def ensure_schema_known(self, value: bytes) -> None:
        """There is no changelog to ensure_schema_known from."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Nothing is ever written to a changelog."""

    def size(self) -> int:
        return len(self._facts)

    def replay_from(self) -> int:
        return 0

    def replay(self, key: bytes, fact: Event) -> None:
        self._facts.setdefault(key, []).append(fact)


class StagedLog:
    """The `EventLog` port for one layer."""

    def __init__(self, store: FactStore, layer: Layer, routes: Mapping[type, OutputRoute]) -> None:
        self._store, self._layer, self._routes = store, layer, routes
        self._appended: list[tuple[bytes, Event]] = []
        layer.staged.append(self)

    def get_events(self, key: str, *types: type[E]) -> Sequence[E]:
        raw = self._layer.scoped(key)
        history = self._store.facts(raw) + [fact for owner, fact in self._appended if owner == raw]
        return [fact for fact in history if not types or isinstance(fact, types)]  # type: ignore[misc]  # the filter is the cast

    def append(self, key: str, *facts: Event) -> None:
        raw = self._layer.scoped(key)
        for fact in facts:
            self._layer.stage(_route(self._routes, fact), fact)
            self._appended.append((raw, fact))

    def seal(self) -> None:
        """The facts are encoded as they are appended."""

    def fold(self) -> None:
        for key, fact in self._appended:
            self._store.batch.setdefault(key, []).append(fact)
        self.drop()

    def drop(self) -> None:
        self._appended = []
