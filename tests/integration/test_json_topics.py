"""A service whose topics carry JSON, on a real Kafka: plain producers, a client, dead letters, a restart."""

from __future__ import annotations

from collections.abc import Callable

from ensemble import Service
from ensemble.kafka import Client
from ensemble.settings import KafkaSettings, Settings
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import Outsider, ServiceThread, wait_for
from tests.support.json_flow import Answered, Confirm, json_catalogue, json_service


def texts(outsider: Outsider) -> set[str]:
    return {event.text for event in outsider.messages("events", Answered)}


def test_json_of_plain_producers_and_clients_is_handled_and_what_is_no_json_is_a_dead_letter(
    kafka: Cluster,
    outsider_of: Callable[[Service], Outsider],
    run_service: Callable[[Service], ServiceThread],
    unique: Callable[[str], str],
) -> None:
    # given a running service of JSON topics, and no registry
    name = unique("counter")
    service = json_service(name)
    outsider = outsider_of(service)
    run_service(service)

    # when a plain producer writes an order and what is none, and a client a command
    orders = outsider.topic("orders")
    outsider.producer.produce(orders, b'{"order_id": "a", "items": [{"sku": "x", "quantity": 3}]}', b"a")
    outsider.producer.produce(orders, b'{"order_id": "b"', b"b")
    outsider.flush()
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    with Client(json_catalogue(name), settings) as client:
        client.send(Confirm(order_id="c", note="by a client"))

    # then both are answered, and the other is a dead letter with words
    wait_for(lambda: texts(outsider) == {"standard 3", "confirmed by a client"}, "both answers")
    wait_for(lambda: outsider.letters("b"), "the dead letter")
    assert "Ordered is not valid: Invalid JSON: EOF while parsing an object" in outsider.errors_of("b")[0]
    (letter,) = outsider.letters("b")
    assert letter.value() == b'{"order_id": "b"'
