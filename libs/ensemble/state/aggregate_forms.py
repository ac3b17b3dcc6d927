"""The two forms of an event-sourced aggregate: one state that `apply` folds, or many entries that `evolve` changes.

An entry's key is `<key>/<entry name>/<sub key>`. One state is the one entry of a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, cast

from ensemble.errors import TerminalError, UnreadableState
from ensemble.messages.message import Event, State
from ensemble.service.stores import EventSourcedSpec

Writes = dict[bytes, State | None]
"""New entries by key; None removes one."""

ONE_STATE: Final = b"/state/"
"""What the key of an aggregate's one state ends with."""


class Entries(Protocol):
    """A partition's entries and positions: as of the batch (the store itself), or as of one record in it."""

    def get(self, key: bytes) -> Any:
        """Return the entry, or None."""

    def possible_keys(self) -> Iterable[bytes]:
        """Return the keys of all entries, some twice, and some whose entry `get` no longer returns."""


class AggregateForm(Protocol):
    """Reads an aggregate from its entries, and folds a fact into them."""

    numbers_facts: bool
    """Whether the runtime fills a fact's field `sequence`; else the aggregate does."""

    def read(self, key: bytes, sequence: int, entries: Entries) -> Any:
        """Return the aggregate of `key` after `sequence` facts."""

    def fold(self, key: bytes, sequence: int, fact: Event, entries: Entries) -> Writes:
        """Return the entries that `fact`, the one behind `sequence` others, changes. Raises what the aggregate does."""

    def require_own(self, key: bytes, entries: Mapping[bytes, Any]) -> None:
        """Raise UnreadableState if the entries of `key`, as restored from a snapshot, are of the other form."""


class OneState:
    """An aggregate that is a state: `apply(event)` returns the next one. Without facts it has its defaults."""

    numbers_facts = True

    def __init__(self, aggregate: type) -> None:
        self._aggregate, self._empty = aggregate, cast("State", aggregate())

    def read(self, key: bytes, sequence: int, entries: Entries) -> Any:  # noqa: ARG002  the number is the runtime's
        state = entries.get(key + ONE_STATE)
        return self._empty if state is None else state

    def fold(self, key: bytes, sequence: int, fact: Event, entries: Entries) -> Writes:
        state = self.read(key, sequence, entries).apply(fact)
        if not isinstance(state, self._aggregate):
            name = self._aggregate.__name__
            raise TerminalError(
                f"{name}.apply({type(fact).__name__}) returned {type(state).__name__}; it has to return the {name} "
                "after the event"
            )
        return {key + ONE_STATE: cast("State", state)}

    def require_own(self, key: bytes, entries: Mapping[bytes, Any]) -> None:
        if key + ONE_STATE not in entries:
            raise _other_form(self._aggregate, key)


class ManyEntries:
    """An aggregate over entries of its own keys: `evolve(fact)` returns those that change."""

    numbers_facts = False

    def __init__(self, aggregate: type, names: Iterable[str]) -> None:
        self._aggregate, self._names = aggregate, tuple(names)

    def read(self, key: bytes, sequence: int, entries: Entries) -> Any:
        views = {name: EntryView(entries, key + b"/" + name.encode() + b"/") for name in self._names}
        return self._aggregate(key.decode(), sequence, **views)

    def fold(self, key: bytes, sequence: int, fact: Event, entries: Entries) -> Writes:
        changes = self.read(key, sequence, entries).evolve(fact)
        return {b"/".join((key, name.encode(), sub_key.encode())): state for (name, sub_key), state in changes.items()}

    def require_own(self, key: bytes, entries: Mapping[bytes, Any]) -> None:
        if key + ONE_STATE in entries and "state" not in self._names:
            raise _other_form(self._aggregate, key)


def form_of(spec: EventSourcedSpec) -> AggregateForm:
    """Return the form that the declaration chose."""
    return OneState(spec.subject) if spec.is_one_state else ManyEntries(spec.subject, spec.entries)


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


def _other_form(aggregate: type, key: bytes) -> UnreadableState:
    name = aggregate.__name__
    return UnreadableState(
        f"the snapshot of {name} {key.decode(errors='replace')!r} was written when {name} had another form "
        "(`apply` or `entries=`): give the class a new name, so that it has a new changelog and is folded from its "
        "ledger once more"
    )
