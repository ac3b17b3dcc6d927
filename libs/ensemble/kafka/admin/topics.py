"""Topics on the cluster: created from the catalogue and compared with it, never created by writing to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]  # unmarked re-exports

from ensemble.clock import until
from ensemble.errors import ConfigurationError
from ensemble.kafka.authorization import hidden_topics
from ensemble.kafka.offsets import high_watermarks
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.service import Service
from ensemble.service.topics import used_topics

_TIMEOUT_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.05


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
    """Return each topic's state on the cluster: missing, wrong partition count or cleanup policy, or ok.

    Raises ConfigurationError if the cluster does not answer.
    """
    try:
        return _compare(admin, list(topics))
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise ConfigurationError(f"cannot read the cluster's topics: {reason}; is the broker up?") from None


def _compare(admin: AdminClient, declared: list[Topic]) -> list[TopicState]:
    existing = admin.list_topics(timeout=_TIMEOUT_S).topics
    present = [topic for topic in declared if topic.name in existing and existing[topic.name].error is None]
    policies = _cleanup_policies(admin, present)
    unseen = hidden_topics(admin, [topic.name for topic in declared if topic not in present])
    states = []
    for topic in declared:
        if topic.name in unseen:
            states.append(TopicState(topic, "wrong", "cannot be seen: this user may not DESCRIBE it"))
            continue
        if topic not in present:
            states.append(TopicState(topic, "missing", "does not exist"))
            continue
        wrong = _differences(topic, len(existing[topic.name].partitions), policies[topic.name])
        states.append(TopicState(topic, "wrong" if wrong else "ok", "; ".join(wrong)))
    return states


def apply(admin: AdminClient, topics: Iterable[Topic], replication: int = 1) -> list[TopicState]:
    """Create what is missing, and return the states from before. What differs is reported, never changed."""
    states = compare(admin, topics)
    missing = [state.topic for state in states if state.status == "missing"]
    if missing:
        answers = admin.create_topics(
            [NewTopic(t.name, t.partitions, replication, config=t.config(replication)) for t in missing],
            operation_timeout=_TIMEOUT_S,
        )
        for name, future in answers.items():
            _check_created(name, future)
        _await_ready(admin, missing)
    return states


def require(admin: AdminClient, service: Service) -> None:
    """Raise ConfigurationError unless every topic of the service exists and is as declared."""
    bad = [state for state in compare(admin, used_topics(service)) if state.status != "ok"]
    if bad:
        states = "; ".join(f"{state.topic.name} {state.detail}" for state in bad)
        raise ConfigurationError(
            f"topics are not as the catalogue says: {states}. Missing ones are made by `ensemble topics apply`; "
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
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
    return {resource.name: future.result(_TIMEOUT_S)["cleanup.policy"].value for resource, future in answers.items()}


def _await_ready(admin: AdminClient, created: list[Topic]) -> None:
    """Wait until brokers list the new topics and their partitions have leaders, which follows their creation."""
    unseen = names = {topic.name for topic in created}
    for _ in until(_TIMEOUT_S, _LOOK_EVERY_S):
        if not (unseen := names - admin.list_topics(timeout=_TIMEOUT_S).topics.keys()):
            break
    if unseen:
        raise ConfigurationError(f"the cluster created {', '.join(sorted(unseen))}, but does not list them")
    places = [(topic.name, partition) for topic in created for partition in range(topic.partitions)]
    try:
        high_watermarks(admin, places, _TIMEOUT_S)
    except KafkaException as error:
        raise ConfigurationError(
            f"the cluster created the topics, but they cannot be read yet: {error.args[0].str()}"
        ) from None


def _check_created(name: str, future: Any) -> None:
    try:
        future.result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConfigurationError(f"cannot create topic {name}: {error.args[0].str()}") from None
