"""Keyed state of one partition: committed bytes, the batch over them, and each record's own writes on top.

Bytes stay bytes until they are read, so a restore costs no decoding; states in use are kept decoded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from ensemble.errors import OversizedOutput, UndecodableRecord, UnreadableState
from ensemble.messages.codec import decoder_for_new_schema, decoders_for, encoder_for
from ensemble.messages.message import State
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.state.store import Change
from ensemble.state.unit_of_work import RecordLayer

S = TypeVar("S", bound=State)
_MISSING: Final = object()
_DECODED_LIMIT: Final = 20_000
"""Decoded states that one partition of a store keeps beside their bytes."""


class StateCodec:
    """Encodes and decodes the state types of one changelog."""

    limit = MAX_RECORD_BYTES

    def __init__(
        self, changelog: str, types: Iterable[type[State]], sources: SchemaSourceSelector | None = None
    ) -> None:
        self._changelog, self.types, self._sources = changelog, tuple(types), sources or DirectorySourceSelector()
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._readers: dict[bytes, Callable[[bytes], Any]] = {}
        for state in self.types:
            source = self._sources.source_for(changelog, state.__schemas__)
            self._encoders[state] = encoder_for(state, source)
            self._readers.update(decoders_for(state, source))

    def ensure_schema_known(self, value: bytes) -> None:
        """Look up the schema of this value if it came up after start. May raise SchemasUnavailable."""
        prefix = value[:5]
        if prefix not in self._readers and (new := decoder_for_new_schema(prefix, self.types, self._sources)):
            self._readers[prefix] = new[1]

    def encode(self, state: State | None) -> bytes | None:
        """Return the changelog record's value. Raises OversizedOutput if the topic would not take it."""
        if state is None:
            return None
        value = self._encoders[type(state)](state)
        if len(value) > self.limit:
            raise OversizedOutput(f"{type(state).__name__} takes {len(value)} bytes, the limit is {self.limit}")
        return value

    def decode(self, key: bytes, value: bytes) -> Any:
        """Return the state. Raises UnreadableState, which stops the process: a decision without it could be wrong."""
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


class KeyedStore(Generic[S]):
    """One partition of one state store."""

    def __init__(
        self, changelog: str, types: Iterable[type[State]], sources: SchemaSourceSelector | None = None
    ) -> None:
        self.changelog = changelog
        self.codec = StateCodec(changelog, types, sources)
        self.types, self.ensure_schema_known = self.codec.types, self.codec.ensure_schema_known
        self.committed: dict[bytes, bytes] = {}
        self.batch: dict[bytes, tuple[S | None, bytes | None]] = {}
        self._decoded: OrderedDict[bytes, S] = OrderedDict()

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def get(self, key: bytes) -> S | None:
        """Return the state as of this batch, or None."""
        if key in self.batch:
            return self.batch[key][0]
        state = self._decoded.get(key)
        if state is not None:
            return state
        raw = self.committed.get(key)
        return None if raw is None else self._decode(key, raw)

    def _decode(self, key: bytes, raw: bytes) -> S:
        state: S = self.codec.decode(key, raw)
        self._keep_decoded(key, state)
        return state

    def _keep_decoded(self, key: bytes, state: S) -> None:
        """Put the state at the end of the line; the one that was decoded or written longest ago makes room."""
        self._decoded[key] = state
        self._decoded.move_to_end(key)
        if len(self._decoded) > _DECODED_LIMIT:
            self._decoded.popitem(last=False)

    def changes(self) -> Sequence[Change]:
        return [(key, change[1]) for key, change in self.batch.items()]

    def changed_keys(self) -> list[bytes]:
        return [key for key, value in self.changes() if self.committed.get(key) != value]

    def fold(self) -> None:
        for key, (state, raw) in self.batch.items():
            if raw is None or state is None:
                self.committed.pop(key, None)
                self._decoded.pop(key, None)
            else:
                self.committed[key] = raw
                self._keep_decoded(key, state)
        self.batch.clear()

    def drop(self) -> None:
        self.batch.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.committed.pop(key, None)
        else:
            self.committed[key] = value

    def restored(self) -> None:
        """Do nothing: states are decoded when they are read."""

    def size(self) -> int:
        return len(self.committed)


class StagedState(Generic[S]):
    """The `StateStore[S]` port of one record layer: reads go through to the batch, writes stay here until `fold`."""

    __slots__ = ("_layer", "_sealed", "_store", "_writes")

    def __init__(self, store: KeyedStore[S], layer: RecordLayer) -> None:
        self._store, self._layer = store, layer
        self._writes: dict[bytes, S | None] = {}
        self._sealed: dict[bytes, tuple[S | None, bytes | None]] = {}
        layer.staged.append(self)

    def get(self, key: str) -> S | None:
        raw = self._layer.scoped(key)
        state = self._writes.get(raw, _MISSING) if self._writes else _MISSING
        return self._store.get(raw) if state is _MISSING else state  # type: ignore[return-value]  # the sentinel is gone

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
