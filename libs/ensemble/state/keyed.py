"""Keyed state of one partition: committed bytes, the batch over them, and each record's own writes on top.

Bytes stay bytes until they are touched, so a restore costs no decoding; decoded values are kept while they are hot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from ensemble.errors import OversizedOutput, UndecodableRecord, UnreadableState
from ensemble.messages.codec import encoder_for, reader_for_new_schema, readers_for
from ensemble.messages.message import State
from ensemble.messages.schema_set import FileSchemaSources, SchemaSources
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.state.unit_of_work import Change, Layer

S = TypeVar("S", bound=State)
_MISSING: Final = object()
_HOT_LIMIT: Final = 20_000


class Changelogged(Protocol):
    """What the commit and the restore need of a store."""

    @property
    def changelog(self) -> str: ...
    @property
    def types(self) -> tuple[type[State], ...]:
        """What its changelog holds."""

    def ensure_schema_known(self, value: bytes) -> None:
        """Before a record is restored: look its schema up if it came up after start. May raise SchemasUnavailable."""

    def changes(self) -> Sequence[Change]:
        """The changelog records of this batch, one for each key."""

    def fold(self) -> None:
        """The batch is committed: it becomes the truth."""

    def drop(self) -> None:
        """The batch is gone."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record, while the partition is being assigned."""

    def size(self) -> int:
        """How many committed entries there are."""


class StateCodec:
    """Encodes and decodes the state types of one changelog."""

    limit = MAX_RECORD_BYTES

    def __init__(self, changelog: str, types: Iterable[type[State]], sources: SchemaSources | None = None) -> None:
        self._changelog, self.types, self._sources = changelog, tuple(types), sources or FileSchemaSources()
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._readers: dict[bytes, Callable[[bytes], Any]] = {}
        for state in self.types:
            source = self._sources.on(changelog, state.__schemas__)
            self._encoders[state] = encoder_for(state, source)
            self._readers.update(readers_for(state, source))

    def ensure_schema_known(self, value: bytes) -> None:
        """Look the schema of this value up if it came up after start. May raise SchemasUnavailable."""
        prefix = value[:5]
        if prefix not in self._readers and (found := reader_for_new_schema(prefix, self.types, self._sources)):
            self._readers[prefix] = found[1]

    def encode(self, state: State | None) -> bytes | None:
        """The changelog record's value; OversizedOutput when the topic would not take it."""
        if state is None:
            return None
        value = self._encoders[type(state)](state)
        if len(value) > self.limit:
            raise OversizedOutput(f"{type(state).__name__} takes {len(value)} bytes, the limit is {self.limit}")
        return value

    def decode(self, key: bytes, value: bytes) -> Any:
        """The state; UnreadableState stops the process, for any decision without it could be wrong."""
        reader = self._readers.get(value[:5])
        if reader is None:
            raise UnreadableState(
                f"changelog {self._changelog}, key {key.decode(errors='replace')!r}: schema {value[:5].hex()} "
                "is none that this service can read; was it written by a newer release, or under a registry's id "
                "while SCHEMA_REGISTRY_URL is not set?"
            )
        try:
            return reader(value)
        except UndecodableRecord as error:
            raise UnreadableState(
                f"changelog {self._changelog}, key {key.decode(errors='replace')!r}: {error}"
            ) from error


class PartitionStore(Generic[S]):
    """One partition of one state store."""

    def __init__(self, changelog: str, types: Iterable[type[State]], sources: SchemaSources | None = None) -> None:
        self.changelog = changelog
        self.codec = StateCodec(changelog, types, sources)
        self.types, self.ensure_schema_known = self.codec.types, self.codec.ensure_schema_known
        self.committed: dict[bytes, bytes] = {}
        self.batch: dict[bytes, tuple[S | None, bytes | None]] = {}
        self._hot: dict[bytes, S] = {}

    def get(self, key: bytes) -> S | None:
        """The state as of this batch."""
        if key in self.batch:
            return self.batch[key][0]
        hot = self._hot.get(key)
        if hot is not None:
            return hot
        raw = self.committed.get(key)
        return None if raw is None else self._warm(key, raw)

    def _warm(self, key: bytes, raw: bytes) -> S:
        if len(self._hot) >= _HOT_LIMIT:
            self._hot.clear()
        state: S = self.codec.decode(key, raw)
        self._hot[key] = state
        return state

    def changes(self) -> Sequence[Change]:
        return [(key, change[1]) for key, change in self.batch.items()]

    def fold(self) -> None:
        for key, (state, raw) in self.batch.items():
            if raw is None or state is None:
                self.committed.pop(key, None)
                self._hot.pop(key, None)
            else:
                self.committed[key] = raw
                self._hot[key] = state
        self.batch.clear()
        if len(self._hot) > _HOT_LIMIT:
            self._hot.clear()

    def drop(self) -> None:
        self.batch.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.committed.pop(key, None)
        else:
            self.committed[key] = value

    def size(self) -> int:
        return len(self.committed)


class StagedState(Generic[S]):
    """`StateStore[S]` for one layer: reads through to the batch, writes stay here until folded."""

    __slots__ = ("_layer", "_sealed", "_store", "_writes")

    def __init__(self, store: PartitionStore[S], layer: Layer) -> None:
        self._store, self._layer = store, layer
        self._writes: dict[bytes, S | None] = {}
        self._sealed: dict[bytes, tuple[S | None, bytes | None]] = {}
        layer.staged.append(self)

    def get(self, key: str) -> S | None:
        raw = self._layer.scoped(key)
        found = self._writes.get(raw, _MISSING) if self._writes else _MISSING
        return self._store.get(raw) if found is _MISSING else found  # type: ignore[return-value]  # the sentinel is gone

    def set(self, key: str, state: S) -> None:
        self._writes[self._layer.scoped(key)] = state

    def delete(self, key: str) -> None:
        self._writes[self._layer.scoped(key)] = None

    def seal(self) -> None:
        encode = self._store.codec.encode
        for key, state in self._writes.items():
            self._sealed[key] = (state, encode(state))

    def fold(self) -> None:
        if self._sealed:
            self._store.batch.update(self._sealed)
            self._sealed.clear()
            self._writes.clear()

    def drop(self) -> None:
        self._writes.clear()
        self._sealed.clear()
