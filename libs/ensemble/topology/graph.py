"""The flow as a graph: which role writes which message, and which receives it. Derived from the declarations.

An edge is orchestrated if either end conducts, choreographed otherwise. Together with the kind of its message that
makes the four combinations. Two more values of the control flow mark edges that no role decides on: the outside, and
ledgers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from ensemble.messages.message import Command, Message
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.roles import RoleDescription, port_of, type_arguments
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec, EventSourcedSpec, StateStoreSpec
from ensemble.service.topics import failure_event, failure_topics

Kind = Literal["command", "event"]
ControlFlow = Literal["orchestrated", "choreographed", "outside", "ledger"]


@dataclass(frozen=True)
class Node:
    """A role of a service; the runtime itself in that service (no role); an aggregate's ledger; or the outside."""

    service: str
    role: str = ""
    conducts: bool = False

    @property
    def name(self) -> str:
        """`order.OrderDesk`, or the service's name alone."""
        return f"{self.service}.{self.role}" if self.role else self.service


OUTSIDE = Node("outside")


@dataclass(frozen=True)
class Edge:
    """One message on its way from a node that writes it to one that receives it."""

    source: Node
    target: Node
    message: type[Message]
    topic: str
    control: ControlFlow

    @property
    def kind(self) -> Kind:
        """What the message means: a command or an event."""
        return "command" if issubclass(self.message, Command) else "event"


@dataclass(frozen=True)
class Graph:
    """All services, their roles and the edges between them, in the order of services and catalogue."""

    services: tuple[str, ...]
    roles: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def of(self, control: ControlFlow, kind: Kind | None = None) -> tuple[Edge, ...]:
        """Return the edges of one combination."""
        return tuple(edge for edge in self.edges if edge.control == control and kind in (None, edge.kind))


def flow_of(services: Iterable[Service], catalogue: Catalogue) -> Graph:
    """Derive the graph. Messages that are on no topic have no edges; `check_topology` reports them."""
    services = tuple(services)
    roles = tuple(node_of(service, description) for service in services for description in service.descriptions)
    pairs = [(topic, message) for topic in catalogue.topics for message in topic.messages]
    edges = [edge for topic, message in pairs for edge in _edges(services, topic, message)]
    order = {edge: place for place, edge in enumerate(dict.fromkeys([*edges, *_outside(services, catalogue)]))}
    rank = {node.name: place for place, node in enumerate(roles)}
    ordered = sorted(order, key=lambda edge: (rank.get(edge.source.name, len(rank)), order[edge]))
    return Graph(tuple(service.name for service in services), roles, tuple(ordered))


def node_of(service: Service, description: RoleDescription) -> Node:
    """Return the node of one role."""
    return Node(service.name, description.name, description.conducts)


def receivers(services: Iterable[Service], message: type[Message]) -> Iterator[Node]:
    """Yield the roles that handle `message` or react to it."""
    for service in services:
        for description in service.descriptions:
            if any(handler.subject is message for handler in description.handlers):
                yield node_of(service, description)


def writers(services: Iterable[Service], topic: Topic, message: type[Message]) -> Iterator[Node]:
    """Yield the nodes that write `message` to `topic`: roles by bus or ledger, or the runtime for failed commands."""
    for service in services:
        for description in service.descriptions:
            outputs = description.emits | description.sends
            is_output = message in outputs and service.catalogue.home(message, service.name) == topic
            if is_output or _writes_ledger(service, description, topic):
                yield node_of(service, description)
        if reports_failures(service, topic, message):
            yield Node(service.name)


def reports_failures(service: Service, topic: Topic, message: type[Message]) -> bool:
    """Return whether the runtime emits `message` to `topic` when the attempts at a command are exhausted."""
    return message is failure_event(service.catalogue) and topic in failure_topics(service)


def _writes_ledger(service: Service, description: RoleDescription, topic: Topic) -> bool:
    return any(spec.ledger == topic for spec in _ledger_stores(service, description))


def _edges(services: tuple[Service, ...], topic: Topic, message: type[Message]) -> Iterator[Edge]:
    for source in writers(services, topic, message):
        for target in receivers(services, message):
            control: ControlFlow = "orchestrated" if source.conducts or target.conducts else "choreographed"
            yield Edge(source, target, message, topic.name, control)
    for service in services:
        for description in service.descriptions:
            for spec in _ledger_stores(service, description):
                if spec.ledger == topic:
                    ledger = Node(service.name, _name(spec))
                    yield Edge(node_of(service, description), ledger, message, topic.name, "ledger")


def _outside(services: tuple[Service, ...], catalogue: Catalogue) -> Iterator[Edge]:
    for topic in catalogue.topics:
        for message in topic.messages:
            if message in topic.from_outside:
                yield from (
                    Edge(OUTSIDE, node, message, topic.name, "outside") for node in receivers(services, message)
                )
            if message in topic.to_outside:
                sources = writers(services, topic, message)
                yield from (Edge(node, OUTSIDE, message, topic.name, "outside") for node in sources)


def _ledger_stores(service: Service, description: RoleDescription) -> list[EventSourcedSpec | EventLogSpec]:
    """Return the stores with a ledger that the role's ports name."""
    subjects = {subject for hint in description.ports.values() for subject in (port_of(hint), *type_arguments(hint))}
    return [spec for spec in service.stores if not isinstance(spec, StateStoreSpec) and spec.subject in subjects]


def _name(spec: EventSourcedSpec | EventLogSpec) -> str:
    return cast("str", spec.subject.__name__)
