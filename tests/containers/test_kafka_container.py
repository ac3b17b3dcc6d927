"""A broker in a container, as users of the runtime start it for their own tests."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # an unmarked re-export
from pydantic import SecretStr

from ensemble.errors import ConfigurationError
from ensemble.kafka import client_config as clients
from ensemble.kafka.client.access import open_client
from ensemble.kafka.connection import connect
from ensemble.kafka.offsets import high_watermarks
from ensemble.settings import KafkaSettings, RuntimeSettings
from ensemble.testing.clusters import container, disable_unavailable_reaper
from ensemble.testing.containers import ApacheKafkaContainer, ContainerError
from ensemble.testing.on_kafka import wait_for

PASSWORD = 'not "so" simple\\'
STOCK_IMAGE = os.environ.get("CP_KAFKA_IMAGE", "confluentinc/cp-kafka:8.3.0")


@pytest.fixture(scope="module")
def broker() -> Iterator[ApacheKafkaContainer]:
    with container() as broker:
        yield broker


@pytest.fixture(scope="module")
def guarded() -> Iterator[ApacheKafkaContainer]:
    with container(users={"alice": PASSWORD, "bob": "b"}) as broker:
        yield broker


def make_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)


def commit_one(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"value")
    producer.commit_transaction(30)


def commit_offset(producer: Producer, topic: str) -> None:
    """As a group that nobody is a member of: any metadata will do."""
    group = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": topic}).consumer_group_metadata()
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], group, 20)
    producer.commit_transaction(20)


def await_value(bootstrap: str, topic: str) -> None:
    """Wait for the marker of a commit, which reaches the topic a moment after the commit returns."""
    access = open_client(KafkaSettings(bootstrap_servers=bootstrap), 20, quiet=True)
    wait_for(lambda: [record.value for record in access.read([(topic, 0)])] == [b"value"], "the transaction's record")


def knows_leader(admin: AdminClient, topic: str) -> bool:
    try:
        return high_watermarks(admin, [(topic, 0)], 10) == {(topic, 0): 0}
    except KafkaException:
        return False


def login(environment: dict[str, str], **changes: Any) -> KafkaSettings:
    settings = {name.removeprefix("KAFKA_").lower(): value for name, value in environment.items()}
    return KafkaSettings(**{**settings, **changes})


def test_transactions_commit(broker: ApacheKafkaContainer, topic_name: str) -> None:
    make_topic(broker.bootstrap_servers, topic_name)
    commit_one(broker.bootstrap_servers, topic_name)
    await_value(broker.bootstrap_servers, topic_name)


def test_a_killed_broker_comes_back_with_its_address_and_data(broker: ApacheKafkaContainer, topic_name: str) -> None:
    before = broker.bootstrap_servers
    make_topic(before, topic_name)
    commit_one(before, topic_name)
    await_value(before, topic_name)  # a broker that is killed before the marker is there may skip it (KAFKA-20734)
    broker.kill()
    assert broker.restart().bootstrap_servers == before
    await_value(before, topic_name)


def test_offsets_are_told_soon_after_the_broker_was_killed(broker: ApacheKafkaContainer, topic_name: str) -> None:
    make_topic(broker.bootstrap_servers, topic_name)
    _, admin = connect(KafkaSettings(bootstrap_servers=broker.bootstrap_servers), 20, quiet=True)
    assert high_watermarks(admin, [(topic_name, 0)], 20) == {(topic_name, 0): 0}
    broker.kill()
    broker.restart()
    wait_for(lambda: knows_leader(admin, topic_name), "the client to forget the old leader's epoch", limit_s=20)


def test_a_producer_goes_on_after_the_only_broker_was_away(broker: ApacheKafkaContainer, topic_name: str) -> None:
    """With the client's default, the second call that sends offsets never returns."""
    make_topic(broker.bootstrap_servers, topic_name)
    shared, _ = connect(KafkaSettings(bootstrap_servers=broker.bootstrap_servers), 20, quiet=True)
    producer = Producer(clients.transactional_producer(shared, topic_name, RuntimeSettings()))
    producer.init_transactions(30)
    commit_offset(producer, topic_name)
    broker.kill()
    broker.restart()
    committing = threading.Thread(target=commit_offset, args=(producer, topic_name), daemon=True)
    committing.start()
    committing.join(60)
    assert not committing.is_alive()


def test_it_listens_on_loopback_alone(broker: ApacheKafkaContainer) -> None:
    bindings = broker._wrapped().attrs["HostConfig"]["PortBindings"]
    assert {at["HostIp"] for port in bindings.values() for at in port} == {"127.0.0.1"}


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_users_log_in_by_the_environment_that_it_gives(guarded: ApacheKafkaContainer, user: str) -> None:
    _, admin = connect(login(guarded.environment(user)), 20, quiet=True)
    assert len(admin.list_topics(timeout=20).brokers) == 1


def test_a_wrong_password_is_refused(guarded: ApacheKafkaContainer) -> None:
    with pytest.raises(ConfigurationError, match="uthentication"):
        connect(login(guarded.environment("alice"), sasl_password=SecretStr("wrong")), 20, quiet=True)


def test_an_image_that_is_no_broker_is_refused_with_its_name() -> None:
    disable_unavailable_reaper()
    image = os.environ.get("BASE", "python:3.12-slim")
    with pytest.raises(ContainerError, match=image):
        ApacheKafkaContainer(image).start()


def test_the_stock_container_of_testcontainers_serves_as_well(topic_name: str, unique: Callable[[str], str]) -> None:
    from testcontainers.community.kafka import KafkaContainer

    disable_unavailable_reaper()
    stock = KafkaContainer(STOCK_IMAGE).with_kraft()
    stock.with_envs(KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1", KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1")
    try:
        stock.start(timeout=120)  # its own limit is half a minute, too little where all cores are busy
        make_topic(stock.get_bootstrap_server(), topic_name)
        commit_one(stock.get_bootstrap_server(), topic_name)
        await_value(stock.get_bootstrap_server(), topic_name)
    finally:
        stock.stop()
