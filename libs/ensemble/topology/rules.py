"""The topology check: what the services declare, held against the catalogue and against each other.

Each rule is a function that yields problems, each with words on what to do. Nothing here needs a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command, Event, State
from ensemble.policies.saga import SagaPolicies
from ensemble.saga.check import check_saga
from ensemble.service.catalogue import Catalogue
from ensemble.service.service import Service
from ensemble.service.topics import failure_event
from ensemble.topology import graph
from ensemble.topology.declared import Declared, Problem

__all__ = ["Problem", "check"]


def check(services: Iterable[Service], catalogue: Catalogue) -> list[Problem]:
    """Every problem of the topology, in the order of the rules; empty when all is well.

    Services that do not share the catalogue are told apart first, alone: nothing else can be said about them.
    """
    declared = Declared(tuple(services), catalogue)
    apart = list(one_world(declared))
    return apart or [problem for rule in RULES for problem in rule(declared)]


# -- services ---------------------------------------------------------------------------------------------------------


def one_world(declared: Declared) -> Iterator[Problem]:
    """Each service has a name of its own, and all are built on the catalogue that is checked."""
    names = [service.name for service in declared.services]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Problem("services", name, "two services have this name; each needs one of its own")
    for service in declared.services:
        if service.catalogue is not declared.catalogue:
            yield Problem("services", service.name, "is built on another catalogue; build all services on the same one")


def sagas(declared: Declared) -> Iterator[Problem]:
    """Each step has a deadline, an undo or a word that there is none, and a conductor's method for each answer."""
    for spec, description, saga in declared.conductors():
        policies = [adapter for adapter in spec.adapters.values() if isinstance(adapter, SagaPolicies)]
        if not policies:
            yield Problem(
                "saga", description.name, f"conducts {saga.name} without policies; give it SagaPolicies with role(...)"
            )
        for found in policies:
            try:
                check_saga(saga, spec.role, found)
            except ConfigurationError as error:
                yield Problem("saga", description.name, str(error))


# -- messages ---------------------------------------------------------------------------------------------------------


def one_owner(declared: Declared) -> Iterator[Problem]:
    """A command has exactly one owner: the service that owns its topic."""
    for command in declared.messages(Command):
        owners, (home, *others) = declared.owners(command), declared.homes(command)
        if others:
            names = ", ".join(topic.name for topic in (home, *others))
            yield Problem("owner", command.__name__, f"is on {names}; a command has one topic, keep it on its owner's")
        if not owners:
            words = f"nobody handles it; give a role of service {home.owner} a method with @handles({command.__name__})"
            yield Problem("owner", command.__name__, words)
        if len(owners) > 1:
            names = " and ".join(service.name for service in owners)
            yield Problem(
                "owner", command.__name__, f"{names} handle it; keep one, or make it an event and react to it"
            )
        for service in owners:
            if all(topic.owner != service.name for topic in (home, *others)):
                words = (
                    f"{service.name} handles it, but its topic {home.name} belongs to {home.owner}; move one of them"
                )
                yield Problem("owner", command.__name__, words)


def a_sender(declared: Declared) -> Iterator[Problem]:
    """Every message comes from somewhere."""
    for message in [*declared.messages(Command), *declared.messages(Event)]:
        if not declared.writers(message) and message not in declared.catalogue.sent_from_outside:
            bus = "CommandBus" if issubclass(message, Command) else "EventBus"
            read = (
                f", though {', '.join(dict.fromkeys(readers))} wait for it"
                if (readers := declared.readers(message))
                else ""
            )
            words = (
                f"nobody puts it out{read}; declare it on a role's {bus}, list it in sent_from_outside, or remove it"
            )
            yield Problem("sender", message.__name__, words)


def a_reader(declared: Declared) -> Iterator[Problem]:
    """Every event has a reader here, or a reason."""
    for event in declared.messages(Event):
        if not declared.readers(event) and not declared.catalogue.read_outside.get(event):
            words = "nobody reads it; react to it, or say in the catalogue's read_outside who does and why"
            yield Problem("reader", event.__name__, words)


def known_messages(declared: Declared) -> Iterator[Problem]:
    """Nobody takes or puts out a message that is on no topic."""
    said = declared.catalogue.sent_from_outside | declared.catalogue.read_outside.keys()
    used = [(message, "the catalogue's outside") for message in sorted(said, key=lambda message: message.__name__)]
    for service in declared.services:
        taken = [handler.subject for handler in service.handlers if not isinstance(handler.subject, str)]
        used += [(message, service.name) for message in dict.fromkeys([*taken, *declared.sends(service)])]
    for message, user in used:
        if not declared.homes(message):
            words = f"{user} names it, but it is on no topic; add it to a Topic's messages in the catalogue"
            yield Problem("unknown", message.__name__, words)


def single_writer(declared: Declared) -> Iterator[Problem]:
    """A service emits only to topics that it owns."""
    for service in declared.services:
        for event in declared.sends(service):
            homes = declared.homes(event)
            if issubclass(event, Event) and homes and all(topic.owner != service.name for topic in homes):
                home = homes[0]
                words = f"{service.name} emits it to {home.name}, which belongs to {home.owner}; let the owner emit it"
                yield Problem("writer", event.__name__, words)


def failures_told(declared: Declared) -> Iterator[Problem]:
    """Whoever handles commands can report those that failed for good."""
    event = failure_event(declared.catalogue)
    for service in declared.services if event else ():
        mine = [topic for topic in declared.homes(event) if topic.owner == service.name] if event else []
        if event and service.handled and not mine:
            words = f"handles commands, but none of its topics carries {event.__name__}; add it to its events topic"
            yield Problem("failures", service.name, words)


# -- topics -----------------------------------------------------------------------------------------------------------


def keys(declared: Declared) -> Iterator[Problem]:
    """Every message of a topic has the topic's key, a str."""
    for topic in declared.catalogue.topics:
        for message in topic.messages:
            field = message.model_fields.get(topic.key)
            if field is None:
                words = f"{topic.name} is keyed by {topic.key!r}, which it has no field for; add the field, or move it"
                yield Problem("key", message.__name__, words)
            elif field.annotation is not str:
                yield Problem(
                    "key", message.__name__, f"its key {topic.key!r} on {topic.name} must be a str, never null"
                )


def equal_partitions(declared: Declared) -> Iterator[Problem]:
    """Topics that are keyed alike are cut alike, so that what is joined lies together. A service checks its own."""
    for key in dict.fromkeys(topic.key for topic in declared.catalogue.topics):
        alike = [topic for topic in declared.catalogue.topics if topic.key == key]
        if len({topic.partitions for topic in alike}) > 1:
            listed = ", ".join(f"{topic.name}={topic.partitions}" for topic in alike)
            yield Problem("partitions", key, f"topics with this key must have the same partition count; here {listed}")


def cleanup(declared: Declared) -> Iterator[Problem]:
    """Messages are not compacted away, state is; a ledger keeps everything for ever."""
    for topic in declared.catalogue.topics:
        passing = [message.__name__ for message in topic.messages if not issubclass(message, State)]
        if topic.cleanup == "compact" and passing:
            words = (
                f"is compacted, so later messages of a key erase earlier {', '.join(passing)}; give it cleanup 'delete'"
            )
            yield Problem("cleanup", topic.name, words)
        if topic.cleanup == "delete" and len(passing) < len(topic.messages):
            yield Problem("cleanup", topic.name, "carries state, which old age would erase; give it cleanup 'compact'")
        if declared.ledgers(topic) and topic.retention is not None:
            yield Problem(
                "cleanup", topic.name, "is a ledger, which is the truth itself; give it retention None (for ever)"
            )


def one_topic_one_owner(declared: Declared) -> Iterator[Problem]:
    """A topic belongs to a service that is there, and only its owner keeps state in it."""
    names = {service.name for service in declared.services}
    for topic in declared.catalogue.topics:
        if topic.owner not in names:
            words = f"belongs to {topic.owner}, but there is no such service; add it, or name another owner"
            yield Problem("topic", topic.name, words)
        for keeper in dict.fromkeys([*declared.ledgers(topic), *declared.keepers(topic)]):
            if keeper != topic.owner:
                yield Problem("writer", topic.name, f"{keeper} keeps its state there, but it belongs to {topic.owner}")


def in_use(declared: Declared) -> Iterator[Problem]:
    """A topic of the catalogue is written or read."""
    for topic in declared.catalogue.topics:
        moved = [message for message in topic.messages if any(graph.givers(declared.services, topic, message))]
        taken = [message for message in topic.messages if declared.readers(message)]
        outside = declared.catalogue.sent_from_outside | declared.catalogue.read_outside.keys()
        used = moved or taken or outside.intersection(topic.messages) or declared.keepers(topic)
        if not used:
            yield Problem("topic", topic.name, "nobody writes or reads it; use it, or remove it from the catalogue")


def outsiders(declared: Declared) -> Iterator[Problem]:
    """A topic that outsiders write is guarded against duplicates, and no other."""
    for topic in declared.catalogue.topics:
        sent = [message.__name__ for message in topic.messages if message in declared.catalogue.sent_from_outside]
        if sent and not topic.external:
            words = f"{', '.join(sent)} may come from outside, so twice; mark the topic external=True"
            yield Problem("outside", topic.name, words)
        if topic.external and not sent:
            words = (
                "is external, but nothing on it is in sent_from_outside; list what outsiders write, or drop external"
            )
            yield Problem("outside", topic.name, words)


Rule = Callable[[Declared], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    sagas,
    one_owner,
    a_sender,
    a_reader,
    known_messages,
    single_writer,
    failures_told,
    keys,
    equal_partitions,
    cleanup,
    one_topic_one_owner,
    in_use,
    outsiders,
)
