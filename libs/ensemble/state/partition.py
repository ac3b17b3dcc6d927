"""All stores of one partition of a service."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from ensemble.messages.message import Command
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec, EventSourcedSpec, StateStoreSpec, StoreSpec
from ensemble.state.deduplication import SeenWindow, WindowLimits
from ensemble.state.event_log import EventLogStore
from ensemble.state.event_sourced import EventSourcedStore
from ensemble.state.keyed import KeyedStore
from ensemble.state.packed_map import PackedMap
from ensemble.state.parking import ParkingStore
from ensemble.state.pauses import PartitionPauses
from ensemble.state.rocks import RocksStore
from ensemble.state.store import Changelogged, Replayable, Store
from ensemble.state.timers import StagedTimers, TimerStore
from ensemble.state.unit_of_work import RecordLayer

OpenState = Callable[[StateStoreSpec, SchemaSourceSelector | None], KeyedStore[Any]]
"""Opens one partition of a state store."""


def open_in_memory(spec: StateStoreSpec, sources: SchemaSourceSelector | None) -> KeyedStore[Any]:
    """Return an empty store in memory, packed if that is declared, also for one that is declared to lie on disk."""
    store = KeyedStore[Any](spec.changelog_name, spec.types, sources)
    if spec.engine == "packed":
        store.committed = PackedMap()
    return store


class PartitionStores:
    """The stores of one partition, empty until they are restored."""

    def __init__(
        self,
        service: Service,
        window: WindowLimits,
        sources: SchemaSourceSelector | None = None,
        open_state: OpenState = open_in_memory,
    ) -> None:
        self.parking = ParkingStore(service.parked.name, sources)
        self.pauses = PartitionPauses(service.name, lambda command: _owner_of(service, command), self.parking)
        self.by_subject: dict[Any, Any] = {spec.subject: _open(spec, sources, open_state) for spec in service.stores}
        """The declared stores, by what a role's hint names: a state type, an aggregate, or the port `EventLog`."""
        self.timers = TimerStore(service.timers.name, sources, service.timer_names) if service.timers else None
        self.seen = SeenWindow(service.seen.name, window, sources) if service.seen else None

    def timers_for(self, layer: RecordLayer) -> StagedTimers:
        """Return the layer's `Timers` port."""
        timers = self.timers
        assert timers is not None, "a role with timers makes the service keep some"
        return cast("StagedTimers", layer.port(timers, lambda: StagedTimers(timers, layer)))

    @cached_property
    def all(self) -> list[Store]:
        """Every store, the runtime's own last."""
        own = (self.timers, self.seen, self.parking)
        return [*self.by_subject.values(), *(store for store in own if store is not None)]

    @cached_property
    def changelogged(self) -> list[Changelogged]:
        """The stores that have a changelog: all but the event log."""
        return [store for store in self.all if isinstance(store, KeyedStore | EventSourcedStore)]

    @cached_property
    def on_disk(self) -> list[RocksStore[Any]]:
        """The stores that lie on disk."""
        return [store for store in self.all if isinstance(store, RocksStore)]

    def close(self) -> None:
        """Let another process open what lies on disk."""
        for store in self.on_disk:
            store.close()

    @cached_property
    def replayable(self) -> list[Replayable]:
        """The stores that are rebuilt from a ledger."""
        return [store for store in self.all if isinstance(store, EventSourcedStore | EventLogStore)]


def _owner_of(service: Service, command: type[Command]) -> str:
    return service.catalogue.home(command, service.name).owner


def _open(spec: StoreSpec, sources: SchemaSourceSelector | None, open_state: OpenState) -> Store:
    match spec:
        case StateStoreSpec():
            return open_state(spec, sources)
        case EventSourcedSpec():
            return EventSourcedStore(spec, sources)
        case EventLogSpec():
            return EventLogStore(spec.ledger.name)
