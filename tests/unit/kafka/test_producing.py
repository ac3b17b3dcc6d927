"""Records of an outsider are safe when the call returns, all of them, or the reason is told."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ensemble.errors import ConfigurationError
from ensemble.kafka.client.producing import GroupOffsets, Writer, write_together
from ensemble.kafka.errors import ClusterError
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.operations import OPERATORS_IDS
from tests.support.assigned_consumer import Polled

SHARED = {"bootstrap.servers": "nowhere", "sasl.username": "ann"}
RECORDS: list[Output] = [
    ("shop.commands", b"one", b"a", [("ce_id", b"1")], 0),
    ("shop.commands", b"two", b"b", [], 1),
]


class Producing:
    """A producer that confirms each record, or gives it the problem of its topic."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.steps: list[Any] = []
        self.problems: dict[str, KafkaError] = {}
        self.failures: dict[str, KafkaError] = {}
        self.buffered = self.unconfirmed = 0

    def make(self, config: dict[str, Any]) -> Any:
        self.config = config
        return self

    def __len__(self) -> int:
        return self.buffered

    def poll(self, _: float) -> None:
        self.steps.append("poll")
        self.buffered = 0

    def produce(self, topic: str, value: Any, *more: Any) -> None:
        key, partition, report, *_ = more
        self._step("produce", value)
        report(self.problems.get(topic), Polled((topic, partition, 7), (key, value)))

    def flush(self, _: float) -> int:
        self._step("flush")
        return self.unconfirmed

    def init_transactions(self, _: float) -> None:
        self._step("init")

    def begin_transaction(self) -> None:
        self._step("begin")

    def send_offsets_to_transaction(self, partitions: Any, group: Any, _: float) -> None:
        self._step("offsets", group)

    def commit_transaction(self, _: float) -> None:
        self._step("commit")

    def _step(self, name: str, *more: Any) -> None:
        self.steps.append((name, *more) if more else name)
        if error := self.failures.get(name):
            raise KafkaException(error)


@pytest.fixture
def producer() -> Producing:
    return Producing()


def write(producer: Producing) -> list[Any]:
    with Writer(SHARED, make_producer=producer.make) as writer:
        return list(writer.write(RECORDS))


def together(producer: Producing, offsets: GroupOffsets | None = None) -> None:
    write_together(SHARED, RECORDS, offsets, make_producer=producer.make)


def test_the_places_of_all_records_are_returned(producer: Producing) -> None:
    assert write(producer) == [(("shop.commands", 0), 7), (("shop.commands", 1), 7)]
    assert producer.steps == [("produce", b"one"), ("produce", b"two"), "flush", "flush"]
    assert producer.config["bootstrap.servers"] == "nowhere"
    Writer(SHARED, {"enable.idempotence": False}, make_producer=producer.make)
    assert producer.config["enable.idempotence"] is False


def test_a_full_buffer_is_waited_for(producer: Producing) -> None:
    producer.buffered = 10_000
    write(producer)
    assert "poll" not in producer.steps
    producer.buffered, producer.steps = 10_001, []
    write(producer)
    assert producer.steps[:2] == ["poll", ("produce", b"one")]


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ConfigurationError, r"User:ann may not WRITE topic shop\.commands"),
        (KafkaError._UNKNOWN_TOPIC, ConfigurationError, r"no topic shop\.commands; `ensemble topics apply`"),
        (KafkaError._MSG_TIMED_OUT, ClusterError, r"shop\.commands: too late"),
    ],
)
def test_a_record_that_is_refused_says_why(producer: Producing, code: int, kind: type[Exception], words: str) -> None:
    producer.problems["shop.commands"] = KafkaError(code, "too late")
    with pytest.raises(kind, match=words):
        write(producer)


def test_records_that_are_not_confirmed_may_yet_be_written(producer: Producing) -> None:
    producer.unconfirmed = 2
    with pytest.raises(ClusterError, match="did not confirm 2 records within 60 s; they may yet be written"):
        write(producer)


def test_a_record_that_the_client_does_not_take_is_told(producer: Producing) -> None:
    producer.failures["produce"] = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
    with pytest.raises(ClusterError, match=r"shop\.commands: too large"):
        write(producer)


def test_records_and_offsets_are_written_in_one_transaction(producer: Producing) -> None:
    together(producer, GroupOffsets([TopicPartition("shop.commands", 0, 8)], "shop"))
    produced = [("produce", b"one"), ("produce", b"two"), "flush"]
    assert producer.steps == ["init", "begin", *produced, ("offsets", "shop"), "commit"]
    producer.steps.clear()
    together(producer)
    assert producer.steps == ["init", "begin", *produced, "commit"]
    assert producer.config["transactional.id"].startswith(OPERATORS_IDS)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("init", "nothing was written: the transaction failed: why"),
        ("commit", "it is not known whether it was written: the transaction failed: why"),
    ],
)
def test_a_transaction_that_fails_says_whether_anything_was_written(producer: Producing, step: str, words: str) -> None:
    producer.failures[step] = KafkaError(KafkaError._TIMED_OUT, "why")
    with pytest.raises(ClusterError, match=words):
        together(producer)


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("init", KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, r"ann may not WRITE transactional id \S+\* denied"),
        ("offsets", KafkaError.GROUP_AUTHORIZATION_FAILED, "ann may not READ the group denied"),
    ],
)
def test_an_operator_without_the_permission_is_told_which(
    producer: Producing, step: str, code: int, words: str
) -> None:
    producer.failures[step] = KafkaError(code, "denied")
    with pytest.raises(ConfigurationError, match=words):
        together(producer, GroupOffsets([], "shop"))
