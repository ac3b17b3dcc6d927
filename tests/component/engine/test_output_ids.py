"""Rule 2: an output's id follows from service, handler, input and ordinal; so running a record again makes the same."""

from pathlib import Path

import pytest

from ensemble.messages.records import MAX_ID_BYTES, Headers, StoredRecord
from ensemble.state.unit_of_work import RecordLayer
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Refused
from tests.support.scripted_service.service import scripted_service


@pytest.fixture
def driver(tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path))


def headers(record: StoredRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers()}


def ids(driver: ServiceTestDriver) -> list[str]:
    return [headers(record)["ce_id"] for record in driver.records("shop.events")]


def raw(driver: ServiceTestDriver, steps: tuple[str, ...], headers: Headers) -> StoredRecord:
    record = driver.record_of(script("a", *steps), "")
    return StoredRecord(*(record.topic(), record.partition(), record.offset(), record.key(), record.value()), headers)


def test_a_record_that_is_run_again_makes_the_same_ids(tmp_path: Path) -> None:
    first, again = (ServiceTestDriver(scripted_service("shop", tmp_path)) for _ in range(2))
    again.crash(script("a", "tell x", "tell y"))
    for driver in (first, again):
        driver.receive(script("a", "tell x", "tell y"), message_id="one")
    assert ids(first) == ids(again)
    assert len(set(ids(first))) == 2


def test_another_attempt_makes_the_same_ids(driver: ServiceTestDriver, tmp_path: Path) -> None:
    plain = ServiceTestDriver(scripted_service("shop", tmp_path))
    plain.receive(script("a", "tell x", "tell y"), message_id="one")
    driver.receive(script("a", "tell x", "flaky 3", "tell y"), message_id="one")
    driver.advance(60)
    assert ids(driver) == ids(plain)


def test_other_inputs_and_other_services_make_other_ids(driver: ServiceTestDriver, tmp_path: Path) -> None:
    other = ServiceTestDriver(scripted_service("other", tmp_path))
    driver.receive(script("a", "tell x"), message_id="one")
    driver.receive(script("a", "tell x"), message_id="two")
    other.receive(script("a", "tell x"), message_id="one")
    message_ids = [*ids(driver), *(headers(record)["ce_id"] for record in other.records("other.events"))]
    assert len(set(message_ids)) == 3


def test_a_timer_makes_the_same_ids_whoever_fires_it(driver: ServiceTestDriver, tmp_path: Path) -> None:
    other = ServiceTestDriver(scripted_service("shop", tmp_path))
    for each in (driver, other):
        each.receive(script("a", "remind alarm 5 tell ding"), message_id="one")
    other.restart()
    for each in (driver, other):
        each.advance(6)
    assert ids(driver) == ids(other) != []


def test_an_output_names_its_cause_its_conversation_and_its_trace(driver: ServiceTestDriver) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    input_headers: Headers = [
        ("ce_id", b"one"),
        ("ce_correlationid", b"order-1"),
        ("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()),
    ]
    driver.receive_records([raw(driver, ("tell x", "remind alarm 5 tell y"), input_headers)])
    driver.advance(6)
    event, reminder = (headers(record) for record in driver.records("shop.events"))
    assert (event["ce_causationid"], event["ce_correlationid"]) == ("one", "order-1")
    assert reminder["ce_correlationid"] == "order-1"
    assert {event["traceparent"][3:35], reminder["traceparent"][3:35]} == {trace}
    assert event["traceparent"][36:52] == event["ce_id"][:16]


def test_a_record_without_headers_is_known_by_its_place(driver: ServiceTestDriver) -> None:
    driver.receive_records([raw(driver, ("tell x",), [])])
    (event,) = driver.records("shop.events")
    place = f"shop.commands/{driver.record_of(script('a'), '').partition()}/0"
    assert (headers(event)["ce_causationid"], headers(event)["ce_correlationid"]) == (place, place)


def test_a_place_that_is_too_long_for_an_id_names_its_story_at_each_hop() -> None:
    # given a record without an id, of a topic whose name is as long as Kafka allows
    first, second = RecordLayer(), RecordLayer()
    first.take_up(StoredRecord("t" * 249, 0, 2**63 - 1, b"a", b""), "now")

    # when what it has led to is handled in its turn
    next_headers: Headers = [("ce_id", b"2"), ("ce_correlationid", first.correlation_id.encode())]
    second.take_up(StoredRecord("shop.events", 0, 0, b"a", b"", next_headers), "now")

    # then both are of one story
    assert second.correlation_id == first.correlation_id == first.message_id
    assert len(first.message_id) <= MAX_ID_BYTES


def test_ids_that_differ_only_in_bytes_that_are_no_text_are_two_ids(driver: ServiceTestDriver) -> None:
    """Rule 3: taken for one, the second message would be dropped as a duplicate."""
    driver.receive_records(
        [raw(driver, ("tell x",), [("ce_id", b"\xff")]), raw(driver, ("tell y",), [("ce_id", b"\xfe")])]
    )
    assert len(driver.records("shop.events")) == 2


def test_a_long_id_is_known_again_too(driver: ServiceTestDriver) -> None:
    """Rule 3: what is kept of it is short, and its own."""
    for end in (b"1", b"2", b"1"):
        driver.receive_records([raw(driver, ("tell x",), [("ce_id", b"i" * 100_000 + end)])])
    assert len(driver.records("shop.events")) == 2
    assert all(len(record.key() or b"") < 100 for record in driver.records("shop.seen-changelog"))


def test_a_command_without_a_key_is_answered_under_its_own_id(driver: ServiceTestDriver) -> None:
    good = raw(driver, ("tell x",), [("ce_id", b"good")])
    value = driver.record_of(script("a", "tell never"), "").value()
    keyless = StoredRecord("shop.commands", good.partition(), 1, None, value, [("ce_id", b"keyless")])
    driver.receive_records([good, keyless])
    assert [event.command_id for event in driver.emitted if isinstance(event, Refused)] == ["keyless"]
