"""A service compiled: every lookup that a message would need is done here, once, at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from ensemble.engine.binding import RoleBinder
from ensemble.engine.interception import InterceptedLayer, Interception, interception_of
from ensemble.engine.routes import FailureRule, Input, Limits, Route, TimerRoute, source_of
from ensemble.errors import ConfigurationError, UndecodableRecord
from ensemble.interceptors import Interceptor
from ensemble.messages.codec import Decoder, decoder_for_new_schema
from ensemble.messages.message import Message
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.messages.topic_codec import NewType
from ensemble.service import ports
from ensemble.service.catalogue import Topic
from ensemble.service.codecs import codec_of
from ensemble.service.roles import Handler
from ensemble.service.service import Service
from ensemble.state.partition import OpenState, PartitionStores, open_in_memory
from ensemble.state.unit_of_work import OutputRoute, RecordLayer, output_route
from ensemble.system_messages.operations import EVENTS


@dataclass(frozen=True, eq=False)
class CompiledService:
    """Routes in, routes out, and how roles are bound. Nothing in it changes after start."""

    service: Service
    clock: ports.Clock
    limits: Limits
    sources: SchemaSourceSelector
    roles: RoleBinder
    inputs: Mapping[str, Input]
    timers: Mapping[str, TimerRoute]
    operations: Mapping[bytes, Decoder[Message]]
    """How operators' commands are read, by prefix."""
    operation_routes: Mapping[type, OutputRoute]
    failure_routes: Mapping[type, OutputRoute]
    """How a command's failure is told to its sender."""
    interceptors: tuple[Interceptor, ...]
    """The process's, then the service's own."""
    interception: Interception | None
    """How interceptors are called; None if there are none: then nothing on the way of a record asks for them."""
    new_layer: Callable[[], RecordLayer]
    """Makes a layer for a record."""

    @property
    def asks_for_pauses(self) -> bool:
        """Whether a role looks at pauses itself."""
        return any(hint is ports.Pauses for d in self.service.descriptions for hint in d.ports.values())

    @property
    def undos(self) -> Mapping[str, frozenset[str]]:
        """Message types that make other parked types moot."""
        routes = (route for input_topic in self.inputs.values() for route in input_topic.routes.values())
        return {route.rule.name: route.overtakes for route in routes if route.overtakes}

    def open_stores(self, open_state: OpenState = open_in_memory) -> PartitionStores:
        """Return the stores of one partition: empty, but for what `open_state` opens on disk."""
        return PartitionStores(self.service, self.limits.window, self.sources, open_state)

    def timer_route(self, name: str) -> TimerRoute:
        """Return the handlers of a timer; there may be none left for one that was set by an earlier release."""
        return self.timers.get(name) or TimerRoute(name, (), (), failure_rule(self.limits, name, ()))

    def fact_decoders(self, ledger: str) -> dict[bytes, Decoder[Message]]:
        """Return how the facts of a ledger are read, by prefix."""
        return _readers_on(self.service.catalogue.topic(ledger), self.sources)

    def decoder_for_new_fact_schema(self, ledger: str, prefix: bytes) -> Decoder[Message] | None:
        """Return the reader of a fact's schema that came up after start, or None if it is no fact of the ledger.

        Raises SchemasUnavailable if the registry cannot be asked now.
        """
        owner_and_decoder = decoder_for_new_schema(prefix, self.service.catalogue.topic(ledger).messages, self.sources)
        return owner_and_decoder and owner_and_decoder[1]


class NewSchemas:
    """Routes of schemas that came up after start. One process looks each of them up once."""

    def __init__(self, compiled: CompiledService) -> None:
        self._compiled = compiled
        self._routes: dict[tuple[str, bytes], Route | None] = {}
        self._unreadable: dict[bytes, str] = {}

    def route(self, input_topic: Input, label: bytes | None) -> Route | None:
        """Return the route of a label whose schema is new, or None if no handler takes it or no message has it.

        Raises SchemasUnavailable if the registry cannot be asked now.
        """
        if label is None or label in input_topic.unhandled:
            return None
        place = (input_topic.topic.name, label)
        if place not in self._routes:
            owner_and_decoder = self._owner_and_decoder(input_topic, label)
            if owner_and_decoder is None:
                return None
            (message, read), compiled, topic = owner_and_decoder, self._compiled, input_topic.topic
            self._routes[place] = _route_if_handled(
                compiled.service, compiled.limits, topic, message=message, read=read
            )
        return self._routes[place]

    def is_known(self, input_topic: Input, label: bytes | None) -> bool:
        """Return whether a label that `route` has no route for is of a message of the topic all the same."""
        if label is None:
            return False
        return label in input_topic.unhandled or (input_topic.topic.name, label) in self._routes

    def why_unreadable(self, label: bytes | None) -> str:
        """Return why what the registry has under the label's schema cannot be read, or an empty string."""
        return self._unreadable.get(label or b"", "")

    def _owner_and_decoder(self, input_topic: Input, label: bytes) -> NewType:
        self._unreadable.pop(label, None)
        try:
            return input_topic.codec.find_new(label)
        except UndecodableRecord as error:
            self._unreadable[label] = str(error)
            return None


def compile_service(
    service: Service,
    clock: ports.Clock,
    limits: Limits | None = None,
    sources: SchemaSourceSelector | None = None,
    *,
    interceptors: Sequence[Interceptor] = (),
) -> CompiledService:
    """Compile `service`; its own interceptors run inside `interceptors`, which are the process's.

    Raises ConfigurationError for what cannot work, and SchemasUnavailable while `sources` cannot give every id.
    """
    limits, sources = limits or Limits(), sources or DirectorySourceSelector()
    interceptors = (*interceptors, *service.interceptors)
    interception = interception_of(service.name, interceptors)
    roles = RoleBinder(service, clock, sources, interception=interception)
    compiled = CompiledService(
        service=service,
        clock=clock,
        limits=limits,
        sources=sources,
        roles=roles,
        inputs=_inputs(service, limits, sources),
        timers=_timers(service, limits),
        operations=_readers_on(service.control, sources),
        operation_routes={e: output_route(source_of(service.name), e, service.operations, sources) for e in EVENTS},
        failure_routes=_failure_routes(service, sources),
        interceptors=interceptors,
        interception=interception,
        new_layer=RecordLayer if interception is None else partial(InterceptedLayer, interception),
    )
    _check_parking_keys(compiled.inputs.values())
    compiled.open_stores()  # now, so that all their ids are known: a registry may be away when partitions come
    return compiled


def failure_rule(limits: Limits, name: str, handlers: tuple[Handler, ...]) -> FailureRule:
    """Return how failures of the message type, or timer, `name` are handled."""
    return FailureRule(name, ", ".join(handler.name for handler in handlers), limits.policies.for_message(name))


def _check_parking_keys(inputs: Iterable[Input]) -> None:
    """Raise ConfigurationError if two records could change one state at once.

    While a call is in flight, its key waits; nothing else may touch the state of that key meanwhile.
    """
    routes = {route.rule.name: route for input_topic in inputs for route in input_topic.routes.values()}
    slow = next((route for route in routes.values() if route.is_async), None)
    foreign = next((route for route in routes.values() if route.parking_key is not None), None)
    if slow is not None and foreign is not None:
        key = foreign.message.message_config.parking_key
        raise ConfigurationError(
            f"{slow.rule.handler} is async, but {foreign.rule.name} parks by {key}, which "
            "is not its topic's key: two records could change one state at once; key the topic by that field, or "
            "let another service make the calls"
        )


# -- inputs -----------------------------------------------------------------------------------------------------------


def _inputs(service: Service, limits: Limits, sources: SchemaSourceSelector) -> Mapping[str, Input]:
    own = {topic.name: _input(service, limits, topic, sources) for topic in service.inputs}
    control = service.control
    return {**own, control.name: Input(control, codec_of(control, sources), {}, frozenset(), is_control=True)}


def _input(service: Service, limits: Limits, topic: Topic, sources: SchemaSourceSelector) -> Input:
    codec = codec_of(topic, sources)
    routes = {
        label: _route_if_handled(service, limits, topic, message=message, read=read)
        for message in topic.messages
        for label, read in codec.decoders_for(message).items()
    }
    handled = {label: route for label, route in routes.items() if route is not None}
    return Input(topic, codec, handled, frozenset(routes.keys() - handled.keys()))


def _route_if_handled(
    service: Service, limits: Limits, topic: Topic, *, message: type[Message], read: Decoder[Message]
) -> Route | None:
    handlers = tuple(handler for handler in service.handlers if handler.subject is message)
    if not handlers:
        return None
    return Route(
        topic,
        message,
        read,
        handlers,
        _seeds(service, handlers),
        is_async=any(handler.is_async for handler in handlers),
        rule=failure_rule(limits, message.__name__, handlers),
        parking_key=_parking_key(service, message),
        overtakes=frozenset(kind.__name__ for handler in handlers for kind in handler.overtakes),
    )


def _parking_key(service: Service, message: type[Message]) -> Callable[[Any], str] | None:
    field_name, topics = message.message_config.parking_key, service.catalogue.homes(message)
    if field_name not in message.model_fields or all(topic.key == field_name for topic in topics):
        return None
    return attrgetter(field_name)


def _timers(service: Service, limits: Limits) -> Mapping[str, TimerRoute]:
    return {name: _timer(service, limits, name) for name in service.timer_names}


def _timer(service: Service, limits: Limits, name: str) -> TimerRoute:
    handlers = tuple(handler for handler in service.handlers if handler.subject == name)
    return TimerRoute(name, handlers, _seeds(service, handlers), failure_rule(limits, name, handlers))


def _seeds(service: Service, handlers: tuple[Handler, ...]) -> tuple[str, ...]:
    return tuple(f"{service.name}/{handler.name}/" for handler in handlers)


def _readers_on(topic: Topic, sources: SchemaSourceSelector) -> dict[bytes, Decoder[Message]]:
    codec = codec_of(topic, sources)
    return {label: read for message in topic.messages for label, read in codec.decoders_for(message).items()}


# -- outputs ----------------------------------------------------------------------------------------------------------


def _failure_routes(service: Service, sources: SchemaSourceSelector) -> Mapping[type, OutputRoute]:
    own = [topic for topic in service.catalogue.topics if topic.owner == service.name and topic.key]
    source = source_of(service.name)
    return {message: output_route(source, message, topic, sources) for topic in own for message in topic.messages}
