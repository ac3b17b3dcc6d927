"""The flow as a graph: who puts out which message, and who takes it. Derived from declarations, never drawn by hand.

An edge is orchestrated when either end conducts, choreographed otherwise. Together with the kind of its message that
makes the four combinations; two more control words hold what is nobody's decision here: the outside, and ledgers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from ensemble.messages.message import Command, Message, State
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.roles import RoleDescription, members, port_of
from ensemble.service.service import Service
from ensemble.service.stores import EventLogSpec, EventSourcedSpec, StateStoreSpec
from ensemble.service.topics import failure_event, failure_topics

Kind = Literal["command", "event"]
Control = Literal["orchestrated", "choreographed", "outside", "ledger"]


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
    """One message on its way from the node that puts it out to one that takes it."""

    source: Node
    target: Node
    message: type[Message]
    topic: str
    control: Control

    @property
    def kind(self) -> Kind:
        return "command" if issubclass(self.message, Command) else "event"


@dataclass(frozen=True)
class Graph:
    """All services, their roles and the edges between them, in the order of services and catalogue."""

    services: tuple[str, ...]
    roles: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def of(self, control: Control, kind: Kind | None = None) -> tuple[Edge, ...]:
        """The edges of one combination."""
        return tuple(edge for edge in self.edges if edge.control == control and kind in (None, edge.kind))


def flow_of(services: Iterable[Service], catalogue: Catalogue) -> Graph:
    """Derive the graph. Messages that are on no topic are left out; `ensemble.rules.check` reports them."""
    found = tuple(services)
    roles = tuple(node_of(service, description) for service in found for description in service.descriptions)
    edges = [edge for topic in catalogue.topics for message in topic.messages for edge in _edges(found, topic, message)]
    order = {edge: place for place, edge in enumerate(dict.fromkeys([*edges, *_outside(found, catalogue)]))}
    rank = {node.name: place for place, node in enumerate(roles)}
    ordered = sorted(order, key=lambda edge: (rank.get(edge.source.name, len(rank)), order[edge]))
    return Graph(tuple(service.name for service in found), roles, tuple(ordered))


def node_of(service: Service, description: RoleDescription) -> Node:
    """The node of one role."""
    return Node(service.name, description.name, description.conducts is not None)


def takers(services: Iterable[Service], message: type[Message]) -> Iterator[Node]:
    """The roles that handle `message` or react to it."""
    for service in services:
        for description in service.descriptions:
            if any(handler.subject is message for handler in description.handlers):
                yield node_of(service, description)


def givers(services: Iterable[Service], topic: Topic, message: type[Message]) -> Iterator[Node]:
    """The nodes that write `message` to `topic`: roles by bus or ledger, or the runtime for failed commands."""
    for service in services:
        for description in service.descriptions:
            put_out = description.emits | description.sends
            if (message in put_out and _writes_to(service, topic, message)) or writes_ledger(
                service, description, topic
            ):
                yield node_of(service, description)
        if reports_failures(service, topic, message):
            yield Node(service.name)


def writes_ledger(service: Service, description: RoleDescription, topic: Topic) -> bool:
    """Whether the role appends to `topic`, as the ledger of an aggregate or event log."""
    return any(spec.ledger == topic for spec in _ledger_stores(service, description))


def reports_failures(service: Service, topic: Topic, message: type[Message]) -> bool:
    """Whether the runtime emits `message` to `topic` when the service's attempts at a command are exhausted."""
    return message is failure_event(service.catalogue) and topic in failure_topics(service)


def _writes_to(service: Service, topic: Topic, message: type[Message]) -> bool:
    return service.catalogue.home(message, service.name) == topic


def _edges(services: tuple[Service, ...], topic: Topic, message: type[Message]) -> Iterator[Edge]:
    if issubclass(message, State):
        return
    for source in givers(services, topic, message):
        for target in takers(services, message):
            control: Control = "orchestrated" if source.conducts or target.conducts else "choreographed"
            yield Edge(source, target, message, topic.name, control)
    for service in services:
        for description in service.descriptions:
            for spec in _ledger_stores(service, description):
                if spec.ledger == topic:
                    kept = Node(service.name, _name(spec))
                    yield Edge(node_of(service, description), kept, message, topic.name, "ledger")


def _outside(services: tuple[Service, ...], catalogue: Catalogue) -> Iterator[Edge]:
    for topic in catalogue.topics:
        for message in topic.messages:
            if message in catalogue.sent_from_outside:
                yield from (Edge(OUTSIDE, node, message, topic.name, "outside") for node in takers(services, message))
            if message in catalogue.read_outside:
                sources = givers(services, topic, message)
                yield from (Edge(node, OUTSIDE, message, topic.name, "outside") for node in sources)


def _ledger_stores(service: Service, description: RoleDescription) -> list[EventSourcedSpec | EventLogSpec]:
    """Return the stores with a ledger that the role's ports name."""
    subjects = {subject for hint in description.ports.values() for subject in (port_of(hint), *members(hint))}
    return [spec for spec in service.stores if not isinstance(spec, StateStoreSpec) and spec.subject in subjects]


def _name(spec: EventSourcedSpec | EventLogSpec) -> str:
    return cast("str", spec.subject.__name__)
