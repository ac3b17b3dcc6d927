"""What the cluster does not tell is one kind of error, whoever asks."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.client import ClusterClient
from ensemble.kafka.errors import ClusterError


class AwayAdmin:
    """An admin client whose brokers have gone."""

    def list_topics(self, timeout: float) -> Any:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata: transport failure"))

    def describe_topics(self, topics: Any, request_timeout: float) -> Any:
        raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))


def client() -> ClusterClient:
    return ClusterClient({"bootstrap.servers": "nowhere:9092"}, AwayAdmin(), 1.0)  # type: ignore[arg-type]  # a fake


def test_brokers_that_are_away_are_an_error_of_the_cluster() -> None:
    with pytest.raises(ClusterError, match=r"^Kafka: Failed to get metadata: transport failure$"):
        client().topics()


def test_what_fails_before_the_question_is_sent_is_one_as_well() -> None:
    with pytest.raises(ClusterError, match=r"^Kafka: all brokers are down$"):
        client().topic_ids(["orders"])
