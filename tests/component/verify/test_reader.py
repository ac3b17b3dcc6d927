"""A cluster as the check reads it: what lies there, up to which ends, and the same in another process."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from ensemble.kafka.client import ClusterClient, open_client
from ensemble.settings import KafkaSettings
from tests.support.client_broker import PARTITIONS, client_broker
from tests.support.recorded_flow.records import TOPICS
from verifier.reader import Cluster, _stalled
from verifier.run import Options, run_verify
from verifier.source import CannotCheck

LIMIT_S = 60.0
EVENTS, STATE, OFFSETS = "orders.events", "orchestrator.order-state", "__consumer_offsets"
FIRST, SECOND, KEPT = (EVENTS, 0), (EVENTS, 1), (STATE, 0)


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with client_broker(*TOPICS) as address:
        yield address


@pytest.fixture(scope="module")
def client(broker: str) -> ClusterClient:
    """Return a client of a cluster with five events and a state."""
    client = open_client(KafkaSettings(bootstrap_servers=broker), LIMIT_S, is_short_lived=True)
    client.write_together([(EVENTS, b"%d" % number, b"k", [("n", b"%d" % number)], number % 2) for number in range(5)])
    client.write_together([(STATE, b"s", b"k", [("n", b"s")], 0)])
    return client


def read(cluster: Cluster, **ends: Any) -> list[tuple[str, int, bytes, Any]]:
    taken: list[Any] = []
    places = [FIRST, SECOND, KEPT]
    firsts = dict.fromkeys(places, 0) | ends.get("firsts", {})
    cluster.read(firsts, cluster.ends(places) | ends.get("ends", {}), taken.append)
    return sorted((each.topic(), each.partition(), each.value(), each.headers()) for each in taken)


def test_a_cluster_is_asked_for_its_topics_bounds_and_positions(broker: str, client: ClusterClient) -> None:
    cluster = Cluster(client)
    assert cluster.partitions() == dict.fromkeys(TOPICS, PARTITIONS)
    ends = cluster.ends([FIRST, SECOND, KEPT])
    assert cluster.committed_ends([FIRST, SECOND, KEPT]) == ends
    assert all(ends.values())
    assert cluster.firsts([FIRST, SECOND]) == {FIRST: 0, SECOND: 0}
    assert abs(cluster.now() - time.time() * 1_000) < 60_000
    assert cluster.committed(["order", "payment"]) == {"order": {}, "payment": {}}, "no group has committed anything"

    with client_broker(OFFSETS, EVENTS) as other:
        member = Consumer({"bootstrap.servers": other, "group.id": "order"})
        member.commit(offsets=[TopicPartition(*SECOND, 3, "text")], asynchronous=False)
        member.close()
        used = Cluster(open_client(KafkaSettings(bootstrap_servers=other), LIMIT_S, is_short_lived=True))
        assert used.committed(["order", "payment"]) == {"order": {SECOND: 3}, "payment": {}}


def test_every_committed_record_is_handed_over_and_headers_only_of_messages(client: ClusterClient) -> None:
    expected = [(EVENTS, number % 2, b"%d" % number, [("n", b"%d" % number)]) for number in (0, 2, 4, 1, 3)]
    records = read(Cluster(client))
    assert [each[:3] for each in records] == [(STATE, 0, b"s"), *(each[:3] for each in expected)]
    assert [list(each[3]) for each in records[1:]] == [each[3] for each in expected]
    assert read(Cluster(client), ends={FIRST: 0, KEPT: 0}) == records[-2:]
    assert read(Cluster(client), ends={FIRST: 0, SECOND: 0, KEPT: 0}) == []


def test_a_copy_in_another_process_reads_the_same_and_tells_nothing(client: ClusterClient) -> None:
    told: list[str] = []
    cluster = Cluster(client, told.append, stall_s=LIMIT_S)
    copy = pickle.loads(pickle.dumps(cluster))  # noqa: S301  what this test has written
    assert (copy.stall_s, copy.client.bootstrap_servers) == (LIMIT_S, client.bootstrap_servers)
    assert [each[:3] for each in read(copy)] == [each[:3] for each in read(cluster)]
    copy.tell("nothing")
    assert told == []


def test_what_cannot_be_read_to_its_end_is_given_up_with_its_place(client: ClusterClient) -> None:
    beyond = {place: end + 1 for place, end in Cluster(client).ends([FIRST]).items()}
    with pytest.raises(CannotCheck, match=r"^nothing could be read for 0\.1 s from orders\.events\[0\]: a transaction"):
        read(Cluster(client, stall_s=0.1), ends=beyond | {SECOND: 0, KEPT: 0})
    many = [("b", 1), ("a", 2), ("a", 1), *(("c", number) for number in range(9))]
    assert _stalled(many, 60) == (
        "nothing could be read for 60 s from a[1], a[2], b[1], c[0], c[1]: a transaction hangs open there, or the "
        "broker is away; check again once the services run"
    )


def test_a_cluster_without_orders_is_checked_from_its_settings_on() -> None:
    with client_broker(*TOPICS) as address:
        report = run_verify(KafkaSettings(bootstrap_servers=address), Options(provider_url=None))
    assert report.violations == ()
    assert report.problems == (
        "money was not checked, as asked", "there is no order on this cluster: nothing was checked"
    )  # fmt: skip
    assert report.unchecked == {"money"}
    assert set(report.cut.values()) == {0}
