"""Topics on the cluster: created from the catalogue, compared with it, never made by writing to them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]  # unmarked re-exports

from ensemble.errors import ConfigurationError
from ensemble.kafka.authorization import hidden_topics
from ensemble.kafka.offsets import high_watermarks
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.service import Service
from ensemble.service.topics import used_topics

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class TopicState:
    """One topic of the catalogue, as the cluster has it."""

    topic: Topic
    status: Literal["ok", "missing", "wrong"]
    detail: str = ""


def all_topics(catalogue: Catalogue, services: Iterable[Service]) -> list[Topic]:
    """Every topic that has to exist, each once, by name."""
    topics = {topic.name: topic for topic in catalogue.topics}
    for service in services:
        topics.update({topic.name: topic for topic in service.own_topics})
    return [topics[name] for name in sorted(topics)]


def compare(admin: AdminClient, topics: Iterable[Topic]) -> list[TopicState]:
    """Each topic's state on the cluster: missing, wrong partition count or cleanup policy, or fine.

    ConfigurationError when the cluster does not say.
    """
    try:
        return _compare(admin, list(topics))
    except (KafkaException, TimeoutError) as error:
        why = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise ConfigurationError(f"cannot read the cluster's topics: {why}; is the broker up, and may you?") from None


def _compare(admin: AdminClient, wanted: list[Topic]) -> list[TopicState]:
    found = admin.list_topics(timeout=_TIMEOUT_S).topics
    present = [topic for topic in wanted if topic.name in found and found[topic.name].error is None]
    policies = _cleanup_policies(admin, present)
    unseen = hidden_topics(admin, [topic.name for topic in wanted if topic not in present])
    states = []
    for topic in wanted:
        if topic.name in unseen:
            states.append(TopicState(topic, "wrong", "cannot be seen: this user may not DESCRIBE it"))
            continue
        if topic not in present:
            states.append(TopicState(topic, "missing", "does not exist"))
            continue
        wrong = _differences(topic, len(found[topic.name].partitions), policies[topic.name])
        states.append(TopicState(topic, "wrong" if wrong else "ok", "; ".join(wrong)))
    return states


def apply(admin: AdminClient, topics: Iterable[Topic], replication: int = 1) -> list[TopicState]:
    """Create what is missing; what differs is reported, never changed. Returns the states as they were found."""
    states = compare(admin, topics)
    missing = [state.topic for state in states if state.status == "missing"]
    if missing:
        made = admin.create_topics(
            [NewTopic(t.name, t.partitions, replication, config=t.config(replication)) for t in missing],
            operation_timeout=_TIMEOUT_S,
        )
        for name, future in made.items():
            _created(name, future)
        _await_ready(admin, missing)
    return states


def require(admin: AdminClient, service: Service) -> None:
    """ConfigurationError unless every topic of the service is there and right."""
    bad = [state for state in compare(admin, used_topics(service)) if state.status != "ok"]
    if bad:
        listed = "; ".join(f"{state.topic.name} {state.detail}" for state in bad)
        raise ConfigurationError(
            f"topics are not as the catalogue says: {listed}. Missing ones are made by `ensemble topics apply`; "
            "wrong ones have to be put right by hand"
        )


def _differences(topic: Topic, partitions: int, cleanup: str) -> list[str]:
    wrong = []
    if partitions != topic.partitions:
        wrong.append(f"has {partitions} partitions, not {topic.partitions}")
    if cleanup != topic.cleanup:
        wrong.append(f"has cleanup.policy {cleanup}, not {topic.cleanup}")
    return wrong


def _cleanup_policies(admin: AdminClient, topics: list[Topic]) -> dict[str, str]:
    if not topics:
        return {}
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(asked, request_timeout=_TIMEOUT_S)
    return {resource.name: future.result(_TIMEOUT_S)["cleanup.policy"].value for resource, future in answers.items()}


def _await_ready(admin: AdminClient, made: list[Topic]) -> None:
    """The broker answers before new topics are shown to everybody, and before their partitions have leaders."""
    names, deadline = {topic.name for topic in made}, time.monotonic() + _TIMEOUT_S
    while not_seen := names - admin.list_topics(timeout=_TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise ConfigurationError(f"the cluster made {', '.join(sorted(not_seen))}, but does not show them")
        time.sleep(0.05)
    places = [(topic.name, partition) for topic in made for partition in range(topic.partitions)]
    try:
        high_watermarks(admin, places, _TIMEOUT_S)
    except KafkaException as error:
        raise ConfigurationError(
            f"the cluster made the topics, but cannot be read yet: {error.args[0].str()}"
        ) from None


def _created(name: str, future: Any) -> None:
    try:
        future.result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConfigurationError(f"cannot create topic {name}: {error.args[0].str()}") from None
