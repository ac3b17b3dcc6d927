"""What an outsider hears of a cluster, and that what it does not tell is one kind of error, whoever asks."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.errors import Unavailable
from ensemble.kafka.client import ClusterClient
from ensemble.kafka.client.access import PartitionReplicas
from ensemble.kafka.client.groups import GroupMember
from ensemble.kafka.errors import ClusterError
from tests.support.assigned_consumer import AssignedConsumer, Polled
from tests.support.client_answers import answer, done, refuse


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


class ToldAdmin:
    """An admin client of a cluster with two topics, of which the user may not see another one."""

    def list_topics(self, timeout: float) -> Any:
        led = SimpleNamespace(leader=0, replicas=[0, 2], isrs=[2])
        lost = SimpleNamespace(leader=-1, replicas=[1], isrs=[])
        topics = {"orders": {0: led, 1: lost}, "stock": {0: led}}
        described = {name: SimpleNamespace(partitions=partitions) for name, partitions in topics.items()}
        return SimpleNamespace(topics=described, cluster_id="c-1", brokers={2: "b", 1: "a"})

    def describe_topics(self, topics: Any, request_timeout: float) -> Any:
        if topics.topic_names == ["secret"]:
            return {"secret": refuse(KafkaError.TOPIC_AUTHORIZATION_FAILED)}
        return {name: answer(topic_id=f"id of {name}") for name in topics.topic_names}

    def list_offsets(self, specs: Any, **_: Any) -> Any:
        """Tell of one record of time 5 at offset 7, and of an empty partition."""
        told = {"TimestampSpec": 7, "LatestSpec": 8, "MaxTimestampSpec": 7}
        return {
            place: answer(offset=-1, timestamp=-1) if place.partition else answer(offset=told[kind], timestamp=5)
            for place, kind in ((place, type(spec).__name__) for place, spec in specs.items())
        }

    def describe_consumer_groups(self, names: Any, request_timeout: float) -> Any:
        return {names[0]: answer(members=[SimpleNamespace(client_id="shop-0", host="/10.0.0.1", assignment=None)])}

    def describe_configs(self, resources: Any, request_timeout: float) -> Any:
        [broker] = resources
        return {broker: done({"log.retention.ms": SimpleNamespace(value=f"of broker {broker.name}")})}


def told() -> ClusterClient:
    shared = {"bootstrap.servers": "there:9092", "sasl.username": "ann"}
    return ClusterClient(shared, ToldAdmin(), 1.0)  # type: ignore[arg-type]  # a fake


def test_a_cluster_is_described_as_it_is() -> None:
    assert told().topics() == {"orders": 2, "stock": 1}
    assert told().cluster_id() == "c-1"
    assert told().brokers() == [2, 1]
    assert told().topic_ids(["orders"]) == {"orders": "id of orders"}
    assert told().topic_ids([]) == {}
    assert told().last_written([("stock", 0), ("stock", 1)]) == {("stock", 0): 5}
    assert told().offsets_at([("stock", 0)], 5) == {("stock", 0): 7}
    assert told().members_of("shop") == [GroupMember("shop-0", "10.0.0.1", ())]
    assert told().broker_settings() == {"log.retention.ms": "of broker 2"}
    assert told().replicas() == [
        PartitionReplicas("orders", 0, has_leader=True, replicas=2, in_sync=1),
        PartitionReplicas("orders", 1, has_leader=False, replicas=1, in_sync=0),
        PartitionReplicas("stock", 0, has_leader=True, replicas=2, in_sync=1),
    ]


def test_the_partitions_of_topics_come_as_they_are_asked_for() -> None:
    assert told().places(["stock", "orders"]) == [("stock", 0), ("orders", 0), ("orders", 1)]


def test_a_topic_that_is_missing_is_told_apart_from_one_that_the_user_may_not_see() -> None:
    with pytest.raises(Unavailable, match=r"^no topic bills, mails on there:9092; `ensemble topics apply` makes"):
        told().places(["orders", "bills", "mails"])
    with pytest.raises(Unavailable, match=r"^User:ann may not WRITE topic secret; "):
        told().places(["orders", "secret"], need="WRITE")
    with pytest.raises(Unavailable, match=r"^User:ann may not READ topic secret; "):
        told().places(["secret"])


def test_a_cluster_that_does_not_answer_is_left_with_words() -> None:
    never = threading.Event()  # nobody sets it: the limit and the two seconds of grace are over at once
    client = ClusterClient({"bootstrap.servers": "there:9092"}, ToldAdmin(), -1.99)  # type: ignore[arg-type]  # a fake
    with pytest.raises(ClusterError, match=r"^Kafka at there:9092 did not tell its topics within -1\.99 s \(ENSEMBLE_"):
        client.ask("its topics", never.wait)
    never.set()


@pytest.mark.parametrize(("from_beginning", "offsets"), [(True, [1, 2]), (False, [])])
def test_who_follows_says_from_where(*, from_beginning: bool, offsets: list[int]) -> None:
    # given three records, of which the first is gone
    consumer: Any = AssignedConsumer([Polled(("stock", 0, offset)) for offset in range(3)])
    consumer.removed["stock", 0] = 1
    shared: dict[str, Any] = {"bootstrap.servers": "there:9092"}
    client = ClusterClient(shared, consumer, 1.0, make_consumer=lambda _: consumer)

    # when
    with client.follow([("stock", 0)], from_beginning=from_beginning) as follower:
        assert [record.offset for record in follower.poll(0)] == offsets
    consumer.coming.clear()
    assert client.high_watermarks([("stock", 0)]) == client.ends([("stock", 0)]) == {("stock", 0): 3}
    assert client.starts([("stock", 0)]) == {("stock", 0): 1}
    assert [record.offset for record in client.read([("stock", 0)])] == [1, 2]
    assert [record.offset for record in client.read_range(("stock", 0), 1, 2, 1.0)] == [1]
