"""A record that no handler takes: skipped where that is normal, given up where somebody waits for what it asks."""

from dataclasses import dataclass

import pytest

from ensemble import EventBus, RetryableError, Service, handles, reacts_to
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import Controls, controlled_service, header, limits, quick, slow
from tests.support.scripted_service.messages import Refused, Script, SlowScript, Told
from tests.support.scripted_service.service import catalogue_of


@dataclass(frozen=True)
class Reader:
    """Takes some of the messages of its topics, and not the others."""

    events: EventBus[Told]

    @handles(Script)
    def on_script(self, command: Script) -> None:
        self.events.emit(Told(account_id=command.account_id, text="script"))

    @reacts_to(Refused)
    def on_refused(self, event: Refused) -> None:
        self.events.emit(Told(account_id=event.account_id, text="refused"))


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(Service("shop", catalogue_of("shop"), roles=[Reader]))


def test_an_event_that_it_does_not_react_to_is_skipped(driver: ServiceTestDriver) -> None:
    driver.receive(Told(account_id="a", text="odd"), Refused(account_id="a", command_id="", reason=""))
    assert (driver.dead_letters, driver.parked("a")) == ([], None)
    assert driver.emitted == [Told(account_id="a", text="refused")]


def test_a_command_of_its_own_topic_that_no_handler_takes_is_given_up(driver: ServiceTestDriver) -> None:
    driver.receive(slow("a", "a1"), quick("a", "a2"))
    (letter,) = driver.dead_letters
    assert header(letter, "__streams.errors.exception") == "UnhandledMessage"
    assert driver.emitted == [Told(account_id="a", text="script")]


@dataclass(frozen=True)
class Successor:
    """A release that takes one type of command less."""

    @handles(SlowScript)
    def on_slow_script(self, command: SlowScript) -> None: ...


def test_a_command_that_waits_and_that_the_next_release_does_not_take_is_given_up() -> None:
    # given commands that wait behind one that failed
    world = Controls(errors={"a1": RetryableError("not now")})
    before = ServiceTestDriver(controlled_service(world), limits=limits())
    before.receive(quick("a", "a1"), quick("a", "a2"))

    # when a release without their handler comes up
    after = ServiceTestDriver(Service("shop", catalogue_of("shop"), roles=[Successor]), before.clock)
    after.given_records(before.log)
    after.advance(3600)

    # then each is a dead letter, and their key is free
    errors = [header(letter, "__streams.errors.exception") for letter in after.dead_letters]
    assert (errors, after.parked("a")) == (["UnhandledMessage", "UnhandledMessage"], None)
