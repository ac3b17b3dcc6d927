"""What an outsider hears of a cluster, and that what it does not tell is one kind of error, whoever asks."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from ensemble.errors import Unavailable
from ensemble.kafka.client import ClusterClient
from ensemble.kafka.client.access import PartitionReplicas, client_with
from ensemble.kafka.client.groups import CommittedOffset, GroupMember
from ensemble.kafka.client_config import CLIENT_LOG
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


class Confirming:
    """A producer that confirms each record at offset 7 of its partition, and notes what it is asked."""

    def __init__(self) -> None:
        self.configs: list[dict[str, Any]] = []
        self.steps: list[Any] = []

    def __call__(self, config: dict[str, Any]) -> Any:
        self.configs.append(config)
        return self

    def __len__(self) -> int:
        return 0

    def produce(self, topic: str, value: Any, *more: Any) -> None:
        key, partition, report, _, _, headers = more
        self.steps.append((topic, value, key, partition, headers))
        report(None, Polled((topic, max(partition, 0), 7), (key, value)))

    def flush(self, _: float) -> int:
        return 0

    def poll(self, _: float) -> int:
        return 0

    def init_transactions(self, _: float) -> None:
        self.steps.append("init")

    def begin_transaction(self) -> None:
        self.steps.append("begin")

    def send_offsets_to_transaction(self, partitions: Any, group: Any, _: float) -> None:
        self.steps.append([(group, p.topic, p.partition, p.offset, p.metadata) for p in partitions])

    def commit_transaction(self, _: float) -> None:
        self.steps.append("commit")


def writing(producer: Confirming, consumer: Any = None) -> ClusterClient:
    shared = {"bootstrap.servers": "there:9092"}
    make: Any = consumer or AssignedConsumer
    return ClusterClient(shared, ToldAdmin(), 3.0, make_consumer=make, make_producer=producer)  # type: ignore[arg-type]  # a fake


RECORD: Any = ("stock", b"value", b"key", [("ce_id", b"1")], 2)
WRITTEN = ("stock", b"value", b"key", 2, [("ce_id", b"1")])


def test_one_record_is_written_at_once_where_its_key_belongs() -> None:
    producer = Confirming()
    assert writing(producer).publish("stock", b"key", b"value", [("ce_id", b"1")]) == (0, 7)
    assert producer.steps == [("stock", b"value", b"key", -1, [("ce_id", b"1")])]
    [config] = producer.configs
    assert (config["enable.idempotence"], config["message.max.bytes"]) == (False, 1_000_000)


def test_many_records_are_written_once_each_or_as_one() -> None:
    producer = Confirming()
    with writing(producer).writer() as writer:
        assert writer.write([RECORD]) == [(("stock", 2), 7)]
    assert producer.configs[0]["enable.idempotence"] is True
    writing(producer).write_together([RECORD])
    assert producer.steps == [WRITTEN, "init", "begin", WRITTEN, "commit"]


def test_an_outbox_promises_the_place_of_what_it_is_given() -> None:
    producer = Confirming()
    outbox = writing(producer).outbox("web")
    assert [promise.result(30) for promise in outbox.put([RECORD])] == [(("stock", 2), 7)]
    outbox.close()
    [config] = producer.configs
    named = {"client.id": "web", "enable.idempotence": False, "message.timeout.ms": 3_000}
    assert {name: config[name] for name in named} == named


class Committed(AssignedConsumer):
    """A consumer that knows what a group has committed of `stock`, and was made with some configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.configs: list[dict[str, Any]] = []
        self.asked: list[tuple[str, int]] = []
        self.hidden = 1

    def __call__(self, config: dict[str, Any]) -> Any:
        self.configs.append(config)
        return self

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked = [(place.topic, place.partition) for place in places]
        answers = [TopicPartition(*place, OFFSET_INVALID) for place in self.asked[1:]]
        hidden = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT, "hidden")
        first: Any = SimpleNamespace(topic="orders", partition=0, offset=5, metadata=None, error=None)
        if self.hidden:
            self.hidden, first.error = 0, hidden
        return [first, *answers]

    def consumer_group_metadata(self) -> str:
        return f"of {self.configs[-1]['group.id']}"


def test_what_a_group_has_committed_is_asked_of_every_topic_until_no_transaction_hides_it() -> None:
    consumer = Committed()
    assert writing(Confirming(), consumer).committed_by("shop") == {("orders", 0): CommittedOffset(5, "")}
    assert consumer.asked == [("orders", 0), ("orders", 1), ("stock", 0)]
    assert consumer.is_closed
    assert consumer.configs[0]["group.id"] == "shop"


def test_records_and_the_offsets_of_a_group_are_written_as_one() -> None:
    consumer, producer = Committed(), Confirming()
    offsets = {("stock", 0): CommittedOffset(8, "ids")}
    writing(producer, consumer).write_and_commit([RECORD], "shop", offsets)
    assert producer.steps == ["init", "begin", WRITTEN, [("of shop", "stock", 0, 8, "ids")], "commit"]
    assert consumer.is_closed


def reading(consumer: Any) -> ClusterClient:
    return ClusterClient({"bootstrap.servers": "there:9092"}, consumer, 1.0, make_consumer=lambda _: consumer)


def test_who_reads_hears_how_far_it_is() -> None:
    # given two partitions of which one is empty, and a record that is gone
    places, heard = [("stock", 0), ("stock", 1)], list[tuple[int, int]]()
    consumer = AssignedConsumer([Polled(("stock", 0, offset)) for offset in range(4)])
    consumer.removed["stock", 0] = 1

    # then
    records = reading(consumer).read(places, lambda done, total: heard.append((done, total)))
    assert [record.offset for record in records] == [1, 2, 3]
    assert heard[-1] == (3, 3)
    assert list(reading(consumer).read([("stock", 1)])) == []


def test_the_newest_record_of_a_key_is_found_backwards_and_not_before_an_offset() -> None:
    keys = {1: b"a", 2: b"b", 5_500: b"a"}
    log = [Polled(("stock", 0, offset), (keys.get(offset, b"-"), b"")) for offset in range(12_000)]

    def last_of(key: bytes, since: int = 0) -> int | None:
        consumer = AssignedConsumer(log)
        consumer.removed["stock", 0] = 1
        record = reading(consumer).last_of(("stock", 0), key, since)
        return record.offset if record else None

    assert (last_of(b"a"), last_of(b"b"), last_of(b"c")) == (5_500, 2, None)
    assert (last_of(b"b", 2), last_of(b"b", 3), last_of(b"a", 5_501)) == (2, None, None)
    assert last_of(b"-", 11_999) == 11_999


def test_another_client_has_the_same_settings() -> None:
    client = client_with({"bootstrap.servers": "127.0.0.1:1", "client.id": "other"}, 2.0)
    assert client.shared == {"bootstrap.servers": "127.0.0.1:1", "client.id": "other", "logger": CLIENT_LOG}
    assert client.limit_s == 2.0


def test_what_is_waited_for_is_told_with_the_cluster() -> None:
    told_of = list[str]()
    waiting = ClusterClient({"bootstrap.servers": "there:9092"}, AwayAdmin(), 1.0, told_of.append)  # type: ignore[arg-type]  # a fake
    waiting._on_wait_for("its topics")("no answer yet")
    assert told_of == ["Kafka at there:9092 (its topics): no answer yet"]
