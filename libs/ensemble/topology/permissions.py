"""The least permissions that each service needs, read from its declarations and nothing else.

    topic             its inputs, changelogs, ledgers      READ, DESCRIBE (the runtime asks for their ends)
                      what it emits, sends and stores      WRITE, DESCRIBE
                      all of these                         DESCRIBE_CONFIGS (compared with the catalogue at start)
    group             its own                              READ, DESCRIBE
    transactional id  `<service>-...`, one for each slot   WRITE, DESCRIBE

A service's principal is `User:<service>`. It may create, alter and delete nothing. A schema registry that keeps its
schemas in this Kafka has topics and groups of its own, by prefix, and creates its topics itself.
An operator reads everything and writes what operators' commands write: control topics, commands about orders, notes,
dead letters of records that are skipped; and sets the offsets of services' groups. A client writes what the catalogue
says is sent from outside, and reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ensemble.saga.table import Saga
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.service import Service
from ensemble.service.topics import NOTES, read_topics, written_topics
from ensemble.system_messages.operations import OPERATORS_IDS

Resource = Literal["topic", "group", "transactional id"]
Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]

ANY: Final = "*"
"""Kafka's name for all of a kind."""


class Need(NamedTuple):
    """One permission."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False
    """Whether the permission is for all names that begin with `name`."""

    def __str__(self) -> str:
        return f"{self.operation} {self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class Grant:
    """A permission and the principal it is for."""

    principal: str
    need: Need


def principal_of(service: Service) -> str:
    """Return Kafka's name of the user that the service logs in as."""
    return f"User:{service.name}"


def service_permissions(services: Iterable[Service]) -> list[Grant]:
    """Return all permissions that these services need, by principal and resource."""
    return [Grant(principal_of(service), need) for service in services for need in needs(service)]


def registry_permissions(user: str) -> list[Grant]:
    """Return what a schema registry needs that logs in as `user`: topics `<user>.…` and groups `<user>-…`."""
    topics: list[Operation] = ["CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"]
    groups: list[Operation] = ["DESCRIBE", "READ"]
    permissions = [Need("topic", f"{user}.", operation, prefixed=True) for operation in topics]
    permissions += [Need("group", f"{user}-", operation, prefixed=True) for operation in groups]
    return [Grant(f"User:{user}", need) for need in permissions]


def operator_permissions(user: str, services: Iterable[Service]) -> list[Grant]:
    """Return what an operator needs: to read everything and to write operators' commands, and nothing else."""
    outputs, groups = {NOTES.name}, set[str]()
    for service in services:
        groups.add(service.name)
        outputs |= {service.control.name, service.dead_letter.name}
        outputs |= {topic.name for topic in _saga_command_topics(service)}
    permissions = [Need("topic", ANY, "DESCRIBE"), Need("topic", ANY, "READ"), Need("group", ANY, "DESCRIBE")]
    permissions += [Need("group", name, "READ") for name in sorted(groups)]
    permissions += [Need("topic", name, "WRITE") for name in sorted(outputs)]
    permissions += [Need("transactional id", OPERATORS_IDS, "DESCRIBE", prefixed=True)]
    permissions += [Need("transactional id", OPERATORS_IDS, "WRITE", prefixed=True)]
    return [Grant(f"User:{user}", need) for need in permissions]


def client_permissions(user: str, catalogue: Catalogue) -> list[Grant]:
    """Return what a program outside of all services needs: to write what the catalogue says is sent from outside."""
    topics = {topic.name for topic in catalogue.topics if topic.is_external}
    operations: tuple[Operation, ...] = ("DESCRIBE", "WRITE")
    return [Grant(f"User:{user}", Need("topic", name, each)) for name in sorted(topics) for each in operations]


def _saga_command_topics(service: Service) -> list[Topic]:
    """Return the topics of operators' commands about single sagas that the service conducts."""
    sagas = [role.saga for role in service.descriptions if isinstance(role.saga, Saga)]
    return [topic for saga in sagas for kind in saga.operated_by or () for topic in service.catalogue.homes(kind)]


def needs(service: Service) -> list[Need]:
    """Return what one service needs, each permission once, in order."""
    topics = {Need("topic", topic.name, "READ") for topic in read_topics(service)}
    topics |= {Need("topic", topic.name, "WRITE") for topic in written_topics(service)}
    for name in {need.name for need in topics}:
        topics |= {Need("topic", name, "DESCRIBE"), Need("topic", name, "DESCRIBE_CONFIGS")}
    return [
        *sorted(topics),
        Need("group", service.name, "READ"),
        Need("group", service.name, "DESCRIBE"),
        Need("transactional id", f"{service.name}-", "WRITE", prefixed=True),
        Need("transactional id", f"{service.name}-", "DESCRIBE", prefixed=True),
    ]
