"""Clients of a cluster from their settings on: what one has written, another reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from ensemble.interceptors import InterceptedOutput, Interceptor
from ensemble.kafka import AsyncClient, Client
from ensemble.kafka.client import ClusterClient, client_with, open_client
from ensemble.kafka.client.groups import CommittedOffset
from ensemble.settings import KafkaSettings, Settings
from tests.support.client_broker import PARTITIONS, client_broker
from tests.support.scripted_service.messages import Script, Told
from tests.support.scripted_service.service import catalogue_of

CATALOGUE = catalogue_of("shop")
COMMAND = Script(account_id="c", steps=("tell hello",))
LIMIT_S = 60.0
EVENTS = "shop.events"
FIRST, SECOND = (EVENTS, 0), (EVENTS, 1)
PLACES = [(EVENTS, number) for number in range(PARTITIONS)]


class Tenant(Interceptor):
    def intercept_sending(self, record: InterceptedOutput) -> None:
        record.add_header("tenant", f"{record.sender} sends {type(record.message).__name__}".encode())


@pytest.fixture
def broker() -> Iterator[str]:
    with client_broker(EVENTS, "shop.commands", "__internal") as address:
        yield address


@pytest.fixture
def cluster(broker: str) -> ClusterClient:
    return open_client(KafkaSettings(bootstrap_servers=broker), LIMIT_S, is_short_lived=True)


def settings_of(broker: str) -> Settings:
    return Settings(kafka=KafkaSettings(bootstrap_servers=broker))


def test_a_client_writes_to_the_cluster_of_its_settings(broker: str, cluster: ClusterClient) -> None:
    # when
    options: dict[str, Any] = {"name": "web", "timeout_s": LIMIT_S, "interceptors": [Tenant()]}
    with Client(CATALOGUE, settings_of(broker), **options) as client:
        receipt = client.send(COMMAND, message_id="m-1")

    # then
    place = (receipt.topic, receipt.partition)
    [record] = cluster.read([place])
    assert (record.topic, record.offset, record.key) == ("shop.commands", receipt.offset, b"c")
    assert record.headers["ce_id"] == b"m-1"
    assert record.headers["tenant"] == b"/web sends Script"


def test_a_client_without_settings_has_those_of_the_environment(
    broker: str, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker)

    async def publish() -> tuple[int, int]:
        async with AsyncClient(CATALOGUE) as client:
            receipt = await client.publish(Told(account_id="a", text="x"))
        return receipt.partition, receipt.offset

    assert [(each.partition, each.offset) for each in cluster.read(PLACES)] == []
    partition, offset = asyncio.run(publish())
    assert [(each.partition, each.offset) for each in cluster.read(PLACES)] == [(partition, offset)]


def test_one_record_lies_where_its_writer_is_told(cluster: ClusterClient) -> None:
    places = {cluster.publish(EVENTS, key, b"value", [("n", key)]) for key in (b"a", b"b", b"c", b"d")}
    read = list(cluster.read(PLACES))
    assert {(each.partition, each.offset) for each in read} == places
    assert {(each.key, each.value, each.headers["n"]) for each in read} == {
        (k, b"value", k) for k in (b"a", b"b", b"c", b"d")
    }


def test_many_records_lie_in_the_partitions_that_they_are_for(cluster: ClusterClient) -> None:
    with cluster.writer() as writer:
        places = writer.write([(EVENTS, b"x", b"k", [], 1), (EVENTS, b"y", b"k", [], 1)])
    assert places == [(SECOND, 0), (SECOND, 1)]
    assert [each.value for each in cluster.read(PLACES)] == [b"x", b"y"]


def test_a_transaction_writes_all_its_records(cluster: ClusterClient) -> None:
    cluster.write_together([(EVENTS, b"x", b"k", [], 0), (EVENTS, b"y", b"k", [], 1)])
    cluster.write_and_commit([(EVENTS, b"z", b"k", [], 1)], "shop", {SECOND: CommittedOffset(1, "text")})
    assert sorted(each.value or b"" for each in cluster.read(PLACES)) == [b"x", b"y", b"z"]


def test_the_offsets_of_a_group_are_those_that_its_members_have_committed(broker: str, cluster: ClusterClient) -> None:
    member = Consumer({"bootstrap.servers": broker, "group.id": "shop"})
    offsets = [TopicPartition(*FIRST, 0), TopicPartition(*SECOND, 3, "text"), TopicPartition("__internal", 0, 5)]
    member.commit(offsets=offsets, asynchronous=False)
    member.close()
    assert cluster.committed_by("shop") == {FIRST: CommittedOffset(0), SECOND: CommittedOffset(3, "text")}
    assert cluster.committed_by("elsewhere") == {}


def test_a_client_with_the_configuration_of_another_reaches_the_same_cluster(cluster: ClusterClient) -> None:
    same = client_with({"bootstrap.servers": cluster.bootstrap_servers}, LIMIT_S)
    assert same.topics() == {EVENTS: PARTITIONS, "shop.commands": PARTITIONS, "__internal": PARTITIONS}
    assert (same.limit_s, same.brokers()) == (LIMIT_S, cluster.brokers())
