"""Topics on the cluster: created from the catalogue and compared with it, never created by writing to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Literal

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]  # unmarked re-exports

from ensemble.clock import until
from ensemble.errors import ConfigurationError, Unavailable
from ensemble.kafka.authorization import hidden_topics
from ensemble.kafka.errors import PASSING, retry
from ensemble.kafka.offsets import high_watermarks
from ensemble.program import command
from ensemble.service.catalogue import COMPACTION, OUTSIDE, Catalogue, Topic
from ensemble.service.service import Service
from ensemble.service.topics import used_topics

log = structlog.get_logger()

LIMIT_S: Final = 300.0
"""How long each of these waits for a cluster that is slow, or still coming up."""
_UNLIMITED: Final = "-1"
_LOOK_EVERY_S: Final = 0.05
_PAUSE_S: Final = 0.5
_PASSING: Final = PASSING - {KafkaError.UNKNOWN_TOPIC_OR_PART}


@dataclass(frozen=True)
class TopicState:
    """One topic of the catalogue, as the cluster has it."""

    topic: Topic
    status: Literal["ok", "missing", "wrong"]
    detail: str = ""
    advice: str = ""
    """What would better be set otherwise, and how, if the topic can be used as it is; else how to put it right."""


def all_topics(catalogue: Catalogue, services: Iterable[Service]) -> list[Topic]:
    """Every topic that has to exist, each once, by name."""
    topics = {topic.name: topic for topic in catalogue.topics}
    for service in services:
        topics.update({topic.name: topic for topic in service.own_topics})
    return [topics[name] for name in sorted(topics)]


def compare(
    admin: AdminClient, topics: Iterable[Topic], limit_s: float = LIMIT_S, *, inputs: Collection[Topic] = ()
) -> list[TopicState]:
    """Return each topic's state on the cluster: missing, ok, or wrong in its partition count, cleanup policy or limits.

    Limits are wrong that remove what has to be kept for ever; others are advised against. How a topic is made anew is
    told of services' `inputs`.

    Raises Unavailable if the cluster does not answer within `limit_s`.
    """
    declared = list(topics)
    try:
        return retry(lambda: _compare(admin, declared, limit_s, inputs), limit_s, _PAUSE_S, may_pass=_may_pass)
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise Unavailable(f"cannot read the cluster's topics: {reason}; is the broker up?") from None


def _compare(admin: AdminClient, declared: list[Topic], limit_s: float, inputs: Collection[Topic]) -> list[TopicState]:
    existing = admin.list_topics(timeout=limit_s).topics
    candidates = [topic for topic in declared if topic.name in existing and existing[topic.name].error is None]
    settings = _settings(admin, candidates, limit_s)
    present = [topic for topic in candidates if topic.name in settings]
    unseen = hidden_topics(admin, [topic.name for topic in declared if topic not in present], limit_s)
    states = []
    for topic in declared:
        if topic.name in unseen:
            states.append(TopicState(topic, "wrong", "cannot be seen: this user may not DESCRIBE it"))
            continue
        if topic not in present:
            states.append(TopicState(topic, "missing", "does not exist"))
            continue
        partitions = len(existing[topic.name].partitions)
        wrong = _differences(topic, partitions, settings[topic.name])
        shrinking = describe_shrinking(topic.name, inputs) if partitions > topic.partitions else ""
        advice = shrinking or _advice(topic, settings[topic.name])
        states.append(TopicState(topic, "wrong" if wrong else "ok", "; ".join(wrong), advice))
    return states


def apply(
    admin: AdminClient,
    topics: Iterable[Topic],
    replication: int = 1,
    limit_s: float = LIMIT_S,
    *,
    inputs: Collection[Topic] = (),
) -> list[TopicState]:
    """Create what is missing, and return the states from before. What differs is reported, never changed.

    Raises Unavailable if the cluster refuses a topic, or does not answer within `limit_s`.
    """
    states = compare(admin, topics, limit_s, inputs=inputs)
    missing = [state.topic for state in states if state.status == "missing"]
    if missing:
        _create(admin, missing, replication, limit_s)
        _await_ready(admin, missing, max(limit_s, LIMIT_S))  # it creates hundreds of partitions, a file each
    return states


def _create(admin: AdminClient, topics: list[Topic], replication: int, limit_s: float) -> None:
    """Create the topics; those that an attempt has made without an answer exist for the next one."""
    new = [NewTopic(t.name, t.partitions, replication, config=t.config(replication)) for t in topics]

    def attempt() -> None:
        answers = admin.create_topics(new, operation_timeout=limit_s, request_timeout=limit_s)
        for name, future in answers.items():
            _check_created(name, future, limit_s)

    try:
        retry(attempt, limit_s, _PAUSE_S, may_pass=_may_pass)
    except KafkaException as error:
        raise Unavailable(f"cannot create topics: {error.args[0].str()}; is the broker up?") from None


def require(admin: AdminClient, service: Service, limit_s: float = LIMIT_S) -> None:
    """Raise ConfigurationError unless every topic of the service exists and is as declared. Advice is logged."""
    states = compare(admin, used_topics(service), limit_s, inputs=service.inputs)
    for state in states:
        if state.advice and state.status == "ok":
            log.warning("topic.differs", topic=state.topic.name, reason=state.advice)
    bad = [state for state in states if state.status != "ok"]
    if bad:
        differences = "; ".join(". ".join(filter(None, (f"{s.topic.name} {s.detail}", s.advice))) for s in bad)
        raise ConfigurationError(
            f"topics are not as the catalogue says: {differences}. Missing ones are made by "
            f"`{command('topics apply')}`; wrong ones have to be put right by hand"
        )


def _differences(topic: Topic, partitions: int, settings: Mapping[str, str]) -> list[str]:
    wrong, cleanup = [], settings["cleanup.policy"]
    if partitions != topic.partitions:
        wrong.append(f"has {partitions} partitions, not {topic.partitions}")
    if cleanup != topic.cleanup:
        wrong.append(f"has cleanup.policy {cleanup}, not {topic.cleanup}")
    limits = _early_ends(topic, settings)
    if limits and topic.retention is None:
        values = ", ".join(f"{name} {settings[name]}" for name in limits)
        wrong.append(f"has {values}, but its records have to be kept for ever: {_alteration(topic, limits)}")
    return wrong


def describe_shrinking(topic: str, inputs: Iterable[Topic], service: str = "SERVICE") -> str:
    """Return the commands by which an input has its declared partitions again, and nothing unread is lost.

    None, an empty text, of what is not among these inputs, of what holds state, which only a backup could bring back,
    and of what another system owns: there they would lose what nobody sets aside.
    """
    if not any(each.name == topic and _is_transient(each) and each.owner != OUTSIDE for each in inputs):
        return ""
    commands = (
        f"records set-aside {topic} --service {service}",
        "topics apply",
        f"consumers set-offsets {service} --topic {topic} --to earliest",
        f"dead-letters redrive --service {service} --error SetAsideByOperator",
    )
    aside, apply, offsets, redrive = (f"`{command(arguments)}`" for arguments in commands)
    return (
        "Kafka takes no partition away, so the topic has to be made anew: stop who writes it and who reads it; "
        f"{aside} for each service that reads it; delete the topic, `kafka-topics.sh --delete --topic {topic}`; "
        f"{apply}; {offsets} for each; start them, and {redrive}"
    )


def _is_transient(topic: Topic) -> bool:
    return topic.retention is not None and topic.cleanup == "delete"


def _advice(topic: Topic, settings: Mapping[str, str]) -> str:
    """Return what would better be set otherwise, and how; empty if nothing is, or the broker does not tell."""
    declared, changes, reasons = topic.config(), dict[str, str](), list[str]()

    def note(reason: str, names: Iterable[str]) -> None:
        changes.update(limits := {name: declared.get(name, _UNLIMITED) for name in names})
        reasons.extend([reason] if limits else [])

    if topic.cleanup == "compact":
        slow = [name for name, value in COMPACTION.items() if float(settings.get(name, value)) > float(value)]
        note("superseded records stay for long, which makes restores slow", slow)
        brief = _below(settings, declared, ["delete.retention.ms"])
        note("deletions are told for so short a time that copies of state on disk may miss them", brief)
    elif topic.retention is not None:
        note("records are removed earlier than declared, also such as nobody has read", _early_ends(topic, settings))
    note("records that it is declared for are refused as too large", _below(settings, declared, ["max.message.bytes"]))
    return "; ".join([*reasons, _alteration(topic, changes)]) if changes else ""


def _early_ends(topic: Topic, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings, as they should be, by which the cluster removes records sooner than declared."""
    if topic.cleanup != "delete":
        return {}
    declared = {"retention.ms": topic.config()["retention.ms"], "retention.bytes": _UNLIMITED}
    return {name: declared[name] for name in _below(settings, declared, declared)}


def _below(settings: Mapping[str, str], declared: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return those of these limits that are lower than declared; -1 is none."""
    return [name for name in names if _limit(settings.get(name, declared[name])) < _limit(declared[name])]


def _limit(value: str) -> float:
    return inf if value == _UNLIMITED else float(value)


def _alteration(topic: Topic, changes: Mapping[str, str]) -> str:
    entries = ",".join(f"{name}={value}" for name, value in changes.items())
    return f"kafka-configs --alter --entity-type topics --entity-name {topic.name} --add-config {entries}"


def _settings(admin: AdminClient, topics: list[Topic], limit_s: float) -> dict[str, dict[str, str]]:
    """Return the settings of each topic by name, without topics that are still listed but were deleted a moment ago."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    by_topic: dict[str, dict[str, str]] = {}
    for resource, future in admin.describe_configs(resources, request_timeout=limit_s).items():
        try:
            by_topic[resource.name] = {name: entry.value for name, entry in future.result(limit_s).items()}
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return by_topic


def _await_ready(admin: AdminClient, created: list[Topic], limit_s: float) -> None:
    """Wait until brokers list the new topics and their partitions have leaders, which follows their creation."""
    unseen = names = {topic.name for topic in created}
    for _ in until(limit_s, _LOOK_EVERY_S):
        if not (unseen := names - admin.list_topics(timeout=limit_s).topics.keys()):
            break
    if unseen:
        raise Unavailable(f"the cluster created {', '.join(sorted(unseen))}, but does not list them")
    places = [(topic.name, partition) for topic in created for partition in range(topic.partitions)]
    try:
        high_watermarks(admin, places, limit_s)
    except KafkaException as error:
        raise Unavailable(
            f"the cluster created the topics, but they cannot be read yet: {error.args[0].str()}"
        ) from None


def _check_created(name: str, future: Any, limit_s: float) -> None:
    """Raise unless the topic exists now: KafkaException if another attempt may help, else Unavailable."""
    try:
        future.result(limit_s)
    except KafkaException as error:
        if _may_pass(error.args[0]):
            raise
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise Unavailable(f"cannot create topic {name}: {error.args[0].str()}") from None


def _may_pass(error: KafkaError) -> bool:
    return error.code() in _PASSING
