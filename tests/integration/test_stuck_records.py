"""A record that no batch comes to its end with is given up; the others are served, and the process goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Message, Producer

from ensemble.partitioning import partition_of
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import LIMIT_S, ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.integration.test_transactions import limit_record_size
from tests.support.command_line import CommandLine
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.service import PARTITIONS

KEYS = [f"k-{number}" for number in range(8)]


def stuck_s(thread: ServiceThread, shop: Shop) -> float:
    return thread.loop.metrics.registry.get_sample_value("ensemble_stuck_seconds", {"service": shop.name}) or 0.0


def test_an_output_that_its_topic_never_takes_costs_its_own_record_alone(shop: Shop) -> None:
    outsider = shop.outsider
    limit_record_size(outsider.admin, outsider.topic("events"), 20_000)
    outsider.send(*(script(key, "tell hello") for key in KEYS), script("a", "tell " + "x" * 50_000))
    outsider.send(*(script(key, "tell again") for key in KEYS))
    with shop.thread() as thread:
        outsider.until_done()
        for key in KEYS:
            outsider.await_texts(key, "hello", "again")
        assert "Message size too large" in outsider.errors_of("a")[0]
        wait_for(lambda: thread.loop.is_ready and not stuck_s(thread, shop), "the service to be ready again")


def test_a_handler_that_takes_longer_than_its_group_waits_is_run_twice_and_then_given_up(shop: Shop) -> None:
    """Its partitions are lost each time. It was run without end, and no other record of the process was handled."""
    outsider = shop.outsider
    outsider.send(script("slow", "call slow", "idle 13"))
    with shop.thread(max_poll_interval_s=10, session_timeout_s=6, batch_s=5):
        wait_for(lambda: shop.read_count("slow") == 1, "the slow handler to start")
        outsider.send(*(script(key, "tell hello") for key in KEYS))
        for key in KEYS:
            outsider.await_texts(key, "hello", limit_s=60)
        outsider.until_done(90)
    assert shop.read_count("slow") == 2
    assert "not with it alone" in outsider.errors_of("slow")[0]


BEYOND_THE_CLIENT = 100_000_001
"""A byte more than the client takes of a record when it is decompressed (`receive.message.max.bytes`)."""


def send_bomb(shop: Shop, key: str) -> Message:
    """Send zeros that are a few kilobytes as long as they are compressed; return what became of them."""
    limits = {"message.max.bytes": 2 * BEYOND_THE_CLIENT, "queue.buffering.max.kbytes": 1_000_000}
    producer = Producer({"bootstrap.servers": shop.bootstrap, "compression.type": "zstd", **limits})
    reports = list[Message]()
    partition, value = partition_of(key.encode(), PARTITIONS), b"\0" * BEYOND_THE_CLIENT
    topic, report = shop.outsider.topic("commands"), lambda _, message: reports.append(message)
    producer.produce(topic, value, key.encode(), partition, on_delivery=report)
    assert producer.flush(LIMIT_S) == 0
    assert reports[0].error() is None
    return reports[0]


@contextmanager
def started(thread: ServiceThread) -> Iterator[ServiceThread]:
    """Run a service that need not become ready."""
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def test_a_record_that_is_too_large_once_decompressed_stops_its_partition_in_words_and_can_be_skipped(
    shop: Shop, kafka: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else was handled, and the service looked healthy."""
    # given a record that the client cannot read, and others behind it and in other partitions
    outsider, bomb = shop.outsider, send_bomb(shop, "a")
    outsider.send(*(script(key, "tell hello") for key in ["a", *KEYS]))
    elsewhere = [key for key in KEYS if partition_of(key.encode(), PARTITIONS) != bomb.partition()]

    # when the service runs, then it says where it is stuck, and serves the other partitions
    with started(shop.thread()) as thread:
        place = f"{bomb.topic()}[{bomb.partition()}] cannot be read at offset {bomb.offset()}"
        wait_for(lambda: place in thread.loop.why_not_ready and stuck_s(thread, shop), "it to say so")
        assert elsewhere
        for key in elsewhere:
            outsider.await_texts(key, "hello")

    # and once the record is skipped, what was behind it is handled
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    at = (str(bomb.topic()), str(bomb.partition()), str(bomb.offset()))
    why = ("--yes", "--reason", "cannot be decompressed")
    assert CommandLine(capsys)("records", "skip", *at, "--service", shop.name, *why).code == 0
    with shop.thread():
        outsider.until_done()
    assert outsider.texts_of("a") == ["hello"]
