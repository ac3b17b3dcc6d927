"""Everything that one partition of a service keeps."""

from __future__ import annotations

from typing import Any, cast

from ensemble.messages.message import Command
from ensemble.messages.schema_set import SchemaSources
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec, EventSourcedSpec, StateStoreSpec, StoreSpec
from ensemble.state.deduplication import SeenWindow, WindowLimits
from ensemble.state.event_sourced import FactStore, LedgerStore
from ensemble.state.keyed import Changelogged, PartitionStore
from ensemble.state.parking import ParkingStore
from ensemble.state.pauses import PauseBoard
from ensemble.state.timers import StagedTimers, TimerStore
from ensemble.state.unit_of_work import Layer


class PartitionStores:
    """The stores of one partition, by what the roles' hints name."""

    def __init__(self, service: Service, window: WindowLimits, sources: SchemaSources | None = None) -> None:
        self.parking = ParkingStore(service.parked.name, sources)
        self.pauses = PauseBoard(lambda command: _owner_of(service, command), self.parking)
        self.by_subject: dict[Any, Any] = {}
        for spec in service.stores:
            self.by_subject[spec.subject] = _open(spec, sources)
        self.timers = TimerStore(service.timers.name, sources) if service.timers else None
        self.seen = SeenWindow(service.seen.name, window, sources) if service.seen else None

    def timers_for(self, layer: Layer) -> StagedTimers:
        """The layer's `Timers` port."""
        timers = self.timers
        assert timers is not None, "a role with timers makes the service keep some"
        return cast("StagedTimers", layer.port(timers, lambda: StagedTimers(timers, layer)))

    @property
    def all(self) -> list[Changelogged]:
        own = (self.timers, self.seen, self.parking)
        return [*self.by_subject.values(), *(store for store in own if store is not None)]


def _owner_of(service: Service, command: type[Command]) -> str:
    return service.catalogue.home(command, service.name).owner


def _open(spec: StoreSpec, sources: SchemaSources | None) -> Any:
    match spec:
        case StateStoreSpec():
            return PartitionStore(spec.changelog_name, [spec.subject], sources)
        case EventSourcedSpec():
            return LedgerStore(spec, sources)
        case EventLogSpec():
            return FactStore(spec.ledger.name)
