"""Reads a consumer group's members and offsets, and sets offsets together with the records that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.kafka.group_description import GroupDescriptions
from ensemble.kafka.records import TopicPlace


class CommittedOffset(NamedTuple):
    """An offset as a group has committed it, with the text beside it."""

    offset: int
    metadata: str = ""


def members_of(admin: AdminClient, group: str, limit_s: float) -> list[str]:
    """Return the client ids of the group's members; none if there is no such group. Raises KafkaException."""
    try:
        described = GroupDescriptions(admin, group).describe(limit_s)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise
    return sorted(member.client_id for member in described.members)


def committed_by(admin: AdminClient, group: str, limit_s: float) -> dict[TopicPlace, CommittedOffset]:
    """Return what the group has committed, by partition. Raises KafkaException."""
    groups = [ConsumerGroupTopicPartitions(group)]
    answers = admin.list_consumer_group_offsets(groups, require_stable=True, request_timeout=limit_s)
    places: list[Any] = answers[group].result(limit_s).topic_partitions
    return {(p.topic, p.partition): CommittedOffset(p.offset, p.metadata or "") for p in places if p.offset >= 0}


def offsets_to_commit(offsets: Mapping[TopicPlace, CommittedOffset]) -> list[TopicPartition]:
    """Return offsets as the client takes them."""
    return [TopicPartition(*place, committed.offset, committed.metadata) for place, committed in offsets.items()]


def membership_of_an_outsider(config: Mapping[str, Any], group: str) -> Any:
    """Return the group metadata of a client that is no member: the broker takes its offsets if the group has none."""
    consumer = Consumer({**config, "group.id": group})
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()
