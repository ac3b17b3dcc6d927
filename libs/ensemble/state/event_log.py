"""Event log: the whole history of each key, in memory, rebuilt from its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ensemble.messages.message import Event
from ensemble.messages.records import ConsumedRecord
from ensemble.state.unit_of_work import OutputRoute, RecordLayer, fact_route

E = TypeVar("E", bound=Event)


class EventLogStore:
    """One partition of an event log. It has no changelog: the ledger holds everything."""

    def __init__(self, ledger: str) -> None:
        self.ledger, self.ledger_end = ledger, 0
        self._facts: dict[bytes, list[Event]] = {}
        self.batch: dict[bytes, list[Event]] = {}
        """The facts that this batch appends, by key."""

    @property
    def is_dirty(self) -> bool:
        return bool(self.batch)

    def facts(self, key: bytes) -> list[Event]:
        """Return the facts of `key`, in order, those of this batch included."""
        return self._facts.get(key, []) + self.batch.get(key, [])

    def commit(self) -> None:
        for key, facts in self.batch.items():
            self._facts.setdefault(key, []).extend(facts)
        self.batch = {}

    def abort(self) -> None:
        self.batch = {}

    def finish_restore(self) -> None:
        """Do nothing: facts need no index."""

    def size(self) -> int:
        return len(self._facts)

    def replay_from(self) -> int:
        """Return 0: there are no snapshots."""
        return 0

    def replay(self, key: bytes, fact: Event, _: ConsumedRecord) -> None:
        self._facts.setdefault(key, []).append(fact)


class StagedEventLog:
    """The `EventLog` port of one record layer."""

    def __init__(self, store: EventLogStore, layer: RecordLayer, routes: Mapping[type, OutputRoute]) -> None:
        self._store, self._layer, self._routes = store, layer, routes
        self._appended: list[tuple[bytes, Event]] = []

    def get_events(self, key: str, *types: type[E]) -> Sequence[E]:
        raw_key = self._layer.scoped(key)
        history = self._store.facts(raw_key) + [fact for appended_to, fact in self._appended if appended_to == raw_key]
        return [fact for fact in history if not types or isinstance(fact, types)]  # type: ignore[misc]  # the filter is the cast

    def append(self, *facts: Event) -> None:
        for fact in facts:
            route = fact_route(self._routes, fact)
            key = self._layer.scoped(route.key_of(fact))
            self._layer.stage(route, fact)
            if not self._appended:
                self._layer.staged.append(self)
            self._appended.append((key, fact))

    def merge(self) -> None:
        for key, fact in self._appended:
            self._store.batch.setdefault(key, []).append(fact)
        self._appended = []

    def discard(self) -> None:
        self._appended = []
