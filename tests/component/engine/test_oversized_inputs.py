"""A record that is too large to wait, or to be dead-lettered whole, is given up at once, and the flow goes on."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ensemble import RetryableError, TerminalError
from ensemble.messages import Message
from ensemble.messages.records import MAX_INPUT_BYTES, MAX_KEY_BYTES, Headers, StoredRecord, size_of
from ensemble.partitioning import partition_of
from ensemble.policies.service import OutagePolicy
from ensemble.system_messages.dead_letters import DeadLetter
from ensemble.system_messages.operations import IncidentOpened
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
    Controls,
    header,
    last_dead_letter,
    limits,
    quick,
    slow,
    texts_of,
)
from tests.support.scripted_service.messages import Refused

HUGE = MAX_INPUT_BYTES + 1
NOT_NOW = RetryableError("not now")
NEVER = TerminalError("never")


def padded(driver: ServiceTestDriver, message: Message, message_id: str = "huge") -> StoredRecord:
    """Return the record of a message, with a header that makes it too large."""
    record = driver.record_of(message, message_id)
    record.raw_headers.append(("pad", b"x" * HUGE))
    return record


def raw(value: bytes, key: bytes = b"a") -> StoredRecord:
    return StoredRecord("shop.commands", partition_of(key, 2), 7, key, value, [("ce_id", b"huge")])


def test_a_huge_record_that_nobody_can_read_leaves_the_beginning_length_and_hash(driver: ServiceTestDriver) -> None:
    # given a record that is small only while it is compressed
    value = b"{" + b"a" * HUGE

    # when it comes before another one
    driver.receive_records([raw(value), driver.record_of(quick("a", "a1"), "1")])

    # then its dead letter fits and says what it is an excerpt of
    letter = driver.dead_letters[0]
    assert size_of(letter) < MAX_INPUT_BYTES
    assert letter.raw_value
    assert value.startswith(letter.raw_value)
    assert int(header(letter, "ensemble.value-length")) == len(value)
    assert header(letter, "ensemble.value-sha256") == sha256(value).hexdigest()
    assert header(letter, "ce_id") == "huge"
    assert texts_of(driver) == ["a1"]


@pytest.mark.parametrize("error", [NEVER, NOT_NOW], ids=["terminal", "passing"])
@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_a_huge_record_that_fails_is_given_up_and_its_key_goes_on(
    driver: ServiceTestDriver, world: Controls, make: type, error: Exception
) -> None:
    world.errors["a1"] = error
    driver.receive_records([padded(driver, make("a", "a1")), driver.record_of(quick("a", "a2"), "2")])
    assert (driver.parked("a"), texts_of(driver)) == (None, ["a2"])
    assert header(last_dead_letter(driver), "__streams.errors.exception") == "OversizedInput"
    assert "cannot be parked" in header(last_dead_letter(driver), "__streams.errors.message")
    was_called = make is quick  # a call that may outlast its batch is not made
    assert ("the direct cause" in header(last_dead_letter(driver), "__streams.errors.stacktrace")) is was_called
    assert [event.command_id for event in driver.emitted if isinstance(event, Refused)] == ["huge"]


def test_a_huge_record_that_succeeds_is_handled(driver: ServiceTestDriver) -> None:
    driver.receive_records([padded(driver, quick("a", "a1"))])
    assert (texts_of(driver), driver.dead_letters) == (["a1"], [])


def test_a_huge_record_behind_a_parked_key_is_given_up(driver: ServiceTestDriver, world: Controls) -> None:
    # given a parked key
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"))

    # when a huge record of the key comes
    driver.receive_records([padded(driver, quick("a", "a2")), driver.record_of(quick("a", "a3"), "3")])

    # then it does not wait, and the others keep their order
    assert header(last_dead_letter(driver), "__streams.errors.exception") == "OversizedInput"
    del world.errors["a1"]
    driver.advance(1)
    assert texts_of(driver) == ["a1", "a3"]


def test_a_huge_record_of_a_paused_command_is_given_up(driver: ServiceTestDriver) -> None:
    driver.pause("command", "Script")
    driver.receive_records([padded(driver, quick("a", "a1")), driver.record_of(quick("b", "b1"), "1")])
    assert header(last_dead_letter(driver), "__streams.errors.exception") == "OversizedInput"
    assert (driver.parked("a"), len(driver.waiting("b"))) == (None, 1)


def test_a_call_that_could_not_wait_for_its_answer_is_not_made(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive_records([padded(driver, slow("a", "a1"))])
    assert (world.calls, driver.parked("a")) == ([], None)
    assert "may outlast its batch" in header(last_dead_letter(driver), "__streams.errors.message")


def test_many_headers_are_bounded_in_sum(driver: ServiceTestDriver) -> None:
    record = raw(b"{")
    record.raw_headers.extend((f"h{number}", b"x" * 1_000) for number in range(3_000))
    driver.receive_records([record])
    letter = driver.dead_letters[0]
    assert (size_of(letter) < 100_000, letter.raw_value) == (True, b"{")
    assert int(header(letter, "ensemble.headers-dropped")) > 2_900


def test_a_record_is_the_same_message_though_most_of_its_headers_are_gone(
    driver: ServiceTestDriver, world: Controls
) -> None:
    # given a message whose id stands behind headers that fill a dead letter, and which cannot be handled
    world.errors["a1"] = NEVER
    message = quick("a", "a1")
    record = driver.record_of(message, "")
    pad: Headers = [("x" * 40, b"")] * 36_000
    record.raw_headers[:] = [("ce_id", b"another"), *pad, ("ce_id", b"7"), ("ce_source", b"/web")]
    driver.receive_records([record])

    # when it is redriven with its value, and published once more
    del world.errors["a1"]
    driver.redrive(driver.dead_letters[0], message)
    driver.receive_records([record])

    # then it has taken effect once, under its own id
    assert texts_of(driver) == ["a1"]
    assert header(driver.records("shop.events")[-1], "ce_causationid") == "7"


@pytest.mark.parametrize("value", [b"{", None], ids=["unreadable", "tombstone"])
def test_a_huge_key_is_cut(driver: ServiceTestDriver, value: bytes) -> None:
    driver.receive_records([raw(value, b"k" * 1_500_000)])
    assert driver.dead_letters[0].raw_key == b"k" * MAX_KEY_BYTES


def test_a_readable_record_with_a_huge_key_is_misplaced(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(quick("k" * (MAX_KEY_BYTES + 1), "k1"))
    assert header(driver.dead_letters[0], "__streams.errors.exception") == "MisplacedRecord"
    assert world.calls == []


def test_the_largest_record_that_is_kept_whole_is_parked_and_dead_lettered(
    driver: ServiceTestDriver, world: Controls
) -> None:
    # given a record that just fits
    world.errors["a1"] = NEVER
    record = driver.record_of(quick("a", "a1"), "1")
    record.raw_headers.append(("pad", b""))
    record.raw_headers[-1] = ("pad", b"x" * (MAX_INPUT_BYTES - size_of(record)))

    # when it fails
    driver.receive_records([record])

    # then all of it waits and is in its dead letter
    assert driver.waiting("a")[0].value == record.raw_value
    assert DeadLetter.of(last_dead_letter(driver)).is_whole
    assert dict(last_dead_letter(driver).headers())["pad"] == record.raw_headers[-1][1]


def test_an_excerpt_is_not_redriven_but_its_edit_is(driver: ServiceTestDriver, world: Controls) -> None:
    # given the excerpt of a record
    driver.receive_records([raw(b"{" + b"a" * HUGE)])
    letter = driver.dead_letters[0]

    # when it is redriven, then only what an operator gives in its place is handled
    with pytest.raises(ValueError, match="only the beginning"):
        driver.redrive(letter)
    driver.redrive(letter, edited=quick("a", "a1"))
    assert texts_of(driver) == ["a1"]


class Mute(RetryableError):
    """An error that fails when it is asked what it says."""

    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    "error", [Mute(), TerminalError("\ud800" * 5_000), TerminalError("x" * 3_000_000)], ids=["mute", "half", "huge"]
)
def test_whatever_an_error_says_its_sender_is_told(
    driver: ServiceTestDriver, world: Controls, error: Exception
) -> None:
    world.errors["a1"] = error
    driver.receive(quick("a", "a1"))
    driver.advance(10)
    assert [event.account_id for event in driver.emitted if isinstance(event, Refused)] == ["a"]
    assert size_of(last_dead_letter(driver)) < MAX_INPUT_BYTES


def test_an_incident_is_told_whatever_its_cause_says(driver: ServiceTestDriver, world: Controls) -> None:
    noisy = ServiceTestDriver(driver.service, limits=limits(outage=OutagePolicy(after=2)))
    for key in ("a", "b"):
        world.errors[f"{key}1"] = RetryableError("\ud800 is no character")
        noisy.receive(quick(key, f"{key}1"))
    assert len(noisy.answers(IncidentOpened)) == 1
