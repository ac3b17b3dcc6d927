"""What becomes of a record that a client hands over, when no broker takes it."""

import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError

from ensemble.errors import Unavailable
from ensemble.kafka.client.outbox import Outbox, failure
from ensemble.kafka.errors import ClusterError
from ensemble.state import Output
from tests.support.assigned_consumer import Polled

NOBODY = "127.0.0.1:1"
RECORD: Output = ("shop.commands", b"value", b"key", [], 0)


class TakingProducer:
    """A producer whose broker takes each record at the next poll, where its buffer has room for it."""

    def __init__(self, room: int = 10) -> None:
        self.config: dict[str, Any] = {}
        self.room, self.waiting, self.is_heard = room, list[Any](), threading.Event()

    def make(self, config: dict[str, Any]) -> Any:
        self.config = config
        return self

    def produce(self, topic: str, value: Any, *more: Any) -> None:
        key, partition, report, *_ = more
        if len(self.waiting) >= self.room:
            raise BufferError
        self.waiting.append(lambda: report(None, Polled((topic, partition, 7), (key, value))))

    def poll(self, _: float) -> int:
        self.is_heard.wait(0.01)
        while self.is_heard.is_set() and self.waiting:
            self.waiting.pop(0)()
        return 0

    def flush(self, _: float) -> int:
        self.is_heard.set()
        return 0


def test_a_record_that_is_taken_has_a_place_and_its_promise_is_kept_by_itself() -> None:
    producer = TakingProducer()
    outbox = Outbox({"bootstrap.servers": NOBODY}, 1.5, make_producer=producer.make)
    promises = outbox.put([RECORD, RECORD])
    producer.is_heard.set()
    assert [promise.result(20) for promise in promises] == [(("shop.commands", 0), 7)] * 2
    outbox.close()
    assert producer.config == {"bootstrap.servers": NOBODY, "message.timeout.ms": 1500}


def test_a_buffer_that_stays_full_is_told_and_one_that_has_room_again_is_waited_for() -> None:
    producer = TakingProducer(room=1)
    outbox = Outbox({}, 0.05, make_producer=producer.make)
    with pytest.raises(
        ClusterError, match=r"^shop\.commands: the producer's buffer was full for 0\.05 s; Kafka takes no"
    ):
        outbox.put([RECORD, RECORD])
    outbox.limit_s = 60.0
    producer.is_heard.set()
    assert len(outbox.put([RECORD, RECORD, RECORD])) == 3
    outbox.close()


def test_a_record_that_no_broker_takes_in_time_fails_and_names_its_topic() -> None:
    outbox = Outbox({"bootstrap.servers": NOBODY, "log_level": 0}, limit_s=0.2)
    [promise] = outbox.put([("shop.commands", b"value", b"key", [], 0)])
    error = promise.exception(30)
    outbox.close()
    assert isinstance(error, ClusterError)
    assert str(error).startswith("shop.commands: ")


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Unavailable, "WRITE topic shop.commands"),
        (KafkaError._UNKNOWN_TOPIC, Unavailable, "no topic shop.commands"),
        (KafkaError._MSG_TIMED_OUT, ClusterError, "shop.commands: "),
    ],
)
def test_a_failure_says_of_which_topic_and_what_to_do(code: int, kind: type[Exception], says: str) -> None:
    error = failure(KafkaError(code), "shop.commands", "ann")
    assert type(error) is kind
    assert says in str(error)


def test_nothing_is_written_once_the_outbox_is_closed() -> None:
    outbox = Outbox({"bootstrap.servers": NOBODY, "log_level": 0}, limit_s=0.2)
    outbox.close()
    with pytest.raises(ClusterError, match="nothing was written"):
        outbox.put([("shop.commands", b"value", b"key", [], 0)])


def test_what_is_not_written_when_the_outbox_closes_has_failed_by_then() -> None:
    # given a record that no broker takes
    outbox = Outbox({"bootstrap.servers": NOBODY, "log_level": 0}, limit_s=0.2)
    [promise] = outbox.put([("shop.commands", b"value", b"key", [], 0)])

    # when the outbox is closed before the record's time is up, its caller is told
    outbox.close()
    assert isinstance(promise.exception(0), ClusterError)


def test_an_outbox_that_nobody_closes_keeps_no_process_alive() -> None:
    others = set(threading.enumerate())
    outbox = Outbox({"bootstrap.servers": NOBODY, "log_level": 0}, limit_s=0.2)
    own = [thread for thread in threading.enumerate() if thread.name == "delivery-reports" and thread not in others]
    assert [thread.daemon for thread in own] == [True]
    outbox.close()
