"""Everything declared: all services, and the catalogue that they share, with the questions that the rules ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ensemble.messages.message import Message
from ensemble.saga.table import Saga
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.roles import RoleDescription, RoleSpec
from ensemble.service.service import Service
from ensemble.topology import graph


@dataclass(frozen=True)
class Problem:
    """A rule that is broken, by what, and what to do about it."""

    rule: str
    subject: str
    words: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.words}"


@dataclass(frozen=True)
class Declared:
    """All services and the catalogue they share."""

    services: tuple[Service, ...]
    catalogue: Catalogue

    def messages(self, kind: type[Message]) -> list[type[Message]]:
        """The catalogue's messages of one kind."""
        return [message for message in self.catalogue.message_types() if issubclass(message, kind)]

    def homes(self, message: type[Message]) -> list[Topic]:
        """The topics that carry `message`; none when the catalogue does not know it."""
        return [topic for topic in self.catalogue.topics if message in topic.messages]

    def owners(self, command: type[Message]) -> list[Service]:
        return [service for service in self.services if command in service.handled]

    def readers(self, message: type[Message]) -> list[str]:
        """The roles that take `message`, and the ledgers that are folded from it."""
        kept = [name for topic in self.homes(message) for name in self.ledgers(topic)]
        return [*(node.name for node in graph.takers(self.services, message)), *kept]

    def writers(self, message: type[Message]) -> list[str]:
        """The roles that put out `message`, and the runtime where it reports failed commands."""
        return [node.name for topic in self.homes(message) for node in graph.givers(self.services, topic, message)]

    def ledgers(self, topic: Topic) -> list[str]:
        """The services that fold their state from `topic`."""
        return [service.name for service in self.services if topic in service.ledgers]

    def keepers(self, topic: Topic) -> list[str]:
        """The services whose state `topic` is the changelog of."""
        return [service.name for service in self.services if topic in service.changelogs]

    def sends(self, service: Service) -> list[type[Message]]:
        """What the service's buses declare, in the order of their names."""
        return sorted(service.emits | service.sends, key=lambda message: message.__name__)

    def conductors(self) -> Iterator[tuple[RoleSpec, RoleDescription, Saga[Any, Any]]]:
        """The roles that play a saga's table."""
        for service in self.services:
            for spec, description in zip(service.roles, service.descriptions, strict=True):
                if isinstance(description.conducts, Saga):
                    yield spec, description, description.conducts
