"""Reads, follows and writes topics from outside of any service."""

from ensemble.kafka.client.access import ClusterClient, KafkaException, PartitionReplicas, client_with, open_client
from ensemble.kafka.client.following import Follower
from ensemble.kafka.client.groups import CommittedOffset, GroupMember
from ensemble.kafka.client_config import assigned_reader, plain_producer
from ensemble.kafka.client_config import common as common_settings
from ensemble.kafka.offset_metadata import recorded_in
from ensemble.kafka.records import ReceivedRecord, TopicPlace, readable

__all__ = [
    "ClusterClient",
    "CommittedOffset",
    "Follower",
    "GroupMember",
    "KafkaException",
    "PartitionReplicas",
    "ReceivedRecord",
    "TopicPlace",
    "assigned_reader",
    "client_with",
    "common_settings",
    "open_client",
    "plain_producer",
    "readable",
    "recorded_in",
]
