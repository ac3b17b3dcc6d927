"""Keyed state of one partition: committed bytes, the batch over them, and each record's own writes on top.

Bytes stay bytes until they are read, so a restore costs no decoding; states in use are kept decoded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final, Generic, TypeVar, overload

from ensemble.messages.message import State
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.state.key_tree import KeyTree, is_below
from ensemble.state.state_codec import StateCodec
from ensemble.state.store import Change
from ensemble.state.unit_of_work import RecordLayer

S = TypeVar("S", bound=State)
_DECODED_BYTES: Final = 2_000_000
"""So many bytes of states one partition of a store keeps decoded as well.

Decoded they take some fifteen times as much, and each is objects that the collector of garbage looks at all at once.
"""
_STATE_BYTES: Final = 100
"""What each of them counts beside its bytes: the least that it takes."""


class KeyedStore(Generic[S]):
    """One partition of one state store."""

    def __init__(
        self,
        changelog: str,
        types: Iterable[type[State]],
        sources: SchemaSourceSelector | None = None,
        limit: int = MAX_RECORD_BYTES,
    ) -> None:
        self.changelog = changelog
        self.codec = StateCodec(changelog, types, sources, limit)
        self.committed: MutableMapping[bytes, bytes] = {}
        self.batch: dict[bytes, tuple[S | None, bytes | None]] = {}
        """What the batch has written: the state and its bytes; both None remove the key."""
        self._decoded: OrderedDict[bytes, tuple[S, int]] = OrderedDict()
        """Committed states that are kept decoded, with what they count, in the order in which they came."""
        self._decoded_bytes = 0
        self._tree: KeyTree | None = None
        """The committed keys; made when those below one are first asked for."""

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def get(self, key: bytes) -> S | None:
        """Return the state as of this batch, or None."""
        if key in self.batch:
            return self.batch[key][0]
        entry = self._decoded.get(key)
        if entry is not None:
            return entry[0]
        value = self.committed.get(key)
        return None if value is None else self._decode(key, value)

    def keys_below(self, key: bytes) -> set[bytes]:
        """Return the keys `<key>/...` as of this batch. The first call looks at every key of the partition."""
        if self._tree is None:
            self._tree = KeyTree(self.committed)
        keys = self._tree.below(key).union(other for other in self.batch if is_below(other, key))
        return {other for other in keys if other not in self.batch or self.batch[other][0] is not None}

    def _decode(self, key: bytes, value: bytes) -> S:
        state: S = self.codec.decode(key, value)
        self._keep_decoded(key, state, value)
        self._forget_oldest()
        return state

    def _keep_decoded(self, key: bytes, state: S, value: bytes) -> None:
        earlier, size = self._decoded.get(key), len(value) + _STATE_BYTES
        self._decoded_bytes += size if earlier is None else size - earlier[1]
        self._decoded[key] = state, size

    def _forget_decoded(self, key: bytes) -> None:
        if (entry := self._decoded.pop(key, None)) is not None:
            self._decoded_bytes -= entry[1]

    def _forget_oldest(self) -> None:
        """Keep no more decoded than the limit: a state in use that goes is decoded once more, and is the newest."""
        while self._decoded_bytes > _DECODED_BYTES:
            _, (_, size) = self._decoded.popitem(last=False)
            self._decoded_bytes -= size

    def changes(self) -> Sequence[Change]:
        return [(key, value) for key, (_, value) in self.batch.items()]

    def changed_keys(self) -> list[bytes]:
        return [key for key, (_, value) in self.batch.items() if self.committed.get(key) != value]

    def commit(self) -> None:
        if not self.batch:
            return
        committed, tree = self.committed, self._tree
        for key, (state, value) in self.batch.items():
            if value is None or state is None:
                committed.pop(key, None)
                self._forget_decoded(key)
                if tree is not None:
                    tree.discard(key)
            else:
                committed[key] = value
                self._keep_decoded(key, state, value)
                if tree is not None:
                    tree.add(key)
        self.batch.clear()
        self._forget_oldest()

    def abort(self) -> None:
        self.batch.clear()

    def ensure_schema_known(self, value: bytes) -> None:
        self.codec.ensure_schema_known(value)

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.committed.pop(key, None)
        else:
            self.committed[key] = value

    def finish_restore(self) -> None:
        """Do nothing: states are decoded when they are read."""

    def size(self) -> int:
        return len(self.committed)


class StagedState(Generic[S]):
    """The `StateStore[S]` port of one record layer: reads go through to the batch, writes stay here until `merge`.

    A state is encoded when it is set, so that the record which sets one that cannot be kept is the one that fails.
    """

    __slots__ = ("_encode", "_layer", "_store", "_writes")

    def __init__(self, store: KeyedStore[S], layer: RecordLayer) -> None:
        self._store, self._layer, self._encode = store, layer, store.codec.encode
        self._writes: dict[bytes, tuple[S | None, bytes | None]] = {}
        """As `KeyedStore.batch` has them."""

    @overload
    def get(self, key: str) -> S | None: ...
    @overload
    def get(self, key: str, default: S) -> S: ...
    def get(self, key: str, default: S | None = None) -> S | None:
        layer, writes, raw_key = self._layer, self._writes, key.encode()
        if raw_key != layer.key:
            layer.require_scope(raw_key)
        state = writes[raw_key][0] if raw_key in writes else self._store.get(raw_key)
        return default if state is None else state

    def items(self, prefix: str) -> Sequence[tuple[str, S]]:
        raw, own = self._layer.scoped(prefix), self._layer.key
        below = {*self._store.keys_below(own), *filter(lambda key: is_below(key, own), self._writes)}
        keys = [*([own] if raw == own else []), *sorted(key for key in below if key.startswith(raw))]
        states = ((key.decode(), self.get(key.decode())) for key in keys)
        return [(key, state) for key, state in states if state is not None]

    def set(self, key: str, state: S) -> None:
        layer, raw_key = self._layer, key.encode()
        if raw_key != layer.key:
            layer.require_scope(raw_key)
        value = self._encode(state, raw_key)
        if not self._writes:
            layer.staged.append(self)
        self._writes[raw_key] = (state, value)

    def delete(self, key: str) -> None:
        raw_key = self._layer.scoped(key)
        if not self._writes:
            self._layer.staged.append(self)
        self._writes[raw_key] = (None, None)

    def merge(self) -> None:
        self._store.batch.update(self._writes)
        self._writes.clear()

    def discard(self) -> None:
        self._writes.clear()
