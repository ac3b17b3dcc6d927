"""The topology check: compares what the services declare with the catalogue and with each other.

Each rule is a function that yields problems, each with a reason that says what to do. Nothing here needs a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ensemble.errors import ConfigurationError, Problem
from ensemble.messages.message import Command, Event, Message, State
from ensemble.policies.saga import SagaPolicies
from ensemble.saga import check_saga, commands_heard_of
from ensemble.saga.table import Saga
from ensemble.service.catalogue import OUTSIDE, Catalogue, Topic
from ensemble.service.roles import RoleDescription, RoleSpec
from ensemble.service.service import Service
from ensemble.service.topics import failure_event, failure_topics
from ensemble.topology import graph
from ensemble.topology.lifetimes import BrokerLifetimes, lifetime_conflicts


def check_topology(
    services: Iterable[Service], catalogue: Catalogue, broker: BrokerLifetimes | None = None
) -> list[Problem]:
    """Return every problem of the topology, in the order of the rules; an empty list if no rule is broken.

    Services that do not share the catalogue are reported alone, because the other rules cannot judge them. Lifetimes
    are compared with those of `broker`, or with Kafka's defaults.
    """
    declarations = Declarations(tuple(services), catalogue, broker)
    foreign = list(services_share_catalogue(declarations))
    return foreign or [problem for rule in RULES for problem in rule(declarations)]


@dataclass(frozen=True)
class Declarations:
    """All services and the catalogue they share, with the questions that the rules ask about them."""

    services: tuple[Service, ...]
    catalogue: Catalogue
    broker: BrokerLifetimes | None = None

    @property
    def outside(self) -> frozenset[type[Message]]:
        """The messages that something outside of the flow sends or reads."""
        return self.catalogue.from_outside | self.catalogue.to_outside

    def messages(self, kind: type[Message]) -> list[type[Message]]:
        """Return the catalogue's messages of one kind."""
        return [message for message in self.catalogue.message_types() if issubclass(message, kind)]

    def homes(self, message: type[Message]) -> list[Topic]:
        """Return the topics that carry `message`; none if the catalogue does not know it."""
        return [topic for topic in self.catalogue.topics if message in topic.messages]

    def handlers(self, command: type[Message]) -> list[Service]:
        """Return the services that handle `command`."""
        return [service for service in self.services if command in service.command_handlers]

    def readers(self, message: type[Message]) -> list[str]:
        """Return the names of the roles that receive `message`, and of the services whose ledger it is part of."""
        ledgers = [name for topic in self.homes(message) for name in self.ledger_services(topic)]
        return [*(node.name for node in graph.receivers(self.services, message)), *ledgers]

    def writers(self, message: type[Message]) -> list[str]:
        """Return the names of the roles that write `message`, and of services whose runtime reports failures by it."""
        return [node.name for topic in self.homes(message) for node in graph.writers(self.services, topic, message)]

    def ledger_services(self, topic: Topic) -> list[str]:
        """Return the services that fold their state from `topic`."""
        return [service.name for service in self.services if topic in service.ledgers]

    def changelog_services(self, topic: Topic) -> list[str]:
        """Return the services that use `topic` as a changelog."""
        return [service.name for service in self.services if topic in service.changelogs]

    def outputs(self, service: Service) -> list[type[Message]]:
        """Return the messages that the service's buses declare, by name."""
        return sorted(service.emits | service.sends, key=lambda message: message.__name__)

    def conductors(self) -> Iterator[tuple[RoleSpec, RoleDescription, Saga[Any, Any]]]:
        """Yield the roles that conduct a saga's table."""
        for service in self.services:
            for spec, description in zip(service.roles, service.descriptions, strict=True):
                if isinstance(description.saga, Saga):
                    yield spec, description, description.saga


# -- services ---------------------------------------------------------------------------------------------------------


def services_share_catalogue(declarations: Declarations) -> Iterator[Problem]:
    """Require a name of its own for each service, and the checked catalogue for all of them."""
    names = [service.name for service in declarations.services]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Problem(name, "two services have this name; give each a name of its own", "services")
    for service in declarations.services:
        if service.catalogue is not declarations.catalogue:
            reason = "is built on another catalogue; build all services on the same one"
            yield Problem(service.name, reason, "services")


def sagas_are_complete(declarations: Declarations) -> Iterator[Problem]:
    """Require of each step a deadline, an undo (or the statement that it has none) and a method for each answer."""
    for spec, description, saga in declarations.conductors():
        policies = [adapter for adapter in spec.adapters.values() if isinstance(adapter, SagaPolicies)]
        if not policies:
            reason = f"conducts {saga.name} without policies; give it SagaPolicies with role(...)"
            yield Problem(description.name, reason, "saga")
        for saga_policies in policies:
            try:
                check_saga(saga, spec.role, saga_policies)
            except ConfigurationError as error:
                yield Problem(description.name, str(error), "saga")


# -- messages ---------------------------------------------------------------------------------------------------------


def command_has_one_owner(declarations: Declarations) -> Iterator[Problem]:
    """Require exactly one handling service of each command: the one that owns the command's topic."""
    for command in declarations.messages(Command):
        for reason in _ownership_faults(command, declarations.handlers(command), declarations.homes(command)):
            yield Problem(command.__name__, reason, "owner")


def _ownership_faults(command: type[Message], services: list[Service], homes: list[Topic]) -> Iterator[str]:
    home = homes[0]
    if len(homes) > 1:
        yield f"is on {', '.join(topic.name for topic in homes)}; a command has one topic, keep it on its owner's"
    if not services and home.owner != OUTSIDE:
        yield f"has no handler; give a role of service {home.owner} a method with @handles({command.__name__})"
    if len(services) > 1:
        names = " and ".join(service.name for service in services)
        yield f"{names} handle it; keep one, or make it an event and react to it"
    for service in services:
        if all(topic.owner != service.name for topic in homes):
            yield f"{service.name} handles it, but its topic {home.name} belongs to {home.owner}; move one of them"


def message_has_a_sender(declarations: Declarations) -> Iterator[Problem]:
    """Require a sender for each command and event."""
    for message in [*declarations.messages(Command), *declarations.messages(Event)]:
        if not declarations.writers(message) and message not in declarations.catalogue.from_outside:
            bus = "CommandBus" if issubclass(message, Command) else "EventBus"
            readers = ", ".join(dict.fromkeys(declarations.readers(message)))
            waiting = f", though {readers} wait for it" if readers else ""
            remedy = f"declare it on a role's {bus}, list it in its topic's from_outside, or remove it"
            yield Problem(message.__name__, f"has no sender{waiting}; {remedy}", "sender")


def event_has_a_reader(declarations: Declarations) -> Iterator[Problem]:
    """Require a reader for each event, or a reason in its topic's `to_outside` why it has none here."""
    for event in declarations.messages(Event):
        if not declarations.readers(event) and event not in declarations.catalogue.to_outside:
            reason = "has no reader; react to it, or say in its topic's to_outside who reads it and why"
            yield Problem(event.__name__, reason, "reader")


def message_has_a_topic(declarations: Declarations) -> Iterator[Problem]:
    """Require a topic for each message that a service writes; one that reads what is on none is not made at all."""
    for service in declarations.services:
        for message in declarations.outputs(service):
            if not declarations.homes(message):
                remedy = "add it to a Topic's messages in the catalogue"
                reason = f"{service.name} names it, but it is on no topic; {remedy}"
                yield Problem(message.__name__, reason, "unknown")


def event_is_emitted_by_its_owner(declarations: Declarations) -> Iterator[Problem]:
    """Require that a service emits only to topics that it owns."""
    for service in declarations.services:
        for event in declarations.outputs(service):
            homes = declarations.homes(event)
            if issubclass(event, Event) and homes and all(topic.owner != service.name for topic in homes):
                home = homes[0]
                reason = f"{service.name} emits it to {home.name}, which belongs to {home.owner}; let the owner emit it"
                yield Problem(event.__name__, reason, "writer")


def failures_are_reported(declarations: Declarations) -> Iterator[Problem]:
    """Require of each service that handles commands a topic for those that have failed for good."""
    event = failure_event(declarations.catalogue)
    for service in declarations.services:
        if event and service.command_handlers and not failure_topics(service):
            reason = f"handles commands, but none of its topics carries {event.__name__}; add it to its events topic"
            yield Problem(service.name, reason, "failures")


def failures_reach_their_saga(declarations: Declarations) -> Iterator[Problem]:
    """Require in the catalogue's `saga_commands` what the sagas that hear of failures send, and nothing else.

    A command that is told as another one carries the attempt of that one.
    """
    saga_commands = declarations.catalogue.saga_commands
    sent = {command for _, _, saga in declarations.conductors() for command in commands_heard_of(saga)}
    for command in sorted(sent - saga_commands.keys(), key=lambda kind: kind.__name__):
        reason = "a saga sends it and hears of its failure; add it to the catalogue's saga_commands"
        yield Problem(command.__name__, reason, "failures")
    for command, told_as in saga_commands.items():
        if told_as not in sent:
            reason = f"its failure is told as {told_as.__name__}, which no saga sends; name the command of a step"
            yield Problem(command.__name__, reason, "failures")
        if "attempt" not in command.model_fields:
            reason = "a saga is to hear of its failure, but it has no field attempt that says of which; add one"
            yield Problem(command.__name__, reason, "failures")


# -- topics -----------------------------------------------------------------------------------------------------------


def message_has_the_topics_key(declarations: Declarations) -> Iterator[Problem]:
    """Require the topic's key, a str, of every message on it."""
    for topic in declarations.catalogue.topics:
        for message in topic.messages:
            field = message.model_fields.get(topic.key)
            if field is None:
                reason = f"{topic.name} is keyed by {topic.key!r}, which it has no field for; add the field, or move it"
                yield Problem(message.__name__, reason, "key")
            elif field.annotation is not str:
                reason = f"its key {topic.key!r} on {topic.name} must be a str, never null"
                yield Problem(message.__name__, reason, "key")


def topics_of_a_key_have_equal_partitions(declarations: Declarations) -> Iterator[Problem]:
    """Require one partition count of topics with the same key, so that their records meet in one partition.

    A service checks its own inputs once more at start.
    """
    for key in dict.fromkeys(topic.key for topic in declarations.catalogue.topics):
        alike = [topic for topic in declarations.catalogue.topics if topic.key == key]
        if len({topic.partitions for topic in alike}) > 1:
            counts = ", ".join(f"{topic.name}={topic.partitions}" for topic in alike)
            reason = f"topics with this key must have the same partition count; here {counts}"
            yield Problem(key, reason, "partitions")


def cleanup_fits_the_messages(declarations: Declarations) -> Iterator[Problem]:
    """Require that messages are not compacted away, that state is compacted, and that ledgers are never deleted."""
    for topic in declarations.catalogue.topics:
        for reason in _cleanup_faults(topic, is_ledger=bool(declarations.ledger_services(topic))):
            yield Problem(topic.name, reason, "cleanup")


def _cleanup_faults(topic: Topic, *, is_ledger: bool) -> Iterator[str]:
    passing = [message.__name__ for message in topic.messages if not issubclass(message, State)]
    if topic.cleanup == "compact" and passing:
        yield f"is compacted, so later messages of a key erase earlier {', '.join(passing)}; give it cleanup 'delete'"
    if topic.cleanup == "delete" and len(passing) < len(topic.messages):
        yield "carries state, which retention would delete; give it cleanup 'compact'"
    if is_ledger and topic.retention is not None:
        yield "is a ledger, whose records must never expire; give it retention None (for ever)"


def topic_has_one_owner(declarations: Declarations) -> Iterator[Problem]:
    """Require a declared service as the owner of each topic, and no other service's state on it."""
    names = {service.name for service in declarations.services}
    for topic in declarations.catalogue.topics:
        if topic.owner not in names | {OUTSIDE}:
            reason = f"belongs to {topic.owner}, but there is no such service; add it, or take owner=OUTSIDE"
            yield Problem(topic.name, reason, "topic")
        for service in dict.fromkeys([*declarations.ledger_services(topic), *declarations.changelog_services(topic)]):
            if service != topic.owner:
                yield Problem(topic.name, f"{service} keeps its state there, but it belongs to {topic.owner}", "writer")


def topic_is_used(declarations: Declarations) -> Iterator[Problem]:
    """Require a writer or a reader for each topic of the catalogue."""
    for topic in declarations.catalogue.topics:
        is_written = any(any(graph.writers(declarations.services, topic, message)) for message in topic.messages)
        is_read = any(declarations.readers(message) for message in topic.messages)
        is_outside = bool(declarations.outside.intersection(topic.messages))
        if not (is_written or is_read or is_outside or declarations.changelog_services(topic)):
            yield Problem(topic.name, "has no writer and no reader; use it, or remove it from the catalogue", "topic")


def lifetimes_lose_nothing(declarations: Declarations) -> Iterator[Problem]:
    """Require that nothing expires before what depends on it."""
    yield from lifetime_conflicts(declarations.services, declarations.broker)


Rule = Callable[[Declarations], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    sagas_are_complete,
    command_has_one_owner,
    message_has_a_sender,
    event_has_a_reader,
    message_has_a_topic,
    event_is_emitted_by_its_owner,
    failures_are_reported,
    failures_reach_their_saga,
    message_has_the_topics_key,
    topics_of_a_key_have_equal_partitions,
    cleanup_fits_the_messages,
    topic_has_one_owner,
    topic_is_used,
    lifetimes_lose_nothing,
)
