"""Who sent which message: its source and id, under the key of its topic. An id alone says nothing."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from ensemble.engine.admission import entry_of
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import Headers, StoredRecord
from ensemble.state.deduplication import window_entry
from ensemble.system_messages.state import SeenMessage
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.service import scripted_service

OFFSETS = count()
FROM_WEB = {"ce_id": "1", "ce_source": "/web"}


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


def test_another_type_of_message_under_the_same_id_is_told_though_its_bytes_are_the_same(
    driver: ServiceTestDriver,
) -> None:
    one, other = record(driver, "a", "tell x", FROM_WEB), driver.record_of(slow("a", "tell x"), "")
    driver.receive_records([one])
    driver.receive_records([replace(other, at_offset=next(OFFSETS), raw_headers=one.raw_headers)])
    (letter,) = driver.dead_letters
    assert header(letter, "__streams.errors.exception") == b"ReusedId"


def test_what_an_earlier_release_has_handled_is_dropped(driver: ServiceTestDriver) -> None:
    """It noted what a message says, and not of which type the message is."""
    # given
    sent = record(driver, "a", "tell x", FROM_WEB)
    content = (sent.raw_value or b"")[5:]
    entry = window_entry(sent.at_topic, b"a", b"/web", message_id="1", content=content)
    seen = encoder_for(SeenMessage)(SeenMessage(at=driver.clock.now()))
    driver.given_records([StoredRecord("shop.seen-changelog", sent.at_partition, 0, entry, seen)])

    # when
    driver.receive_records([sent])

    # then
    assert (told(driver), driver.dead_letters) == ([], [])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        pytest.param(b"\0\0\0\0\1says", b"\0\x7f\0\0\2says", True, id="another registry's schema id"),
        pytest.param(b"\0\0\0\0\1says", b"\0\0\0\0\1said", False, id="another content"),
        pytest.param(b"[1,2,3]", b"[9,9,3]", False, id="another beginning of JSON"),
    ],
)
def test_what_a_message_says_is_its_value_without_a_schema_id(one: bytes, other: bytes, is_same: bool) -> None:
    entries = {entry_of(StoredRecord("t", 0, 1, b"a", value, [("ce_id", b"1")]), "Script") for value in (one, other)}
    assert (len(entries) == 1) is is_same
