"""What becomes of a record that a client hands over, when no broker takes it."""

import threading

import pytest
from confluent_kafka import KafkaError

from ensemble.errors import Unavailable
from ensemble.kafka.client.outbox import Outbox, failure
from ensemble.kafka.errors import ClusterError

NOBODY = "127.0.0.1:1"


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
