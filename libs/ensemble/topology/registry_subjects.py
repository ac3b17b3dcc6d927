"""Which record types are on which topics: what a schema registry has to contain before services run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ensemble.messages.message import Message
from ensemble.service.catalogue import Catalogue
from ensemble.service.service import Service
from ensemble.state.deduplication import WindowLimits
from ensemble.state.partition import PartitionStores


class Subject(NamedTuple):
    """One record type on one topic."""

    topic: str
    message: type[Message]


def registry_subjects(catalogue: Catalogue, services: Iterable[Service]) -> list[Subject]:
    """Return every subject once: the catalogue's messages, and the state in the services' changelogs."""
    subjects = dict.fromkeys(Subject(topic.name, message) for topic in catalogue.topics for message in topic.messages)
    for service in services:
        own = (service.control, service.operations)
        subjects.update(dict.fromkeys(Subject(topic.name, message) for topic in own for message in topic.messages))
        for store in PartitionStores(service, WindowLimits()).all:
            subjects.update(dict.fromkeys(Subject(store.changelog, kind) for kind in store.types))
    return sorted(subjects, key=lambda subject: (subject.topic, subject.message.__name__))
