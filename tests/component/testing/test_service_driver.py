"""What the driver of one service promises its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.testing import FlowError, ServiceTestDriver
from tests.support.scripted_service.controlled_service import Controls, controlled_service, limits, slow
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Account, Booked, Forwarded, Tally, Told
from tests.support.scripted_service.service import scripted_service

KEYS = ("a", "b", "c", "d", "e", "f")
"""On both partitions."""


@pytest.fixture
def driver(tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path))


def texts(driver: ServiceTestDriver) -> list[str]:
    return [event.text for event in driver.emitted if isinstance(event, Told)]


def test_outputs_come_in_the_order_of_the_inputs_that_caused_them(driver: ServiceTestDriver) -> None:
    # given keys of both partitions
    failing = next(
        key for key in KEYS if driver.process.partition_of(key.encode()) != driver.process.partition_of(b"a")
    )

    # when the first record of the second partition fails for good
    driver.receive(*(script(key, "fail no" if key == failing else f"tell {key}") for key in KEYS))

    # then its dead letter stands where the record stood
    keys = [record.raw_key for record in driver.log if record.at_topic in {"shop.events", "shop.dead-letter"}]
    assert list(dict.fromkeys(keys)) == [key.encode() for key in KEYS]
    assert [letter.raw_key for letter in driver.dead_letters] == [failing.encode()]


def test_what_was_seen_before_can_be_forgotten(driver: ServiceTestDriver) -> None:
    driver.receive(script("a", "tell one", "forward two"))
    assert (texts(driver), driver.sent) == (["one"], [Forwarded(account_id="a", text="two")])
    driver.clear()
    assert driver.outputs == []
    driver.receive(script("a", "tell three"))
    assert (texts(driver), driver.sent) == (["three"], [])


def test_a_message_of_nobodys_input_is_refused_with_where_it_lies(driver: ServiceTestDriver) -> None:
    with pytest.raises(ConfigurationError, match=r"^shop does not read shop\.events, where Told lies$"):
        driver.receive(Told(account_id="a", text="x"))


def test_the_same_id_again_is_the_same_message_and_the_next_one_is_another(driver: ServiceTestDriver) -> None:
    for _ in range(2):
        driver.receive(script("a", "tell once"), script("a", "tell each"), message_id="m-1")
    assert texts(driver) == ["once", "each", "each"]


def test_what_a_store_and_a_ledger_hold_before_is_there_when_the_first_message_comes(driver: ServiceTestDriver) -> None:
    # given
    driver.given_state("a", Account(value=7, text="given"))
    driver.given(*(Booked(account_id="a", sequence=number, label="x", amount=1) for number in (1, 2)))
    driver.given_records(driver.records("shop.account-changelog"))

    # when
    driver.receive(script("a", "add 1", "book x 3", "lines"))

    # then
    assert texts(driver) == ["8", "x=5"]
    state = driver.state(Account, "a")
    assert state is not None
    assert state.value == 8
    assert [record.at_offset for record in driver.records("shop.ledger")] == [0, 1, 2]
    assert driver.state(Account, "b") is None


def test_a_batch_that_is_aborted_leaves_offsets_that_are_used_up_and_nothing_else(driver: ServiceTestDriver) -> None:
    driver.abort(script("a", "tell x", "set 1"), message_id="m-1")
    assert (driver.outputs, driver.state(Account, "a")) == ([], None)
    driver.receive(script("a", "tell x"), message_id="m-1")
    assert texts(driver) == ["x"]
    assert driver.records("shop.events")[0].at_offset == 1


@pytest.mark.parametrize(
    ("at", "left"), [("after-poll", []), ("in-batch", []), ("after-flush", []), ("after-commit", ["x"])]
)
def test_a_process_that_dies_has_done_what_it_had_committed(
    driver: ServiceTestDriver, at: str, left: list[str]
) -> None:
    driver.crash(script("a", "tell x"), at=at)
    assert (texts(driver), driver.process.deaths) == (left, [at])
    driver.receive(script("a", "tell y"))
    assert texts(driver) == [*left, "y"], "it dies once"


def test_a_process_dies_at_points_that_there_are_and_at_a_time_that_comes(driver: ServiceTestDriver) -> None:
    with pytest.raises(ConfigurationError, match=r"no point 'noon' to crash at; points are .*in-batch"):
        driver.crash(script("a"), at="noon")
    with pytest.raises(ConfigurationError, match="shop cannot die the 0th time that it reaches in-batch: 1 or more"):
        driver.process.die_at("in-batch", 0)


def test_time_stops_at_each_due_time_on_its_way(driver: ServiceTestDriver) -> None:
    began = driver.clock.now()
    driver.receive(script("a", "remind alarm 7 tell b"), script("b", "remind bell 5 tell a"))
    assert [(timer.name, timer.due_at - began) for timer in driver.timers] == [("bell", 5_000), ("alarm", 7_000)]
    driver.advance(6)
    assert (texts(driver), driver.clock.now() - began) == (["a"], 6_000)
    driver.advance(1)
    assert (texts(driver), driver.timers) == (["a", "b"], [])
    with pytest.raises(FlowError, match="time moves on: -1 is no number of seconds"):
        driver.advance(-1)


def test_a_call_in_flight_lands_when_it_is_back() -> None:
    # given a call that outlives its batch
    world = Controls()
    driver = ServiceTestDriver(controlled_service(world), limits=limits(), call_wait_s=0.01)
    world.hang("x")
    driver.receive(slow("a", "x"))
    assert (len(driver.process.calls_in_flight()), texts(driver)) == (1, [])

    # when
    driver.land(0.01)
    assert texts(driver) == []
    world.let_go("x")
    driver.land()

    # then
    assert (driver.process.calls_in_flight(), texts(driver)) == ([], ["x"])


def test_an_aggregate_is_that_of_its_last_committed_fact(driver: ServiceTestDriver) -> None:
    assert driver.aggregate(Tally, "a") == Tally()
    driver.receive(script("a", "stamp 3"), script("b", "stamp 4"))
    assert driver.aggregate(Tally, "a") == Tally(total=3, stamps=1)


def test_a_topic_that_nobody_lists_has_no_records_to_look_at(driver: ServiceTestDriver) -> None:
    assert driver.records("shop.events") == []
    with pytest.raises(ConfigurationError, match=r"^no topic 'shop\.elsewhere' here"):
        driver.records("shop.elsewhere")


def test_a_driver_is_given_a_service_and_not_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is no service; call it, and pass what it returns$"):
        ServiceTestDriver(scripted_service)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigurationError, match=r"^7 is no service$"):
        ServiceTestDriver(7)  # type: ignore[arg-type]  # the mistake


def test_a_record_is_what_its_sender_would_have_written(driver: ServiceTestDriver) -> None:
    first, second = (driver.record_of(script("a", "tell x"), "m-1") for _ in range(2))
    assert (first.at_topic, first.raw_key, dict(first.headers())["ce_id"]) == ("shop.commands", b"a", b"m-1")
    assert first.at_partition == driver.process.partition_of(b"a")
    assert second.at_offset == first.at_offset + 1
