"""What a broker forgets of a process that has had nothing to do for days costs nothing afterwards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from ensemble.embedded import EmbeddedKafka, on_stderr
from ensemble.testing.on_kafka import LIMIT_S, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script

DAYS_OF_SECONDS = {
    "transactional.id.expiration.ms": "3000",  # a busy machine takes a second between the steps of a transaction
    "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
    "producer.id.expiration.ms": "2000",
    "producer.id.expiration.check.interval.ms": "200",
}
_TRANSACTIONS = "__transaction_state"


@pytest.fixture(scope="module")
def forgetful_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a broker that forgets whoever is idle for seconds."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("forgetful") / "kafka", settings=DAYS_OF_SECONDS)
    try:
        yield broker.start(on_stderr).bootstrap_servers
    finally:
        broker.kill()


@pytest.fixture
def forgetful_shop(forgetful_kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as at_end:
        yield Shop(unique("shop"), tmp_path, forgetful_kafka, at_end)


def await_forgotten(shop: Shop) -> None:
    """Return once the broker has removed what it knew of the shop's transactional id."""
    slot = f"{shop.name}-0"
    reader = Consumer({"bootstrap.servers": shop.bootstrap, "group.id": "unused", "enable.auto.commit": False})
    try:
        count = len(reader.list_topics(_TRANSACTIONS, LIMIT_S).topics[_TRANSACTIONS].partitions)
        reader.assign([TopicPartition(_TRANSACTIONS, partition, 0) for partition in range(count)])
        wait_for(
            lambda: any(
                record.value() is None and (record.key() or b"").endswith(slot.encode())
                for record in reader.consume(100, 0.2)
            ),
            f"{slot} to be forgotten",
        )
    finally:
        reader.close()


def test_the_first_message_after_idle_days_is_handled_once(forgetful_shop: Shop) -> None:
    outsider = forgetful_shop.outsider
    with forgetful_shop.thread():
        outsider.send(script("a", "tell before"))
        outsider.await_texts("a", "before")
        await_forgotten(forgetful_shop)
        outsider.send(script("a", "tell after"))
        outsider.await_texts("a", "before", "after")


def test_offsets_that_are_all_there_is_to_commit_after_idle_days_are_committed(forgetful_shop: Shop) -> None:
    """The client keeps the id that the broker has forgotten when a transaction holds nothing but offsets."""
    outsider, command = forgetful_shop.outsider, script("a", "tell once")
    with forgetful_shop.thread():
        outsider.send(command, message_id="id-1")
        outsider.await_texts("a", "once")
        outsider.until_done()
        await_forgotten(forgetful_shop)
        outsider.send(command, message_id="id-1")
        outsider.until_done()
    assert outsider.texts_of("a") == ["once"]
