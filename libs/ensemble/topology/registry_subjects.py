"""Which record types are on which topics: what a schema registry has to contain before services run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ensemble.messages.message import Message
from ensemble.service.catalogue import Catalogue
from ensemble.service.service import Service


class Subject(NamedTuple):
    """One record type on one topic."""

    topic: str
    message: type[Message]


def registry_subjects(catalogue: Catalogue, services: Iterable[Service]) -> list[Subject]:
    """Return every subject once: the catalogue's messages, the runtime's, and the state in the services' changelogs.

    Topics of JSON have none.
    """
    topics = [topic for topic in catalogue.topics if topic.format == "avro"]
    subjects = {Subject(topic.name, message) for topic in topics for message in topic.messages}
    for service in services:
        subjects |= {Subject(topic.name, message) for topic in service.own_topics for message in topic.messages}
        stores = [(spec.changelog, spec.types) for spec in service.stores]
        subjects |= {Subject(topic.name, state) for topic, types in stores if topic for state in types}
    return sorted(subjects, key=lambda subject: (subject.topic, subject.message.__name__))
