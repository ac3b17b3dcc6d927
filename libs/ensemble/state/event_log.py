"""Event log: the whole history of each key, in memory, rebuilt from its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ensemble.errors import UndeclaredOutput
from ensemble.messages.message import Event, State
from ensemble.state.store import Change
from ensemble.state.unit_of_work import OutputRoute, RecordLayer

E = TypeVar("E", bound=Event)


class EventLogStore:
    """One partition of an event log. It has no changelog: the ledger holds everything."""

    changelog: str = ""
    types: tuple[type[State], ...] = ()

    def __init__(self, ledger: str) -> None:
        self.ledger, self.ledger_end = ledger, 0
        self._facts: dict[bytes, list[Event]] = {}
        self.batch: dict[bytes, list[Event]] = {}

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def facts(self, key: bytes) -> list[Event]:
        """Return the facts of `key`, in order, those of this batch included."""
        return self._facts.get(key, []) + self.batch.get(key, [])

    def changes(self) -> Sequence[Change]:
        return ()

    def changed_keys(self) -> list[bytes]:
        return []

    def fold(self) -> None:
        for key, facts in self.batch.items():
            self._facts.setdefault(key, []).extend(facts)
        self.drop()

    def drop(self) -> None:
        self.batch = {}

    def ensure_schema_known(self, value: bytes) -> None:
        """Do nothing: there is no changelog."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Do nothing: there is no changelog."""

    def restored(self) -> None:
        """Do nothing: the facts are all there is."""

    def size(self) -> int:
        return len(self._facts)

    def replay_from(self) -> int:
        return 0

    def replay(self, key: bytes, fact: Event) -> None:
        self._facts.setdefault(key, []).append(fact)


class StagedEventLog:
    """The `EventLog` port of one record layer."""

    def __init__(self, store: EventLogStore, layer: RecordLayer, routes: Mapping[type, OutputRoute]) -> None:
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
            self._layer.stage(route_of(self._routes, fact), fact)
            self._appended.append((raw, fact))

    def seal(self) -> None:
        """Do nothing: facts are encoded as they are appended."""

    def fold(self) -> None:
        for key, fact in self._appended:
            self._store.batch.setdefault(key, []).append(fact)
        self.drop()

    def drop(self) -> None:
        self._appended = []


def route_of(routes: Mapping[type, OutputRoute], fact: Event) -> OutputRoute:
    """Return where a ledger's fact goes. Raises UndeclaredOutput if the ledger does not hold its type."""
    route = routes.get(type(fact))
    if route is None:
        raise UndeclaredOutput(
            f"{type(fact).__name__} is no fact of this ledger; it holds "
            f"{', '.join(sorted(kind.__name__ for kind in routes))}"
        )
    return route
