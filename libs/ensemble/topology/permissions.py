"""The least that each service must be allowed to do, read from its declarations and nothing else.

    topic             its inputs, changelogs, ledgers      READ, DESCRIBE (their ends are asked for)
                      what it emits, sends and keeps       WRITE, DESCRIBE
                      all of these                         DESCRIBE_CONFIGS (compared with the catalogue at start)
    group             its own                              READ, DESCRIBE
    transactional id  `<service>-...`, one for each slot   WRITE, DESCRIBE

A service's principal is `User:<service>`. Nothing of it may create, alter or delete. A schema registry that keeps its
schemas in this Kafka has topics and groups of its own, by prefix, and makes its topics itself.
An operator reads everything and writes what operators' commands write: control topics, commands about orders, notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ensemble.saga.table import Saga
from ensemble.service.catalogue import Topic
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
    """The permission is for all names that begin so."""

    def __str__(self) -> str:
        return f"{self.operation} {self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class Grant:
    """A permission and whose it is."""

    principal: str
    need: Need


def principal_of(service: Service) -> str:
    """As Kafka names the user that the service logs in as."""
    return f"User:{service.name}"


def grants(services: Iterable[Service]) -> list[Grant]:
    """All that these services need, by principal and resource."""
    return [Grant(principal_of(service), need) for service in services for need in needs(service)]


def registry_grants(user: str) -> list[Grant]:
    """What a schema registry needs that logs in as `user`: topics `<user>.…` and groups `<user>-…`."""
    topics: list[Operation] = ["CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"]
    groups: list[Operation] = ["DESCRIBE", "READ"]
    wanted = [Need("topic", f"{user}.", operation, prefixed=True) for operation in topics]
    wanted += [Need("group", f"{user}-", operation, prefixed=True) for operation in groups]
    return [Grant(f"User:{user}", need) for need in wanted]


def operator_grants(user: str, services: Iterable[Service]) -> list[Grant]:
    """What a person needs who looks at everything and writes what operators write, and nothing else."""
    written = {NOTES.name}
    for service in services:
        written |= {service.control.name, *(topic.name for topic in _operated(service))}
    wanted = [Need("topic", ANY, "DESCRIBE"), Need("topic", ANY, "READ"), Need("group", ANY, "DESCRIBE")]
    wanted += [Need("topic", name, "WRITE") for name in sorted(written)]
    wanted += [Need("transactional id", OPERATORS_IDS, "DESCRIBE", prefixed=True)]
    wanted += [Need("transactional id", OPERATORS_IDS, "WRITE", prefixed=True)]
    return [Grant(f"User:{user}", need) for need in wanted]


def _operated(service: Service) -> list[Topic]:
    """Where commands about single sagas go that the service conducts."""
    sagas = [role.conducts for role in service.descriptions if isinstance(role.conducts, Saga)]
    return [topic for saga in sagas for kind in saga.operated_by or () for topic in service.catalogue.homes(kind)]


def needs(service: Service) -> list[Need]:
    """What one service needs, each permission once, in order."""
    found = {Need("topic", topic.name, "READ") for topic in read_topics(service)}
    found |= {Need("topic", topic.name, "WRITE") for topic in written_topics(service)}
    for name in {need.name for need in found}:
        found |= {Need("topic", name, "DESCRIBE"), Need("topic", name, "DESCRIBE_CONFIGS")}
    return [
        *sorted(found),
        Need("group", service.name, "READ"),
        Need("group", service.name, "DESCRIBE"),
        Need("transactional id", f"{service.name}-", "WRITE", prefixed=True),
        Need("transactional id", f"{service.name}-", "DESCRIBE", prefixed=True),
    ]
