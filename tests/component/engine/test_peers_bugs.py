"""Bugs that users of comparable systems have met, each at the lowest layer that shows it. None of them may come back.

Two are pinned where they belong: a consumer of a topic that does not exist (tests/integration/test_start.py), and the
same pause delivered again after its end (tests/component/engine/test_operator_commands.py).
"""

from __future__ import annotations

import pytest

from contracts import FulfilOrder, OrderState
from ensemble import RetryableError, TerminalError
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.system_messages.state import Timer
from ensemble.testing.driver import ServiceTestDriver
from services.orchestrator.service import orchestrator
from tests.support.order_saga_driver import PAID, PLACED, RESERVED, SCHEDULED
from tests.support.scripted_service.controlled_service import (
    Controls,
    controlled_service,
    last_dead_letter,
    limits,
    parked_labels,
    quick,
    slow,
    texts_of,
)

NOT_NOW = RetryableError("not now")
NEVER = TerminalError("never")


@pytest.fixture
def driver(world: Controls) -> ServiceTestDriver:
    return ServiceTestDriver(controlled_service(world), limits=limits(), call_wait_s=0.01)


def under(driver: ServiceTestDriver, key: str, label: str, message_id: str, **headers_by_name: bytes) -> StoredRecord:
    """A record with this id, at a place of its own."""
    record, headers = (
        driver.record_of(quick(key, label), ""),
        [("ce_id", message_id.encode()), *headers_by_name.items()],
    )
    place = (record.topic(), record.partition(), record.offset())
    return StoredRecord(*place, record.key(), record.value(), headers)


def test_offsets_do_not_advance_before_their_effects_are_durable(driver: ServiceTestDriver) -> None:
    task = driver.process.task_of("a")
    task.start_at({"shop.commands": 0, "shop.news": 0, "shop.control": 0})
    task.begin_batch(driver.clock.now())
    task.take(driver.record_of(quick("a", "a1"), "one"))
    assert task.offsets() == {"shop.commands": 1, "shop.news": 0, "shop.control": 0}
    task.abort()
    assert task.rewind()["shop.commands"] == 0


@pytest.mark.parametrize("error", [NEVER, NOT_NOW], ids=["dead letter", "retry"])
def test_a_record_whose_dead_letter_was_not_written_is_not_acknowledged(
    driver: ServiceTestDriver, world: Controls, error: Exception
) -> None:
    world.errors["a1"] = error
    driver.abort(quick("a", "a1"), message_id="one")
    assert (driver.dead_letters, driver.parked("a")) == ([], None)
    driver.receive(quick("a", "a1"), message_id="one")
    assert driver.parked("a") is not None


def test_no_retry_and_no_dead_letter_goes_back_to_an_input(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors |= {"a1": NOT_NOW, "b1": NEVER}
    driver.receive(quick("a", "a1"), quick("b", "b1"))
    driver.advance(3600)
    driver.redrive(last_dead_letter(driver, "b"))
    inputs = {topic.name for topic in driver.service.inputs} | {driver.service.control.name}
    assert len(driver.dead_letters) == 3
    assert not inputs & {record.at_topic for record in driver.log}


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_of_many_that_fail_in_one_partition_none_is_lost_and_none_tried_too_often(
    driver: ServiceTestDriver, world: Controls, make: type
) -> None:
    keys = [f"k{number}" for number in range(12)]
    world.errors |= dict.fromkeys(keys, NOT_NOW)
    driver.receive(*(make(key, key) for key in keys))
    driver.advance(3600)
    assert sorted(world.calls) == sorted(keys * 3)
    assert sorted(letter.key() or b"" for letter in driver.dead_letters) == sorted(key.encode() for key in keys)


def test_a_pause_while_a_call_is_in_flight_is_whole(driver: ServiceTestDriver, world: Controls) -> None:
    """The call's end is recorded, nothing new begins, and a restart changes neither."""
    world.hang("a1")
    driver.receive(slow("a", "a1"), slow("a", "a2"))
    driver.pause("command", "SlowScript")
    world.let_go("a1")
    driver.land()
    driver.restart()
    driver.advance(60)
    assert (texts_of(driver), parked_labels(driver)) == (["a1"], ["a2"])
    driver.resume("command", "SlowScript")
    driver.advance(0)
    assert texts_of(driver) == ["a1", "a2"]


def test_what_was_under_way_goes_on_after_a_restart_without_new_work(
    driver: ServiceTestDriver, world: Controls
) -> None:
    world.errors["a1"] = NOT_NOW
    world.hang("b1")
    driver.receive(quick("a", "a1"), slow("b", "b1"))
    driver.restart()
    world.errors.clear()
    world.let_go("b1")
    driver.advance(1)
    assert (texts_of(driver, "a"), texts_of(driver, "b")) == (["a1"], ["b1"])


def test_a_dead_letter_has_the_key_of_its_record(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NEVER
    driver.receive(quick("a", "a1"))
    record = last_dead_letter(driver)
    assert (record.key(), record.partition()) == (b"a", driver.process.partition_of(b"a"))


def test_a_message_is_known_by_its_id_and_not_by_its_place(driver: ServiceTestDriver) -> None:
    """As after a broker was reset, or a topic copied: old ids at new places, new ids at old ones."""
    first = under(driver, "a", "a1", "one")
    moved = under(driver, "a", "a1", "one")
    place = (first.topic(), first.partition(), first.offset(), first.key())
    other = StoredRecord(*place, driver.record_of(quick("a", "a2"), "").value(), [("ce_id", b"two")])
    for record in (first, moved, other):
        driver.receive_records([record])
    assert texts_of(driver) == ["a1", "a2"]


def test_two_stories_with_one_correlation_id_are_two(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NEVER
    same = {"ce_correlationid": b"basket-1"}
    driver.receive_records([under(driver, "a", "a1", "one", **same), under(driver, "b", "b1", "two", **same)])
    assert (texts_of(driver, "a"), texts_of(driver, "b")) == ([], ["b1"])
    (told,) = driver.records("shop.events")[-1:]
    causes = {name: value for name, value in told.headers() or () if name in {"ce_correlationid", "ce_causationid"}}
    assert causes == {"ce_correlationid": b"basket-1", "ce_causationid": b"two"}


def test_a_timeout_that_comes_after_the_end_does_nothing() -> None:
    """Even one that was left behind, as by an older release."""
    driver = ServiceTestDriver(orchestrator())
    for event in (PLACED, PAID, RESERVED, SCHEDULED):
        driver.receive(event)
    driver.clear()
    timer = encoder_for(Timer)(Timer(due_at=driver.clock.now() + 1000))
    partition = driver.process.partition_of(b"o-1")
    driver.given_records([StoredRecord("orchestrator.timers-changelog", partition, 99, b"o-1/deadline", timer)])
    assert driver.process.task_of("o-1").next_timer() == driver.clock.now() + 1000
    driver.advance(3600)
    assert (driver.outputs, driver.dead_letters, driver.parked("o-1")) == ([], [], None)


def test_a_reply_that_comes_before_its_request_is_recorded_is_not_lost() -> None:
    driver = ServiceTestDriver(orchestrator())
    driver.receive(PAID)
    driver.restart()
    driver.receive(PLACED)
    assert FulfilOrder in [type(command) for command in driver.sent]
    state = driver.state(OrderState, "o-1")
    assert state is not None
    assert state.status == "fulfilled"
