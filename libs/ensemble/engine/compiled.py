"""A service compiled: every lookup that a message would need is done here, once, at start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ensemble.engine.buses import StagedBus
from ensemble.engine.failures.circuit_breaker import Outages
from ensemble.errors import ConfigurationError
from ensemble.messages.codec import encoder_for, reader_for_new_schema, readers_for
from ensemble.messages.message import Command, Message, schema_name
from ensemble.messages.schema_set import FileSchemaSources, SchemaSources
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import ServicePolicies
from ensemble.service import ports
from ensemble.service.catalogue import Topic
from ensemble.service.roles import Handler, RoleDescription, RoleSpec, members, port_of, state_of
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec
from ensemble.state.deduplication import WindowLimits
from ensemble.state.event_log import StagedLog
from ensemble.state.event_sourced import StagedAggregate
from ensemble.state.keyed import StagedState
from ensemble.state.partition import PartitionStores
from ensemble.state.unit_of_work import Layer, OutputRoute
from ensemble.system_messages.operations import EVENTS

Reader = Callable[[bytes], Message]


@dataclass(frozen=True)
class Limits:
    """What a service may take before it gives up or forgets."""

    policies: ServicePolicies = field(default_factory=ServicePolicies)
    window: WindowLimits = field(default_factory=WindowLimits)


@dataclass(frozen=True)
class Duty:
    """One kind of input, as those see it that deal with its failures."""

    name: str
    """The message's type, or the timer's name."""
    handler: str
    policy: RetryPolicy


@dataclass(frozen=True)
class Target:
    """Where one readable message goes inside the service."""

    message: type[Message]
    read: Reader
    handlers: tuple[Handler, ...]
    seeds: tuple[str, ...]
    is_async: bool
    duty: Duty
    parking_key: Callable[[Any], str] | None
    """The key that its records are parked under; None: the record's own."""
    overtakes: frozenset[str]
    """Types of parked messages of its key that it makes moot."""

    @property
    def collapses(self) -> bool:
        """A later one of its key says the same again, as a new attempt."""
        return issubclass(self.message, Command) and "attempt" in self.message.model_fields


@dataclass(frozen=True)
class Input:
    """One consumed topic: its targets by the five bytes that every value starts with."""

    topic: Topic
    targets: dict[bytes, Target]
    known: set[bytes]
    """Prefixes of messages that travel here but that this service does not take."""
    is_control: bool = False
    """Operators' commands, which the runtime itself carries out."""


class Plan:
    """Routes in, routes out, and how roles are bound.

    Raises ConfigurationError for what cannot work, and SchemasUnavailable while `sources` cannot give every id.
    """

    def __init__(
        self,
        service: Service,
        clock: ports.Clock,
        limits: Limits | None = None,
        sources: SchemaSources | None = None,
    ) -> None:
        self.service, self.clock, self.limits = service, clock, limits or Limits()
        self.sources = sources or FileSchemaSources()
        self._buses = {d.role: self._bus_routes(d) for d in service.descriptions}
        self.outages = Outages(self.limits.policies.outage)
        self.inputs: Mapping[str, Input] = {topic.name: self._input(topic) for topic in service.inputs}
        self.inputs = {**self.inputs, service.control.name: Input(service.control, {}, set(), is_control=True)}
        self.operations = {
            p: r for op in service.control.messages for p, r in self._readers(op, service.control).items()
        }
        self.operation_routes: Mapping[type[Message], OutputRoute] = {
            event: self.output_route(event, service.operations) for event in EVENTS
        }
        self.asks_for_pauses = any(hint is ports.Pauses for d in service.descriptions for hint in d.ports.values())
        self.timers: Mapping[str, tuple[Handler, ...]] = self._timer_handlers()
        self.undos = {t.duty.name: t.overtakes for i in self.inputs.values() for t in i.targets.values() if t.overtakes}
        self.failures = self._failure_routes()
        self._check_ports()
        self._check_parking_keys()
        self.open_stores()  # now, so that all their ids are known: a registry may be away when partitions come

    def open_stores(self) -> PartitionStores:
        """Empty stores for one partition."""
        return PartitionStores(self.service, self.limits.window, self.sources)

    def bind(self, stores: PartitionStores, layer: Layer) -> dict[type, Any]:
        """One instance of every role, its ports bound to `layer`."""
        pairs = zip(self.service.roles, self.service.descriptions, strict=True)
        return {description.role: self._bound(spec, description, stores, layer) for spec, description in pairs}

    def bind_one(self, role: type, stores: PartitionStores, layer: Layer) -> Any:
        """An instance of one role, for a record that is handled beside others."""
        pairs = zip(self.service.roles, self.service.descriptions, strict=True)
        spec, description = next(pair for pair in pairs if pair[1].role is role)
        return self._bound(spec, description, stores, layer)

    def output_route(self, message: type[Message], topic: Topic) -> OutputRoute:
        """How `message` is written by this service."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", schema_name(message).encode()),
            ("ce_source", f"/services/{self.service.name}".encode()),
            ("content-type", b"application/avro"),
        ]
        encode = encoder_for(message, self.sources.on(topic.name, message.__schemas__))
        return OutputRoute(topic.name, attrgetter(topic.key), encode, headers)

    def late_target(self, inlet: Input, prefix: bytes) -> Target | None:
        """Where records of a schema go that came up after start; None when they go nowhere.

        The answer is kept in `inlet`. SchemasUnavailable when nobody can say now.
        """
        if (found := reader_for_new_schema(prefix, inlet.topic.messages, self.sources)) is None:
            return None
        message, read = found
        handlers = self._handlers_of(message)
        if not handlers:
            inlet.known.add(prefix)
            return None
        target = inlet.targets[prefix] = self._target(message, read, handlers)
        return target

    def _bound(self, spec: RoleSpec, description: RoleDescription, stores: PartitionStores, layer: Layer) -> Any:
        fields = {
            name: self._port(hint, self._buses[description.role].get(name, {}), stores, layer)
            for name, hint in description.ports.items()
        }
        return spec.role(**spec.adapters, **fields)

    def _port(self, hint: Any, routes: Mapping[type, OutputRoute], stores: PartitionStores, layer: Layer) -> Any:
        port = port_of(hint)
        if port in (ports.EventBus, ports.CommandBus):
            return StagedBus(layer, routes)
        if port is ports.StateStore:
            held = stores.by_subject[state_of(hint)]
            return layer.port(held, lambda: StagedState(held, layer))
        if port is ports.EventSourced:
            return self._aggregate(members(hint)[0], stores, layer)
        if port is ports.EventLog:
            return self._log(stores, layer)
        return self._plain_port(port, stores, layer)

    def _plain_port(self, port: Any, stores: PartitionStores, layer: Layer) -> Any:
        """The ports that are the same whatever their hint says."""
        if port is ports.Timers:
            return stores.timers_for(layer)
        if port is ports.Pauses:
            return stores.pauses
        return self.clock if port is ports.Clock else layer

    def _aggregate(self, subject: Any, stores: PartitionStores, layer: Layer) -> Any:
        store = stores.by_subject[subject]
        return layer.port(store, lambda: StagedAggregate(store, layer, self.fact_routes(store.ledger)))

    def _log(self, stores: PartitionStores, layer: Layer) -> Any:
        store = stores.by_subject[ports.EventLog]
        return layer.port(store, lambda: StagedLog(store, layer, self.fact_routes(store.ledger)))

    def fact_routes(self, ledger: str) -> Mapping[type, OutputRoute]:
        topic = self.service.catalogue.topic(ledger)
        return {fact: self.output_route(fact, topic) for fact in topic.messages}

    def fact_readers(self, ledger: str) -> dict[bytes, Reader]:
        topic = self.service.catalogue.topic(ledger)
        return {prefix: read for fact in topic.messages for prefix, read in self._readers(fact, topic).items()}

    def late_fact_reader(self, ledger: str, prefix: bytes) -> Reader | None:
        """The reader of a fact's schema that came up after start. SchemasUnavailable when nobody can say now."""
        found = reader_for_new_schema(prefix, self.service.catalogue.topic(ledger).messages, self.sources)
        return found and found[1]

    def _readers(self, message: type[Message], topic: Topic) -> dict[bytes, Reader]:
        return readers_for(message, self.sources.on(topic.name, message.__schemas__))

    def _bus_routes(self, description: RoleDescription) -> dict[str, dict[type, OutputRoute]]:
        return {
            name: {message: self.output_route(message, self._home(message)) for message in members(hint)}
            for name, hint in description.ports.items()
            if port_of(hint) in (ports.EventBus, ports.CommandBus)
        }

    def _home(self, message: type[Message]) -> Topic:
        return self.service.catalogue.home(message, self.service.name)

    def _input(self, topic: Topic) -> Input:
        targets: dict[bytes, Target] = {}
        known: set[bytes] = set()
        for message in topic.messages:
            handlers, readers = self._handlers_of(message), self._readers(message, topic)
            if handlers:
                targets.update({prefix: self._target(message, read, handlers) for prefix, read in readers.items()})
            else:
                known |= readers.keys()
        return Input(topic, targets, known)

    def _handlers_of(self, message: type[Message]) -> tuple[Handler, ...]:
        return tuple(handler for handler in self.service.handlers if handler.subject is message)

    def _target(self, message: type[Message], read: Reader, handlers: tuple[Handler, ...]) -> Target:
        seeds = tuple(f"{self.service.name}/{handler.name}/" for handler in handlers)
        is_async = any(handler.is_async for handler in handlers)
        overtakes = frozenset(kind.__name__ for handler in handlers for kind in handler.overtakes)
        duty = self.duty(message.__name__, handlers)
        parking_key = self._parking_key(message)
        return Target(message, read, handlers, seeds, is_async, duty, parking_key, overtakes)

    def duty(self, name: str, handlers: tuple[Handler, ...]) -> Duty:
        """How failures of the message type, or timer, `name` are dealt with."""
        return Duty(name, ", ".join(handler.name for handler in handlers), self.limits.policies.for_message(name))

    def timer_duty(self, name: str) -> Duty:
        """As `duty`, of a timer."""
        return self.duty(name, self.timers.get(name, ()))

    def _parking_key(self, message: type[Message]) -> Callable[[Any], str] | None:
        field_name, topics = message.__parking_key__, self.service.catalogue.homes(message)
        if field_name not in message.model_fields or all(topic.key == field_name for topic in topics):
            return None
        return attrgetter(field_name)

    def _check_parking_keys(self) -> None:
        """While a call is in flight, its key waits; nothing else may touch the state of that key meanwhile."""
        targets = {t.duty.name: t for inlet in self.inputs.values() for t in inlet.targets.values()}
        slow = next((target for target in targets.values() if target.is_async), None)
        apart = next((target for target in targets.values() if target.parking_key is not None), None)
        if slow is not None and apart is not None:
            raise ConfigurationError(
                f"{slow.duty.handler} is async, but {apart.duty.name} parks by {apart.message.__parking_key__}, which "
                "is not its topic's key: two records could change one state at once; key the topic by that field, or "
                "let another service make the calls"
            )

    def _timer_handlers(self) -> Mapping[str, tuple[Handler, ...]]:
        names = {h.subject for h in self.service.handlers if isinstance(h.subject, str)}
        return {str(name): tuple(h for h in self.service.handlers if h.subject == name) for name in names}

    def _failure_routes(self) -> Mapping[type, OutputRoute]:
        mine = [topic for topic in self.service.catalogue.topics if topic.owner == self.service.name]
        return {message: self.output_route(message, topic) for topic in mine for message in topic.messages if topic.key}

    def _check_ports(self) -> None:
        wanted = [(d, name, hint) for d in self.service.descriptions for name, hint in d.ports.items()]
        subjects = {spec.subject for spec in self.service.stores}
        for description, name, hint in wanted:
            if port_of(hint) in (ports.StateStore, ports.EventSourced) and not subjects >= set(members(hint)):
                asked = ", ".join(kind.__name__ for kind in members(hint))
                raise ConfigurationError(
                    f"{description.name}.{name} wants a store of {asked}, but service {self.service.name} "
                    "declares none; add it to stores=[...]"
                )
        self._check_log([f"{description.name}.{name}" for description, name, hint in wanted if hint is ports.EventLog])

    def _check_log(self, wanting: list[str]) -> None:
        """The `EventLog` port names no ledger, so a service has at most one."""
        held = [spec for spec in self.service.stores if isinstance(spec, EventLogSpec)]
        if len(held) > 1 or (wanting and not held):
            what = "declares two" if held else f"declares none, but {', '.join(wanting)} wants one"
            raise ConfigurationError(f"service {self.service.name}: one event log at most, it {what}")
