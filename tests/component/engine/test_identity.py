"""Who sent which message: its source and id, under the key of its topic. An id alone says nothing."""

from itertools import count
from pathlib import Path

import pytest

from ensemble.messages.records import Headers, StoredRecord
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.service import scripted_service

OFFSETS = count()


@pytest.fixture
def driver(tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path))


def record(driver: ServiceTestDriver, key: str, line: str, headers: dict[str, str]) -> StoredRecord:
    sent = driver.record_of(script(key, line), "")
    encoded: Headers = [(name, value.encode()) for name, value in headers.items()]
    return StoredRecord(sent.at_topic, sent.at_partition, next(OFFSETS), sent.raw_key, sent.raw_value, encoded)


def told(driver: ServiceTestDriver) -> list[StoredRecord]:
    return driver.records("shop.events")


def header(sent: StoredRecord, name: str) -> bytes:
    value: bytes = dict(sent.headers())[name]
    return value


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(("a", "/web"), ("a", "/app"), id="two sources"),
        pytest.param(("a", "/web"), ("b", "/web"), id="two keys"),
        pytest.param(("a", "b'/web"), ("a'b", "/web"), id="a quote in a key"),
    ],
)
def test_the_same_id_elsewhere_is_another_message(
    driver: ServiceTestDriver, first: tuple[str, str], second: tuple[str, str]
) -> None:
    for key, source in (first, second):
        driver.receive_records([record(driver, key, "tell x", {"ce_id": "1", "ce_source": source})])
    one, other = told(driver)
    assert header(one, "ce_id") != header(other, "ce_id")
    assert header(one, "traceparent")[3:35] != header(other, "traceparent")[3:35]


def test_the_same_message_again_is_dropped_after_a_restart_too(driver: ServiceTestDriver) -> None:
    driver.receive_records([record(driver, "a", "tell x", {"ce_id": "1", "ce_source": "/web"})])
    driver.restart()
    driver.receive_records([record(driver, "a", "tell x", {"ce_id": "1", "ce_source": "/web"})])
    assert (len(told(driver)), driver.dead_letters) == (1, [])


def test_an_old_place_of_a_topic_that_was_made_again_is_another_message(driver: ServiceTestDriver) -> None:
    """A record without an id is known by its place; the topic's new records lie where its old ones lay."""
    task, sent = driver.process.task_of("a"), record(driver, "a", "tell x", {})
    for topic_id in ("one", "one", "another"):
        task.start_at({}, {"shop.commands": topic_id})
        driver.receive_records([sent])
    assert (len(told(driver)), driver.dead_letters) == (2, [])


def test_an_id_with_other_content_is_a_dead_letter(driver: ServiceTestDriver) -> None:
    for line in ("tell x", "tell y"):
        driver.receive_records([record(driver, "a", line, {"ce_id": "1", "ce_source": "/web"})])
    (letter,) = driver.dead_letters
    assert [header(sent, "ce_type").rpartition(b".")[2] for sent in told(driver)] == [b"Told", b"Refused"]
    assert b"id '1' of source '/web' was handled before, with other content" in repr(letter).encode()


def test_what_our_own_services_send_takes_no_room_in_the_window(driver: ServiceTestDriver) -> None:
    for source in ("/services/elsewhere", "/services/unknown"):
        driver.receive_records([record(driver, "a", "tell x", {"ce_id": "1", "ce_source": source})])
    assert len(driver.records("shop.seen-changelog")) == 1
