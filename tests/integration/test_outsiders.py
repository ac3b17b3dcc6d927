"""Records that somebody else's program wrote: another client, another partitioner, no headers, twice the same."""

import pytest
from cloudevents.core.bindings.kafka import to_structured_event
from confluent_kafka import Producer

from ensemble.messages.codec import encoder_for
from ensemble.partitioning import partition_of
from ensemble.testing.on_kafka import headers_of
from tests.integration.conftest import Shop
from tests.support.cloud_events import event_of, in_binary_mode, read_binary
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced, Script
from tests.support.scripted_service.service import PARTITIONS

KEYS = [f"k-{number}" for number in range(16)]


def produce_all(shop: Shop, partitioner: str) -> None:
    producer = Producer({"bootstrap.servers": shop.bootstrap, "partitioner": partitioner, "enable.idempotence": True})
    for key in KEYS:
        producer.produce(shop.outsider.topic("commands"), encoder_for(Script)(script(key, "tell hello")), key.encode())
    assert producer.flush(10) == 0


@pytest.mark.parametrize("partitioner", ["murmur2_random", "murmur2"])
def test_a_producer_that_partitions_as_java_does_is_understood(shop: Shop, partitioner: str) -> None:
    """Rule 1: murmur2 everywhere. Rule 2: without headers the id is topic, partition and offset."""
    produce_all(shop, partitioner)
    with shop.thread():
        shop.outsider.until_done()
    for key in KEYS:
        shop.outsider.await_texts(key, "hello")
    assert shop.outsider.letters() == []
    causes = {headers_of(record)["ce_causationid"].decode() for record in shop.outsider.records("events")}
    topic = shop.outsider.topic("commands")
    assert causes == {f"{record.topic()}/{record.partition()}/{record.offset()}" for record in
                      shop.outsider.records("commands")}  # fmt: skip
    assert all(cause.startswith(topic) for cause in causes)


def test_what_another_partitioner_misplaced_is_refused_with_words(shop: Shop) -> None:
    """Rule 1: a record found in the wrong partition is refused; state of its key lives elsewhere."""
    produce_all(shop, "consistent_random")
    with shop.thread():
        shop.outsider.until_done()
    at = {record.key(): record.partition() for record in shop.outsider.records("commands")}
    misplaced = [key for key in KEYS if at[key.encode()] != partition_of(key.encode(), PARTITIONS)]
    assert misplaced, "the partitioners agree on all keys: take others"
    for key in KEYS:
        if key in misplaced:
            assert "produce with partitioner=murmur2_random" in shop.outsider.errors_of(key)[0]
            assert shop.outsider.texts_of(key) == []
        else:
            shop.outsider.await_texts(key, "hello")


def test_records_pass_the_sdk_of_cloud_events_both_ways(shop: Shop) -> None:
    # given what the SDK makes of a command, by its binding for Kafka
    sent = in_binary_mode(script("a", "tell hello"), id="their-1", partitionkey="a", correlationid="story")
    structured = to_structured_event(event_of(script("b", "tell never")))

    # when
    for message, key in ((sent, sent.key), (structured, "b")):
        topic = shop.outsider.topic("commands")
        shop.outsider.producer.produce(topic, message.value, key, headers=dict(message.headers))
    shop.outsider.flush()
    with shop.thread():
        shop.outsider.await_texts("a", "hello")
        shop.outsider.until_done()

    # then the service took it, the SDK reads its answer, and what it cannot take is said
    (record,) = (record for record in shop.outsider.records("events") if record.key() == b"a")
    event = read_binary(headers_of(record), record.key(), bytes(record.value() or b""))
    assert (event.get_extension("causationid"), event.get_extension("correlationid")) == ("their-1", "story")
    assert event.get_source() == f"/services/{shop.name}"
    assert "publish it in binary mode" in shop.outsider.errors_of("b")[0]


def test_the_same_record_twice_takes_effect_once(shop: Shop) -> None:
    """Rule 3: topics that outsiders write can hold duplicates; a window of ids drops them, also after a restart."""
    with shop.thread():
        shop.outsider.send(script("a", "add 1"), message_id="one")
        shop.outsider.send(script("a", "add 1"), message_id="one")
        shop.outsider.send(script("a", "add 1"), message_id="two")
        shop.outsider.until_done()
    with shop.thread():
        shop.outsider.send(script("a", "add 1"), message_id="one")
        shop.outsider.send(script("a", "add 1"), message_id="three")
        shop.outsider.until_done()
    shop.outsider.await_texts("a", "1", "2", "3")


def test_an_id_that_was_dead_lettered_is_not_done(shop: Shop) -> None:
    """Rule 3: what was given up may come again under the same id, and then takes effect."""
    with shop.thread():
        shop.outsider.send(script("a", "fail"), message_id="one")
        shop.outsider.until_done()
        shop.outsider.discard("a")
        shop.outsider.send(script("a", "tell now it works"), message_id="one")
        shop.outsider.await_texts("a", "now it works")


def test_the_same_id_of_another_key_is_another_message(shop: Shop) -> None:
    with shop.thread():
        shop.outsider.send(script("a", "tell mine"), message_id="one")
        shop.outsider.send(Announced(account_id="b", text="yours"), message_id="one")
        shop.outsider.await_texts("a", "mine")
        shop.outsider.await_texts("b", "heard yours")


def test_what_its_sender_took_back_was_never_sent(shop: Shop) -> None:
    """Rule 12: read_committed everywhere; records of an aborted transaction take no effect."""
    sender = Producer(
        {"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-x", "partitioner": "murmur2_random"}
    )
    sender.init_transactions(30)
    with shop.thread():
        for text, ends in (("taken back", sender.abort_transaction), ("meant", sender.commit_transaction)):
            sender.begin_transaction()
            sender.produce(shop.outsider.topic("commands"), encoder_for(Script)(script("a", f"tell {text}")), b"a")
            sender.flush()
            ends(30)
        shop.outsider.send(script("a", "tell last"))
        shop.outsider.await_texts("a", "meant", "last")
