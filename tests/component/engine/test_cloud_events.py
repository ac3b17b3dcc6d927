"""Our records pass the official SDK of CloudEvents both ways, by its binding for Kafka in binary mode."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_structured_event

from ensemble.messages import Headers
from ensemble.messages.records import StoredRecord
from ensemble.testing.driver import ServiceTestDriver
from tests.support.cloud_events import event_of, in_binary_mode, read_binary
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Told
from tests.support.scripted_service.service import scripted_service


@pytest.fixture
def driver(tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path))


def received(driver: ServiceTestDriver, message: KafkaMessage, offset: int = 0) -> StoredRecord:
    key = message.key.encode() if isinstance(message.key, str) else message.key or b"a"
    headers: Headers = list(message.headers.items())
    return StoredRecord("shop.commands", driver.process.partition_of(key), offset, key, message.value, headers)


def headers_of(record: StoredRecord) -> dict[str, bytes]:
    return {name: value or b"" for name, value in record.headers()}


def test_an_output_is_an_event_to_others_who_read_it(driver: ServiceTestDriver) -> None:
    driver.receive(script("a", "tell x"), message_id="one")
    (record,) = driver.records("shop.events")
    event = read_binary(headers_of(record), record.key(), record.value() or b"")
    assert (event.get_id(), event.get_source()) == (headers_of(record)["ce_id"].decode(), "/services/shop")
    assert event.get_type().endswith("Told")
    assert event.get_time() == datetime.fromtimestamp(driver.clock.now() / 1000, UTC)
    assert (event.get_extension("causationid"), event.get_extension("correlationid")) == ("one", "one")
    assert event.get_data() == record.value()


def test_an_event_that_others_write_is_handled_as_the_message_that_it_holds(driver: ServiceTestDriver) -> None:
    # given what the SDK makes of a message
    attributes = {"id": "their-1", "correlationid": "story", "partitionkey": "a", "time": datetime.now(UTC)}
    message = in_binary_mode(script("a", "tell heard"), **attributes)

    # when
    driver.receive_records([received(driver, message)])

    # then
    (record,) = driver.records("shop.events")
    assert [event.text for event in driver.emitted if isinstance(event, Told)] == ["heard"]
    assert (headers_of(record)["ce_causationid"], headers_of(record)["ce_correlationid"]) == (b"their-1", b"story")


def test_the_same_event_of_others_takes_effect_once_and_one_of_another_source_too(driver: ServiceTestDriver) -> None:
    for offset, source in enumerate(["/first", "/first", "/second"]):
        message = in_binary_mode(script("a", "tell heard"), source=source)
        driver.receive_records([received(driver, message, offset)])
    assert len(driver.records("shop.events")) == 2


def test_a_dead_letter_is_still_the_event_that_others_wrote(driver: ServiceTestDriver) -> None:
    driver.receive_records([received(driver, in_binary_mode(script("a", "fail"), id="their-1"))])
    (letter,) = driver.dead_letters
    event = read_binary(headers_of(letter), letter.key(), letter.value() or b"")
    assert (event.get_id(), event.get_source(), event.get_type()) == ("their-1", "/elsewhere", "elsewhere.Script")


def test_an_event_in_structured_mode_is_dead_lettered_with_what_to_do(driver: ServiceTestDriver) -> None:
    driver.receive_records([received(driver, to_structured_event(event_of(script("a", "tell x"))))])
    (letter,) = driver.dead_letters
    assert headers_of(letter)["__streams.errors.exception"] == b"UndecodableRecord"
    assert b"a CloudEvent in structured mode" in headers_of(letter)["__streams.errors.message"]
    assert b"publish it in binary mode" in headers_of(letter)["__streams.errors.message"]
