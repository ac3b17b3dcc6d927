"""Which topics a service reads, writes and owns, and the one topic that belongs to no service."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Final

from ensemble.messages.message import Event
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.service import Service

NOTES: Final = Topic("operators.notes", "operators", key="", partitions=1, cleanup="compact")
"""Operators' notes on groups of dead letters, of all services."""


def read_topics(service: Service) -> list[Topic]:
    """Return what a service reads: inputs, operators' commands, and what its state is restored from."""
    return by_name([*service.inputs, service.control, *service.changelogs, *service.ledgers])


def written_topics(service: Service) -> list[Topic]:
    """Return what a service writes: outputs, state, facts, dead letters, failed commands, answers to operators."""
    outputs = [service.catalogue.home(message, service.name) for message in (*service.emits, *service.sends)]
    reports = [service.dead_letter, service.operations, *failure_topics(service)]
    return by_name([*outputs, *service.changelogs, *service.ledgers, *reports])


def used_topics(service: Service) -> list[Topic]:
    """Return what a service reads, writes or owns: all that has to exist before it starts."""
    owned = [topic for topic in service.catalogue.topics if topic.owner == service.name]
    return by_name([*read_topics(service), *written_topics(service), *owned])


def failure_topics(service: Service) -> list[Topic]:
    """Return the service's own topics that carry the event of a command that failed for good; none without commands."""
    event = failure_event(service.catalogue)
    if not service.command_handlers:
        return []
    return [topic for topic in service.catalogue.topics if topic.owner == service.name and event in topic.messages]


def failure_event(catalogue: Catalogue) -> type[Event] | None:
    """Return the event that `on_exhausted` makes, read from its return type."""
    if catalogue.on_exhausted is None:
        return None
    return_type = typing.get_type_hints(catalogue.on_exhausted).get("return")
    options = typing.get_args(return_type) or (return_type,)
    return next((kind for kind in options if isinstance(kind, type) and issubclass(kind, Event)), None)


def by_name(topics: Iterable[Topic]) -> list[Topic]:
    """Return each topic once, by name."""
    unique = {topic.name: topic for topic in topics}
    return [unique[name] for name in sorted(unique)]
