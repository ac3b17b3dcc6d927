"""Roles with their ports bound to a record layer: buses that stage, stores that read through to the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ensemble.engine.interception import InterceptedTimers, Interception
from ensemble.engine.routes import source_of
from ensemble.errors import ConfigurationError, UndeclaredOutput
from ensemble.messages.message import Message
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service import ports
from ensemble.service.catalogue import Topic
from ensemble.service.roles import RoleDescription, RoleSpec, port_of, state_of, type_arguments
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec
from ensemble.state.event_log import StagedEventLog
from ensemble.state.event_sourced import StagedEventSourced
from ensemble.state.keyed import StagedState
from ensemble.state.partition import PartitionStores
from ensemble.state.unit_of_work import OutputRoute, RecordLayer, output_route

BUSES = (ports.EventBus, ports.CommandBus)
BusRoutes = Mapping[type, OutputRoute]


class StagedBus:
    """`EventBus` and `CommandBus` for one layer: a declared message is encoded and staged, any other is refused."""

    __slots__ = ("_layer", "_routes")

    def __init__(self, layer: RecordLayer, routes: BusRoutes) -> None:
        self._layer, self._routes = layer, routes

    def emit(self, message: Message) -> None:
        route = self._routes.get(type(message))
        if route is None:
            raise UndeclaredOutput(
                f"{type(message).__name__} is not declared on this bus; it may put out "
                f"{', '.join(sorted(kind.__name__ for kind in self._routes))}"
            )
        self._layer.stage(route, message)

    send = emit


class RoleBinder:
    """Makes the roles of a service, with ports that stage on a layer.

    Raises ConfigurationError for a port that the service's stores cannot serve.
    """

    def __init__(
        self,
        service: Service,
        clock: ports.Clock,
        sources: SchemaSourceSelector,
        *,
        interception: Interception | None = None,
    ) -> None:
        self._service, self._clock, self._sources = service, clock, sources
        self._interception = interception
        self._buses = {description.role: self._bus_routes(description) for description in service.descriptions}
        self._fact_routes = {ledger.name: self._routes_to(ledger) for ledger in service.ledgers}
        _check_ports(service)

    def bind(self, stores: PartitionStores, layer: RecordLayer) -> dict[type, Any]:
        """Return one instance of every role, its ports bound to `layer`."""
        pairs = zip(self._service.roles, self._service.descriptions, strict=True)
        return {description.role: self._make_role(spec, description, stores, layer) for spec, description in pairs}

    def bind_one(self, role: type, stores: PartitionStores, layer: RecordLayer) -> Any:
        """Return an instance of one role, for a record that is handled beside others."""
        pairs = zip(self._service.roles, self._service.descriptions, strict=True)
        spec, description = next(pair for pair in pairs if pair[1].role is role)
        return self._make_role(spec, description, stores, layer)

    def _make_role(
        self, spec: RoleSpec, description: RoleDescription, stores: PartitionStores, layer: RecordLayer
    ) -> Any:
        routes = self._buses[description.role]
        ports_by_name = {
            name: self._port(hint, routes.get(name, {}), stores, layer) for name, hint in description.ports.items()
        }
        return spec.role(**spec.adapters, **ports_by_name)

    def _port(self, hint: Any, routes: BusRoutes, stores: PartitionStores, layer: RecordLayer) -> Any:
        port = port_of(hint)
        if port in BUSES:
            return StagedBus(layer, routes)
        if port is ports.StateStore:
            store = stores.by_subject[state_of(hint)]
            return layer.port(store, lambda: StagedState(store, layer))
        if port is ports.EventSourced:
            return self._aggregate(type_arguments(hint)[0], stores, layer)
        if port is ports.EventLog:
            return self._log(stores, layer)
        return self._plain_port(port, stores, layer)

    def _plain_port(self, port: Any, stores: PartitionStores, layer: RecordLayer) -> Any:
        """Return a port that is the same whatever its hint says."""
        if port is ports.Timers:
            timers, interception = stores.timers_for(layer), self._interception
            return timers if interception is None else InterceptedTimers(timers, interception)
        if port is ports.Pauses:
            return stores.pauses
        return self._clock if port is ports.Clock else layer

    def _aggregate(self, subject: Any, stores: PartitionStores, layer: RecordLayer) -> Any:
        store = stores.by_subject[subject]
        return layer.port(store, lambda: StagedEventSourced(store, layer, self._fact_routes[store.ledger]))

    def _log(self, stores: PartitionStores, layer: RecordLayer) -> Any:
        store = stores.by_subject[ports.EventLog]
        return layer.port(store, lambda: StagedEventLog(store, layer, self._fact_routes[store.ledger]))

    def _bus_routes(self, description: RoleDescription) -> dict[str, BusRoutes]:
        buses = {name: type_arguments(hint) for name, hint in description.ports.items() if port_of(hint) in BUSES}
        return {
            name: {message: self._route(message, self._home(message)) for message in messages}
            for name, messages in buses.items()
        }

    def _routes_to(self, topic: Topic) -> BusRoutes:
        return {message: self._route(message, topic) for message in topic.messages}

    def _route(self, message: type[Message], topic: Topic) -> OutputRoute:
        return output_route(source_of(self._service.name), message, topic, self._sources)

    def _home(self, message: type[Message]) -> Topic:
        return self._service.catalogue.home(message, self._service.name)


def _check_ports(service: Service) -> None:
    """Raise ConfigurationError if a role declares a port that no store of the service serves."""
    declared = [(d, name, hint) for d in service.descriptions for name, hint in d.ports.items()]
    subjects = {spec.subject for spec in service.stores}
    for description, name, hint in declared:
        if port_of(hint) in (ports.StateStore, ports.EventSourced) and not subjects >= set(type_arguments(hint)):
            kinds = ", ".join(kind.__name__ for kind in type_arguments(hint))
            raise ConfigurationError(
                f"{description.name}.{name} wants a store of {kinds}, but service {service.name} "
                "declares none; add it to stores=[...]"
            )
    _check_log(
        service, [f"{description.name}.{name}" for description, name, hint in declared if hint is ports.EventLog]
    )


def _check_log(service: Service, log_ports: list[str]) -> None:
    """Raise ConfigurationError unless there is one event log: the `EventLog` port names no ledger."""
    logs = [spec for spec in service.stores if isinstance(spec, EventLogSpec)]
    if len(logs) > 1 or (log_ports and not logs):
        what = "declares two" if logs else f"declares none, but {', '.join(log_ports)} wants one"
        raise ConfigurationError(f"service {service.name}: one event log at most, it {what}")
