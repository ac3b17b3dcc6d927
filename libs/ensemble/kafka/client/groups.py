"""Reads a consumer group's members and offsets, and sets offsets together with the records that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.kafka.client_config import SHORT_LIVED
from ensemble.kafka.errors import PASSING, retry
from ensemble.kafka.group_description import GroupDescriptions
from ensemble.kafka.records import TopicPlace

_PAUSE_S: Final = 0.2
_ATTEMPT_S: Final = 5.0


class CommittedOffset(NamedTuple):
    """An offset as a group has committed it, with the text beside it."""

    offset: int
    metadata: str = ""


class GroupMember(NamedTuple):
    """A process of a group: its client id, the address that it came from, and the partitions that it has."""

    client_id: str
    host: str
    places: tuple[TopicPlace, ...]


def members_of(admin: AdminClient, group: str, limit_s: float, renew: Callable[[], AdminClient]) -> list[GroupMember]:
    """Return the group's members by client id; none if there is no such group.

    Another client, which `renew` makes, is asked where `admin` gives no answer. Raises KafkaException.
    """
    descriptions = GroupDescriptions(admin, group, renew)
    try:
        described = retry(
            lambda: descriptions.describe(min(_ATTEMPT_S, limit_s)),
            limit_s,
            _PAUSE_S,
            may_pass=lambda error: error.code() in PASSING,
        )
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise
    return sorted(map(_member, described.members))


def _member(description: Any) -> GroupMember:
    assignment = description.assignment
    places = assignment.topic_partitions if assignment else ()
    host = str(description.host).lstrip("/")
    return GroupMember(description.client_id, host, tuple(sorted((place.topic, place.partition) for place in places)))


def committed_by(
    config: Mapping[str, Any],
    group: str,
    places: Iterable[TopicPlace],
    limit_s: float,
    *,
    make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
) -> dict[TopicPlace, CommittedOffset]:
    """Return what the group has committed of these places, by partition; asked again while a transaction hides it.

    A consumer asks that never joins the group (librdkafka workaround): an admin client crashes the process when the
    group's coordinator moves, waits without end for one that was restarted, and tells of a hidden offset that there is
    none. Raises KafkaException after `limit_s`.
    """
    consumer = make_consumer({**config, "group.id": group, **SHORT_LIVED})
    partitions = [TopicPartition(*place) for place in places]
    try:
        return retry(
            lambda: _committed(consumer, partitions, limit_s),
            limit_s,
            _PAUSE_S,
            may_pass=lambda error: error.code() in PASSING,
        )
    finally:
        consumer.close()


def _committed(
    consumer: Consumer, partitions: list[TopicPartition], limit_s: float
) -> dict[TopicPlace, CommittedOffset]:
    places = consumer.committed(partitions, timeout=limit_s)
    if hidden := [place for place in places if place.error is not None]:
        raise KafkaException(hidden[0].error)
    return {(p.topic, p.partition): CommittedOffset(p.offset, p.metadata or "") for p in places if p.offset >= 0}


def offsets_to_commit(offsets: Mapping[TopicPlace, CommittedOffset]) -> list[TopicPartition]:
    """Return offsets as the client takes them."""
    return [TopicPartition(*place, committed.offset, committed.metadata) for place, committed in offsets.items()]


def membership_of_an_outsider(
    config: Mapping[str, Any], group: str, *, make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer
) -> Any:
    """Return the group metadata of a client that is no member: the broker takes its offsets if the group has none."""
    consumer = make_consumer({**config, "group.id": group})
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()
