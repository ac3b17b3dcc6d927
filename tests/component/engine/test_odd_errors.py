"""Whatever a handler raises is the failure of its record: no other key waits, nothing is lost, the process goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from ensemble import EventBus, RetryableError, Service, handles, role
from ensemble.messages import Message
from ensemble.policies.service import OutagePolicy
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
    Controls,
    controlled_service,
    last_dead_letter,
    later,
    limits,
    quick,
    slow,
    texts_of,
)
from tests.support.scripted_service.controlled_service import header as header_of
from tests.support.scripted_service.messages import Script, Told
from tests.support.scripted_service.service import catalogue_of

EXITS = (SystemExit(3), asyncio.CancelledError("the pool is closed"))


@dataclass(frozen=True)
class Echo:
    """Tells what it was told, under the key that the message names."""

    events: EventBus[Told]

    @handles(Script)
    def echo(self, command: Script) -> None:
        self.events.emit(Told(account_id=command.account_id, text=command.steps[0]))


def test_a_message_whose_key_nobody_could_read_holds_up_no_other_key() -> None:
    # given a message that lies under another key than it names
    driver = ServiceTestDriver(Service("shop", catalogue_of("shop"), roles=[role(Echo)]))
    sent, astray = driver.record_of(quick("a", "a1"), "1"), driver.record_of(quick("", "nobody's"), "2")
    astray = replace(astray, at_partition=sent.at_partition, raw_key=sent.raw_key)

    # when
    driver.receive_records([astray, sent])

    # then
    assert (driver.parked("a"), texts_of(driver, "a")) == (None, ["a1"])
    assert header_of(driver.dead_letters[0], "__streams.errors.exception") == "MisplacedRecord"


class Throttled(RetryableError):
    """As an adapter may raise it that hands on what a header says."""


@pytest.mark.parametrize("error", EXITS, ids=repr)
@pytest.mark.parametrize("how", [quick, slow])
def test_an_exit_is_the_failure_of_its_record(
    driver: ServiceTestDriver, world: Controls, how: Callable[[str, str], Message], error: BaseException
) -> None:
    world.errors["a1"] = error
    driver.receive(how("a", "a1"), how("b", "b1"))
    driver.advance(60)
    assert header_of(last_dead_letter(driver), "__streams.errors.exception") == "HandlerExit"
    assert type(error).__name__ in header_of(last_dead_letter(driver), "__streams.errors.message")
    assert texts_of(driver, "b") == ["b1"]


def test_an_exit_of_a_timers_handler_is_the_failure_of_its_key(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = SystemExit()
    driver.receive(later("a", "a1", 1), later("b", "b1", 1))
    driver.advance(60)
    assert (driver.parked("a") is None, texts_of(driver, "b")) == (False, ["b1"])


@pytest.mark.parametrize("error", EXITS, ids=repr)
def test_a_call_in_flight_that_cancels_itself_is_no_success(world: Controls, error: BaseException) -> None:
    # given a call that has outlived its batch
    driver = ServiceTestDriver(controlled_service(world), limits=limits(), call_wait_s=0.01)
    world.hang("a1")
    driver.receive(slow("a", "a1"))

    # when it ends as if it had been cancelled, and works at the next attempt
    world.errors["a1"] = error
    world.let_go("a1")
    driver.land()
    world.errors.clear()
    driver.advance(2)
    driver.land()

    # then
    assert texts_of(driver) == ["a1"]


def test_a_handlers_own_timeout_keeps_its_words(driver: ServiceTestDriver, world: Controls) -> None:
    """Only an attempt that has used up its own time is called unanswered."""
    world.errors["a1"] = TimeoutError("the database did not answer")
    driver.receive(slow("a", "a1"))
    parked = driver.parked("a")
    assert parked is not None
    assert (parked.error, parked.words) == ("TimeoutError", "the database did not answer")


@pytest.mark.parametrize("asked", ["60", None, timedelta(seconds=60), float("nan"), float("-inf")], ids=repr)
def test_a_delay_that_is_no_number_is_none(world: Controls, asked: object) -> None:
    driver = ServiceTestDriver(controlled_service(world), limits=limits(outage=OutagePolicy(after=1)))
    Throttled.retry_after_s = asked  # type: ignore[assignment]  # the mistake
    world.errors["a1"] = Throttled("busy")
    driver.receive(quick("a", "a1"), quick("b", "b1"))
    world.errors.clear()
    driver.advance(60)
    assert (texts_of(driver), texts_of(driver, "b")) == (["a1"], ["b1"])
