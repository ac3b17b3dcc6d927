"""The check on a real Kafka: a broker of its own, since its topics have the names of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.embedded import EmbeddedKafka, silent
from ensemble.settings import KafkaSettings
from tests.chaos.audit import audited_cluster
from tests.support.ledger_server import ledger_server
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import TERMS, clean_flow
from tests.support.recorded_flow.records import PARTITIONS, TOPICS
from verifier import Options, Report, run_verify
from verifier.facts import Booking
from verifier.flow import MESSAGE_TOPICS, SERVICES

LIMIT_S = 90.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    kafka = EmbeddedKafka(tmp_path_factory.mktemp("verified"), heap="384m")
    try:
        yield kafka.start(silent).bootstrap_servers
    finally:
        kafka.kill()


@pytest.fixture
def empty(broker: str) -> str:
    """Delete every topic of the catalogue from the broker."""
    admin = AdminClient({"bootstrap.servers": broker})
    names = [name for name in admin.list_topics(timeout=LIMIT_S).topics if not name.startswith("__")]
    for future in admin.delete_topics(names).values() if names else ():
        future.result(LIMIT_S)
    wait_for_topics(admin, 0)
    return broker


@pytest.fixture
def cluster(empty: str) -> str:
    """Create every topic on the broker, all of them empty."""
    admin = AdminClient({"bootstrap.servers": empty})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in TOPICS]).values():
        future.result(LIMIT_S)
    wait_for_topics(admin, len(TOPICS))
    return empty


def wait_for_topics(admin: AdminClient, count: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while len([name for name in admin.list_topics(timeout=LIMIT_S).topics if not name.startswith("__")]) != count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def publish(cluster: str, flow: RecordedFlow) -> None:
    """Write the flow, each record at its offset, and let every group have read what it has read there."""
    producer = Producer({"bootstrap.servers": cluster, "enable.idempotence": True})  # a retry keeps the order
    for record in sorted(flow.records, key=lambda record: record.at[2]):
        topic, partition, _ = record.at
        headers: list[tuple[str, str | bytes | None]] = [*record.headers()]
        producer.produce(topic, record.value(), record.key(), partition, headers=headers)
    assert producer.flush(LIMIT_S) == 0
    for group in SERVICES:
        consumer = Consumer({"bootstrap.servers": cluster, "group.id": group})
        read = {**flow.ends, **flow.committed.get(group, {})}
        offsets = [TopicPartition(topic, p, end) for (topic, p), end in read.items() if topic in MESSAGE_TOPICS]
        commit(consumer, offsets)
        consumer.close()


def commit(consumer: Consumer, offsets: list[TopicPartition]) -> None:
    """As soon as the broker's coordinator has loaded what it has to."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.COORDINATOR_LOAD_IN_PROGRESS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def ledger_page(bookings: list[Booking]) -> dict[str, Any]:
    """The provider's whole ledger, as the answer to one request."""
    return {"entries": [{**booking._asdict(), "id": booking.entry_id} for booking in bookings], "next": None}


def verified(cluster: str, flow: RecordedFlow, **options: Any) -> Report:
    with ledger_server(ledger_page(flow.bookings)) as url:
        all_options = Options(provider_url=url, **options)
        return run_verify(KafkaSettings(bootstrap_servers=cluster), all_options, tell=lambda _: None)


def test_an_empty_cluster_is_not_clean(empty: str) -> None:
    report = verified(empty, RecordedFlow())

    assert report.exit_code == 5
    assert "this cluster is empty" in report.problems[0]


def test_topics_without_any_order_are_not_clean(cluster: str) -> None:
    report = verified(cluster, RecordedFlow())

    assert report.exit_code == 5
    assert "there is no order" in report.problems[0]


def test_a_missing_topic_is_named(cluster: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster})
    admin.delete_topics(["shipping.events"])["shipping.events"].result(LIMIT_S)
    wait_for_topics(admin, len(TOPICS) - 1)

    assert "topics are missing: shipping.events" in verified(cluster, RecordedFlow()).problems[0]


def test_a_clean_story_is_clean_and_counted(cluster: str) -> None:
    flow = clean_flow()
    publish(cluster, flow)

    report = verified(cluster, flow, expect_orders=4)

    assert (report.exit_code, report.violations, report.problems) == (0, (), ())
    assert report.counted is not None
    assert sum(report.messages.values()) == sum(1 for r in flow.records if r.topic() in MESSAGE_TOPICS)


def test_what_is_planted_is_found_by_the_check_and_by_the_audit(cluster: str) -> None:
    flow = clean_flow()
    flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-done")
    flow.last("StockReserved", "o-fast").fields["quantity"] += 1
    flow.last("OrderState", "o-undone").fields["owed"] = ["payment"]
    flow.outside("payments.commands", "ProcessPayment", "o-bad").raw_value = b"garbage"
    next(record for record in flow.records if record.topic() == "order.dead-letter").raw_value = b"altered"
    flow.bookings.append(flow.bookings[0]._replace(key="again"))
    publish(cluster, flow)

    with ledger_server(ledger_page(flow.bookings)) as url:
        report = audited_cluster(KafkaSettings(bootstrap_servers=cluster), Options(provider_url=url))

    assert report.exit_code == 1
    assert {violation.check for violation in report.violations} == {
        "endings",
        "stock",
        "order state",
        "inputs",
        "dead letters",
        "money",
    }


def test_an_order_under_way_is_listed_with_the_lag(cluster: str) -> None:
    flow = clean_flow()
    placed = flow.outside("orders.events", "OrderPlaced", "o-open", **TERMS, order_id="o-open", placed_at=1)
    for group in ("order", "orchestrator", "shipping"):
        flow.unread(group, placed)
    publish(cluster, flow)

    report = verified(cluster, flow)

    assert (report.exit_code, [order.order_id for order in report.open_orders]) == (0, ["o-open"])


def test_aborted_records_do_not_count(cluster: str) -> None:
    flow = clean_flow()
    publish(cluster, flow)
    with_open_transaction(cluster).abort_transaction(LIMIT_S)

    assert verified(cluster, flow, expect_orders=4).violations == ()


def test_a_transaction_that_hangs_ends_the_check_in_words(cluster: str) -> None:
    flow = clean_flow()
    publish(cluster, flow)
    hanging = with_open_transaction(cluster)
    try:
        report = verified(cluster, flow, stall_s=2)
    finally:
        hanging.abort_transaction(LIMIT_S)

    assert report.exit_code == 5
    assert "a transaction hangs open there" in report.problems[0]


def test_without_the_provider_all_but_the_money_is_checked(cluster: str) -> None:
    publish(cluster, clean_flow())

    report = run_verify(
        KafkaSettings(bootstrap_servers=cluster), Options(provider_url="http://127.0.0.1:1"), tell=print
    )

    assert (report.exit_code, report.violations) == (5, ())
    assert report.problems[0].startswith("money was not checked")


def with_open_transaction(cluster: str) -> Producer:
    """Return a producer whose record lies on orders.events and is not decided."""
    producer = Producer({"bootstrap.servers": cluster, "transactional.id": f"t-{time.monotonic_ns()}"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    producer.produce("orders.events", b"undecided", b"o-done")
    assert producer.flush(LIMIT_S) == 0
    return producer
