"""A record that no handler takes: skipped where that is normal, given up where somebody waits for what it asks."""

from dataclasses import dataclass

import pytest

from ensemble import EventBus, RetryableError, Service, handles, reacts_to
from ensemble.messages import Message, encoder_for
from ensemble.messages.message import schema_name
from ensemble.messages.records import Headers, StoredRecord
from ensemble.partitioning import partition_of
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


TOLD, REFUSED = Told(account_id="a", text="odd"), Refused(account_id="a", command_id="", reason="")


@pytest.mark.parametrize(
    ("message", "claim", "is_refused"),
    [
        (TOLD, schema_name(Refused), True),
        (REFUSED, schema_name(Told), True),
        (quick("a", "a1"), schema_name(SlowScript), True),
        (REFUSED, schema_name(Refused), False),
        (REFUSED, "com.example.refused", False),
        (REFUSED, schema_name(SlowScript), False),
        (TOLD, "com.example.told", False),
    ],
)
def test_a_record_whose_header_names_another_message_of_its_topic_than_its_schema_id_is_given_up(
    driver: ServiceTestDriver, message: Message, claim: str, is_refused: bool
) -> None:
    """A registry that lost its records gives ids anew: one message was taken for another one, or skipped."""
    topic = driver.service.catalogue.homes(type(message))[0].name
    value, partition = encoder_for(type(message))(message), partition_of(b"a", 2)
    headers: Headers = [("ce_type", claim.encode())]
    driver.receive_records([StoredRecord(topic, partition, 0, b"a", value, headers)])
    words = [header(letter, "__streams.errors.message") for letter in driver.dead_letters]
    assert [f"ce_type says {claim}, but its schema id" in text for text in words] == [True] * is_refused
    assert any(isinstance(each, Told) for each in driver.emitted) == (message is REFUSED and not is_refused)


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
