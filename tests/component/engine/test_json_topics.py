"""Topics of JSON: parking, dead letters, redrives, duplicates and headers are as on topics of Avro."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest

from ensemble import Catalogue, Service, TerminalError, Topic, event_sourced
from ensemble.errors import ConfigurationError
from ensemble.messages.records import Headers, StoredRecord
from ensemble.partitioning import partition_of
from ensemble.testing.driver import ServiceTestDriver
from ensemble.topology.asyncapi import asyncapi
from ensemble.topology.registry_subjects import registry_subjects
from ensemble.topology.rules import check_topology
from tests.support.json_flow import (
    PARTITIONS,
    Answered,
    Cancel,
    Confirm,
    Counter,
    Item,
    Ordered,
    json_catalogue,
    json_service,
)
from tests.support.scripted_service.messages import Stamped, Tally

_OFFSETS = count()


@dataclass
class Failures:
    """Fails for the texts that it holds."""

    texts: set[str] = field(default_factory=set)

    def check(self, text: str) -> None:
        if text in self.texts:
            raise TerminalError(f"not {text}")


def record(topic: str, value: bytes | None, key: bytes = b"a", headers: Headers | None = None) -> StoredRecord:
    place = f"counter.{topic}", partition_of(key, PARTITIONS), next(_OFFSETS)
    return StoredRecord(*place, key, value, headers or [])


def driver(failures: Failures | None = None) -> ServiceTestDriver:
    return ServiceTestDriver(json_service(check=(failures or Failures()).check))


def texts(running: ServiceTestDriver) -> list[str]:
    return [event.text for event in running.emitted if isinstance(event, Answered)]


def errors(running: ServiceTestDriver) -> list[str]:
    headers = [dict(letter.headers()) for letter in running.dead_letters]
    return [header["__streams.errors.message"].decode() for header in headers]


# -- what is taken ------------------------------------------------------------------------------------------------


def test_a_plain_record_of_a_topic_with_one_type_is_taken() -> None:
    running = driver()
    running.receive_records([record("orders", b'{"order_id": "a", "items": [{"sku": "x", "quantity": 3}]}')])
    assert texts(running) == ["standard 3"]


def test_a_type_is_told_by_its_header_where_there_are_several() -> None:
    running = driver()
    running.receive_records([record("commands", b'{"order_id": "a"}', headers=[("ce_type", b"Cancel")])])
    assert texts(running) == ["cancelled "]


def test_what_goes_out_is_a_cloud_event_of_json() -> None:
    # when
    running = driver()
    running.receive(Confirm(order_id="a", note="x"))

    # then
    (written,) = running.records("counter.events")
    headers = dict(written.headers())
    assert written.value() == b'{"order_id":"a","text":"confirmed x","digest":""}'
    assert (headers["content-type"], headers["ce_type"]) == (b"application/json", b"Answered")


def test_an_outsiders_message_is_handled_once() -> None:
    running = driver()
    for _ in range(2):
        running.receive_records([record("orders", b'{"order_id": "a"}', headers=[("ce_id", b"1")])])
    assert texts(running) == ["standard 0"]


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "headers", "reason"),
    [
        ("orders", [("ce_type", b"Shipped")], "ce_type is 'Shipped', but counter.orders carries Ordered"),
        (
            "commands",
            [],
            "has no header ce_type, and counter.commands carries several types of JSON; set it to Confirm",
        ),
        ("commands", [("ce_type", b"\xff")], "but counter.commands carries Confirm or Cancel"),
        ("orders", [("content-type", b"application/cloudevents+json")], "publish it in binary mode"),
        ("orders", [("ce_type", None), ("content-type", None)], ""),
    ],
)
def test_headers_decide_or_are_refused_with_words(topic: str, headers: Headers, reason: str) -> None:
    running = driver()
    running.receive_records([record(topic, b'{"order_id": "a"}', headers=headers)])
    assert [reason in error for error in errors(running)] == ([True] if reason else [])


@pytest.mark.parametrize(
    "value",
    [b"", b"no JSON", b"{}", b"\0\0\0\0\1a", b'{"order_id":' + b"[" * 100_000, b'{"order_id": "a", "weight": NaN}'],
)
def test_bytes_that_are_no_such_message_become_a_dead_letter_and_the_key_goes_on(value: bytes) -> None:
    running = driver()
    running.receive_records([record("orders", value), record("orders", b'{"order_id": "a"}')])
    assert [letter.value() for letter in running.dead_letters] == [value]
    assert "Ordered is not valid: " in errors(running)[0]
    assert texts(running) == ["standard 0"]


def test_a_tombstone_is_refused() -> None:
    running = driver()
    running.receive_records([record("orders", None)])
    assert "a tombstone (null value) on counter.orders" in errors(running)[0]


# -- parking, and what operators do -------------------------------------------------------------------------------


def test_what_follows_a_failed_record_waits_and_an_edited_redrive_frees_it() -> None:
    # given a failed command, and one behind it
    running = driver(Failures({"bad"}))
    running.receive(Confirm(order_id="a", note="bad"), Cancel(order_id="a", note="next"), Confirm(order_id="b"))
    assert texts(running) == ["confirmed "]
    assert [parked.message for parked in running.waiting("a")] == ["Confirm", "Cancel"]

    # when a restarted process gets it redriven with other content
    running.restart()
    running.redrive(running.dead_letters[0], Confirm(order_id="a", note="good"))
    running.advance(0)

    # then both are handled, in order
    assert texts(running) == ["confirmed ", "confirmed good", "cancelled next"]
    assert running.waiting("a") == []


def test_a_failed_plain_record_is_redriven_as_it_was() -> None:
    failures = Failures({"a"})
    running = driver(failures)
    running.receive_records([record("orders", b'{"order_id": "a"}')])
    failures.texts.clear()
    running.redrive(running.dead_letters[0])
    running.advance(0)
    assert texts(running) == ["standard 0"]


# -- declarations -------------------------------------------------------------------------------------------------


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"topic counter\.x: format 'xml' is none of avro, json"):
        Topic("counter.x", "counter", "order_id", format="xml")  # type: ignore[arg-type]  # what mypy refuses


def test_a_ledger_is_avro() -> None:
    ledger = Topic("counter.ledger", "counter", "account_id", (Stamped,), PARTITIONS, retention=None, format="json")
    catalogue = Catalogue((*json_catalogue().topics, ledger))
    with pytest.raises(ConfigurationError, match=r"counter\.ledger has the format json, but"):
        Service("counter", catalogue, roles=[Counter], stores=[event_sourced(Tally, ledger)])


def test_topology_has_no_faults_and_a_registry_nothing_to_hold() -> None:
    service = json_service()
    others = [subject for subject in registry_subjects(service.catalogue, [service]) if "ensemble" not in repr(subject)]
    assert [str(problem) for problem in check_topology([service], service.catalogue)] == []
    assert others == []


def test_the_asyncapi_document_has_pydantics_schemas() -> None:
    service = json_service()
    components = asyncapi([service], service.catalogue, title="Counter", version="1")["components"]
    message = components["messages"]["Ordered"]
    assert (message["name"], message["contentType"]) == ("Ordered", "application/json")
    assert message["payload"]["properties"]["items"]["items"] == {"$ref": "#/components/schemas/Item"}
    assert components["schemas"]["Item"]["required"] == ["sku"]
    assert "schemaIdLocation" not in message["bindings"]["kafka"]


def test_nested_records_are_written_and_read() -> None:
    running = driver()
    running.receive(Ordered(order_id="a", speed="express", items=(Item(sku="x"), Item(sku="y", quantity=4))))
    assert texts(running) == ["express 5"]
