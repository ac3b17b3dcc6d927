"""A failing record parks its key: what follows waits in order, everything else flows, and nothing is lost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from contracts import CommandFailed, DispatchStock, FulfilOrder, ReceiveStock, ReservationConfirmed
from contracts.catalogue import CATALOGUE
from ensemble import RejectedInput, RetryableError, Service, TerminalError, handles
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.errors import ConfigurationError, Stopped
from ensemble.messages.records import StoredRecord
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import ParkingLimits
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from tests.support.order_messages import fulfil_order, lines, receive_stock
from tests.support.scripted_service.controlled_service import (
    THRICE,
    Controls,
    controlled_service,
    header,
    last_dead_letter,
    later,
    limits,
    parked_labels,
    quick,
    slow,
    texts_of,
)
from tests.support.scripted_service.messages import Refused

NOT_NOW = RetryableError("not now")
NEVER = TerminalError("never")


# -- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_what_follows_a_failed_record_waits_while_other_keys_flow(
    driver: ServiceTestDriver, world: Controls, make: type
) -> None:
    world.errors["a1"] = NOT_NOW
    driver.receive(make("a", "a1"), make("a", "a2"), make("b", "b1"))
    driver.receive(quick("a", "a3"), make("b", "b2"))
    assert (texts_of(driver), texts_of(driver, "b")) == ([], ["b1", "b2"])
    assert parked_labels(driver) == ["a1", "a2", "a3"]


def test_success_drains_the_key_in_order(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"), slow("a", "a2"), quick("a", "a3"))
    del world.errors["a1"]
    driver.advance(1)
    assert texts_of(driver) == ["a1", "a2", "a3"]
    assert driver.parked("a") is None


def test_a_drain_stops_at_the_next_record_that_fails(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors |= {"a1": NOT_NOW, "a3": NOT_NOW}
    driver.receive(*(quick("a", f"a{number}") for number in range(1, 5)))
    del world.errors["a1"]
    driver.advance(1)
    assert (texts_of(driver), parked_labels(driver)) == (["a1", "a2"], ["a3", "a4"])


def test_a_long_line_is_drained_in_several_batches(world: Controls) -> None:
    # given more parked records than one batch drains
    driver = ServiceTestDriver(controlled_service(world), limits=limits(parking=ParkingLimits(per_key=250)))
    labels = [f"a{number}" for number in range(250)]
    world.errors["a0"] = NOT_NOW
    driver.receive(*(quick("a", label) for label in labels))

    # when the first one succeeds
    world.errors.clear()
    driver.advance(1)

    # then all do, and not in one transaction
    assert texts_of(driver) == labels
    assert len(driver.records("shop.account-changelog")) > 1


def test_a_timer_waits_while_its_key_is_parked(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(later("a", "ding", 5))
    world.errors["a1"] = NEVER
    driver.receive(quick("a", "a1"))
    driver.advance(10)
    assert texts_of(driver) == []
    driver.discard(last_dead_letter(driver))
    driver.advance(0)
    assert texts_of(driver) == ["ding"]


def test_a_timer_held_in_a_batch_that_was_aborted_fires_all_the_same(
    driver: ServiceTestDriver, world: Controls
) -> None:
    driver.receive(later("a", "ding", 5))
    driver.clock.advance(5)
    world.errors["a1"] = NEVER
    task = driver.process.task_of("a")
    task.begin_batch(driver.clock.now())
    task.take(driver.record_of(quick("a", "a1"), "one"))
    task.fire_due(driver.clock.now())
    task.abort()
    driver.advance(0)
    assert texts_of(driver) == ["ding"]


def test_a_timer_that_fails_parks_its_key(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(later("a", "ding", 5))
    world.errors["ding"] = NOT_NOW
    driver.advance(5)
    driver.receive(quick("a", "a1"))
    assert texts_of(driver) == []
    world.errors.clear()
    driver.advance(1)
    assert texts_of(driver) == ["ding", "a1"]


# -- when, how often, and then --------------------------------------------------------------------------------------


def test_attempts_follow_the_policy_and_not_one_more(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NOT_NOW
    begun = []
    driver.receive(quick("a", "a1"))
    for _ in range(6):
        begun.append(len(world.calls))
        driver.advance(0.5)
    assert begun == [1, 1, 2, 2, 3, 3]
    assert header(last_dead_letter(driver), "ensemble.attempts") == "3"


def test_the_record_behind_has_all_attempts_of_its_own(driver: ServiceTestDriver, world: Controls) -> None:
    # given a head that has failed twice of three times, and one behind it
    world.errors |= {"a1": NOT_NOW, "a2": NOT_NOW}
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    driver.advance(1)

    # when the head succeeds and the other one fails
    del world.errors["a1"]
    driver.advance(1)

    # then that is the other one's first attempt
    parked = driver.parked("a")
    assert parked is not None
    assert (parked.status, parked.attempts, parked.first_failed_at) == ("retrying", 1, driver.clock.now())


def test_what_failed_names_the_policy_that_ruled_it(world: Controls) -> None:
    # given a policy that is not the default
    policy = RetryPolicy(strategy="fixed", initial_s=1, attempts=2, origin="shop.toml#1a2b3c4d")
    driver = ServiceTestDriver(controlled_service(world), limits=limits(policy))
    world.errors["a1"] = NOT_NOW

    # when a record uses up its attempts
    driver.receive(quick("a", "a1"))
    driver.advance(1)

    # then its key and its dead letter say so
    parked = driver.parked("a")
    assert parked is not None
    assert parked.policy == "shop.toml#1a2b3c4d"
    assert header(last_dead_letter(driver), "ensemble.policy") == "shop.toml#1a2b3c4d"


def test_chance_varies_the_delays_of_records_and_is_the_same_when_one_is_judged_again(world: Controls) -> None:
    """As after an abort: else a record could become due earlier than another process has said."""
    world.errors["a1"] = NOT_NOW

    def due_at(message_id: str, source: str = "/east", key: str = "a") -> int | None:
        driver = ServiceTestDriver(controlled_service(world), limits=limits(RetryPolicy(initial_s=10, jitter=1)))
        record = driver.record_of(quick(key, "a1"), message_id)
        driver.receive_records([replace(record, raw_headers=[*record.raw_headers, ("ce_source", source.encode())])])
        parked = driver.parked(key)
        return parked.due_at if parked else None

    assert due_at("one") == due_at("one")
    assert len({due_at("one"), due_at("other"), due_at("one", "/west"), due_at("one", key="b")}) == 4
    began = ServiceTestDriver(controlled_service(world)).clock.now()
    delays = [(due_at(f"m-{number}") or 0) - began for number in range(12)]
    assert 0 <= min(delays) < 5_000 <= max(delays) <= 10_000, "they are spread over all that jitter allows"


def test_delays_grow_up_to_the_cap(world: Controls) -> None:
    policy = RetryPolicy(initial_s=1, multiplier=3, cap_s=5, jitter=0, attempts=9)
    driver = ServiceTestDriver(controlled_service(world), limits=limits(policy))
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"))
    delays = []
    for _ in range(4):
        parked = driver.parked("a")
        assert parked is not None
        assert parked.due_at is not None
        delays.append((parked.due_at - driver.clock.now()) / 1000)
        driver.advance(delays[-1])
    assert delays == [1, 3, 5, 5]


def test_a_due_time_survives_a_restart(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    driver.advance(0.5)
    driver.restart()
    world.errors.clear()
    driver.advance(0.4)
    assert texts_of(driver) == []
    driver.advance(0.1)
    assert texts_of(driver) == ["a1", "a2"]


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (OnExhaustion.DEAD_LETTER, ("dead_lettered", 1, [])),
        (OnExhaustion.COMPENSATE, ("dead_lettered", 1, [])),
        (OnExhaustion.PAUSE, ("paused", 0, [])),
        (OnExhaustion.SKIP, (None, 1, ["a2"])),
    ],
)
def test_exhaustion_follows_the_policys_word(
    world: Controls, word: OnExhaustion, outcome: tuple[str | None, int, list[str]]
) -> None:
    policy = RetryPolicy(strategy="fixed", initial_s=1, attempts=2, on_exhaustion=word)
    driver = ServiceTestDriver(controlled_service(world), limits=limits(policy))
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    driver.advance(3600)
    parked = driver.parked("a")
    assert (parked and parked.status, len(driver.dead_letters), texts_of(driver)) == outcome
    assert [type(event) for event in driver.emitted if isinstance(event, Refused)] == [Refused]


@pytest.mark.parametrize("word", list(OnExhaustion))
def test_the_sender_is_told_what_became_of_its_command(word: OnExhaustion) -> None:
    driver = ServiceTestDriver(inventory_service(), limits=limits(RetryPolicy(on_exhaustion=word)))
    driver.receive(DispatchStock(order_id="o-1", warehouse_id="w-1"))
    (failed,) = driver.emitted
    assert isinstance(failed, CommandFailed)
    assert (failed.disposition, failed.command) == (word.value, "DispatchStock")


def test_input_that_is_wrong_in_itself_is_skipped_whatever_the_policy(
    driver: ServiceTestDriver, world: Controls
) -> None:
    world.errors["a1"] = RejectedInput("nonsense")
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    assert (texts_of(driver), len(driver.dead_letters), driver.parked("a")) == (["a2"], 1, None)
    assert header(driver.dead_letters[0], "ensemble.disposition") == "skip"


def test_dead_letters_that_are_copied_back_do_not_grow(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = RejectedInput("nonsense")
    driver.receive(quick("a", "a1"))
    for offset in range(100, 103):
        headers, place = driver.dead_letters[-1].headers(), ("shop.commands", driver.process.partition_of(b"a"), offset)
        driver.receive_records([StoredRecord(*place, b"a", driver.dead_letters[-1].value(), headers)])
    assert len({len(letter.headers() or ()) for letter in driver.dead_letters}) == 1
    assert header(driver.dead_letters[-1], "__streams.errors.offset") == "102"


@pytest.mark.parametrize("key", [None, b"", b"misplaced", b"\xff\xfe"], ids=["null", "empty", "misplaced", "no text"])
def test_a_record_whose_key_is_wrong_is_skipped(driver: ServiceTestDriver, key: bytes | None) -> None:
    good = driver.record_of(quick("a", "a1"), "one")
    wrong_place = 1 - driver.process.partition_of(b"misplaced") if key == b"misplaced" else good.partition()
    where = driver.process.partition_of(key) if key == b"\xff\xfe" else wrong_place
    driver.receive_records([StoredRecord(good.topic(), where, 100, key, good.value()), good])
    assert (texts_of(driver), len(driver.dead_letters)) == (["a1"], 1)
    assert driver.dead_letters[0].key() == key
    says_why = "no UTF-8 text" in header(driver.dead_letters[0], "__streams.errors.message")
    assert says_why is (key == b"\xff\xfe")
    assert driver.waiting((key or b"").decode(errors="replace")) == []


# -- the parking key -----------------------------------------------------------------------------------------------


def test_a_poisoned_order_does_not_block_its_warehouse() -> None:
    driver = ServiceTestDriver(inventory_service(), limits=limits())
    driver.receive(receive_stock(quantity=10))
    driver.clear()
    driver.receive(DispatchStock(order_id="o-1", warehouse_id="w-1"))
    driver.receive(fulfil_order(order_id="o-1"), fulfil_order(order_id="o-2", lines=lines(bolt=1)))
    confirmed = [event.order_id for event in driver.emitted if isinstance(event, ReservationConfirmed)]
    assert confirmed == ["o-2"]
    assert (driver.parked("w-1"), len(driver.waiting("o-1"))) == (None, 2)


@dataclass(frozen=True)
class Caller:
    """Async, keyed by the warehouse."""

    @handles(ReceiveStock)
    async def receive(self, command: ReceiveStock) -> None: ...


@dataclass(frozen=True)
class Reserver:
    """Plain, parked by the order."""

    @handles(FulfilOrder)
    def reserve(self, command: FulfilOrder) -> None: ...


def test_a_service_that_makes_calls_parks_by_its_record_keys_only() -> None:
    """Else a record of the warehouse could change what a call in flight for it has read."""
    service = Service("inventory", CATALOGUE, roles=[Caller, Reserver])
    with pytest.raises(ConfigurationError, match=r"Caller.receive is async, but FulfilOrder parks by order_id"):
        compile_service(service, ManualClock())


def test_a_message_under_another_key_than_its_own_is_skipped(driver: ServiceTestDriver) -> None:
    """Its sender's mistake: outsiders must not be able to stop a key."""
    other = driver.record_of(quick("b", "b1"), "one").value()
    good = driver.record_of(quick("a", "a1"), "two")
    driver.receive_records([StoredRecord(good.topic(), good.partition(), 100, b"a", other), good])
    assert (texts_of(driver), len(driver.dead_letters), driver.parked("a")) == (["a1"], 1, None)


# -- aborts, crashes and restarts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_an_aborted_failure_leaves_nothing_parked(driver: ServiceTestDriver, world: Controls, make: type) -> None:
    world.errors["a1"] = NEVER
    driver.abort(make("a", "a1"), make("a", "a2"))
    assert (driver.parked("a"), driver.waiting("a"), driver.dead_letters) == (None, [], [])
    world.errors.clear()
    driver.receive(make("a", "a1"), make("a", "a2"))
    assert texts_of(driver) == ["a1", "a2"]


@pytest.mark.parametrize("end", ["abort", "crash"])
def test_a_retry_whose_batch_was_lost_is_made_again(driver: ServiceTestDriver, world: Controls, end: str) -> None:
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    world.errors.clear()
    driver.clock.advance(1)
    getattr(driver, end)(quick("a", "a3"))
    assert (texts_of(driver), parked_labels(driver)) == ([], ["a1", "a2"])
    driver.receive(quick("a", "a3"))
    assert texts_of(driver) == ["a1", "a2", "a3"]


def test_a_restart_keeps_the_line_and_its_order(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NEVER
    driver.receive(quick("a", "a1"))
    for label in ("a2", "a3", "a4"):
        driver.restart()
        driver.receive(quick("a", label))
    driver.restart()
    assert texts_of(driver) == []
    driver.discard(last_dead_letter(driver))
    assert texts_of(driver) == ["a2", "a3", "a4"]


def test_a_key_that_was_parked_once_can_be_parked_again(driver: ServiceTestDriver, world: Controls) -> None:
    """Numbers begin anew, also within the batch that freed the key."""
    for label in ("a1", "a2", "a3"):
        world.errors[label] = NOT_NOW
        driver.receive(quick("a", label))
        world.errors.clear()
        world.errors["next"] = NOT_NOW
        driver.clock.advance(1)
        driver.receive(quick("a", "next"))
        driver.restart()
        assert parked_labels(driver) == ["next"]
        world.errors.clear()
        driver.advance(1)
    assert texts_of(driver) == ["a1", "next", "a2", "next", "a3", "next"]


# -- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_a_full_key_gives_up_its_own_records_and_stops_no_other(world: Controls, make: type) -> None:
    driver = ServiceTestDriver(controlled_service(world), limits=limits(THRICE, ParkingLimits(per_key=2)))
    other = next(
        f"b{number}"
        for number in range(99)
        if driver.process.partition_of(f"b{number}".encode()) == driver.process.partition_of(b"a")
    )
    world.errors["a1"] = NOT_NOW
    driver.receive(make("a", "a1"), make("a", "a2"), make("a", "a3"), make(other, "b1"))
    assert (parked_labels(driver), texts_of(driver, other)) == (["a1", "a2"], ["b1"])
    (letter,) = driver.dead_letters
    assert header(letter, "__streams.errors.exception") == "ParkingKeyFull"
    assert (header(letter, "ensemble.attempts"), header(letter, "ensemble.disposition")) == ("0", "skip")
    world.errors.clear()
    driver.advance(1)
    driver.redrive(letter)
    assert texts_of(driver) == ["a1", "a2", "a3"]


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
@pytest.mark.parametrize("limit", [ParkingLimits(per_key=2), ParkingLimits(per_partition=2)], ids=["key", "partition"])
def test_duplicates_of_what_waits_are_dropped_and_take_no_room(
    world: Controls, make: type, limit: ParkingLimits
) -> None:
    driver = ServiceTestDriver(controlled_service(world), limits=limits(THRICE, limit))
    world.errors["a1"] = NOT_NOW
    driver.receive(make("a", "a1"), message_id="one")
    driver.receive(make("a", "a2"), message_id="two")
    for _ in range(3):
        driver.receive(make("a", "a1"), message_id="one")
        driver.receive(make("a", "a2"), message_id="two")
    assert (parked_labels(driver), driver.dead_letters) == (["a1", "a2"], [])
    world.errors.clear()
    driver.advance(1)
    assert texts_of(driver) == ["a1", "a2"]


def test_a_duplicate_of_what_was_handled_is_dropped_although_its_key_is_parked(
    driver: ServiceTestDriver, world: Controls
) -> None:
    driver.receive(quick("a", "a0"), message_id="zero")
    world.errors["a1"] = NOT_NOW
    driver.receive(quick("a", "a1"))
    driver.receive(quick("a", "a0"), message_id="zero")
    assert parked_labels(driver) == ["a1"]


def test_an_edited_record_is_still_the_message_that_was_published(driver: ServiceTestDriver, world: Controls) -> None:
    """Published again it is a duplicate, while the edited one waits and once that is handled."""
    world.errors |= {"a1": NEVER, "fixed": NEVER}
    driver.receive(quick("a", "a1"), message_id="one")
    driver.redrive(driver.dead_letters[0], edited=quick("a", "fixed"))
    driver.receive(quick("a", "a1"), message_id="one")
    assert parked_labels(driver) == ["fixed"]
    world.errors.clear()
    driver.redrive(driver.dead_letters[1])
    driver.receive(quick("a", "a1"), message_id="one")
    assert (texts_of(driver), len(driver.dead_letters)) == (["fixed"], 2)


def test_one_id_of_two_senders_is_two_messages(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NOT_NOW
    first, second = driver.record_of(quick("a", "a1"), "one"), driver.record_of(quick("a", "a2"), "one")
    second.raw_headers.append(("ce_source", b"/another/shop"))
    driver.receive_records([first, second])
    assert parked_labels(driver) == ["a1", "a2"]


def test_a_full_partition_takes_no_more_and_loses_nothing(world: Controls) -> None:
    driver = ServiceTestDriver(controlled_service(world), limits=limits(THRICE, ParkingLimits(per_partition=2)))
    world.errors["a1"] = NOT_NOW
    with pytest.raises(Stopped, match="no room for more"):
        driver.receive(quick("a", "a1"), quick("a", "a2"), quick("a", "a3"))
    task = driver.process.task_of("a")
    assert (parked_labels(driver), task.positions["shop.commands"]) == (["a1", "a2"], 2), "a3 is not taken"
    assert task.parked.why_stopped()
    world.errors.clear()
    driver.advance(1)
    assert not task.parked.why_stopped()
    driver.receive(quick("a", "a3"))
    assert texts_of(driver) == ["a1", "a2", "a3"]


def test_records_of_new_keys_stop_as_well_when_the_partition_is_full(world: Controls) -> None:
    """Any of them could fail, and then there would be no room for it."""
    driver = ServiceTestDriver(controlled_service(world), limits=limits(THRICE, ParkingLimits(per_partition=3)))
    keys = [f"k{number}" for number in range(40)]
    world.errors |= dict.fromkeys(keys, NEVER)
    for key in keys:
        with suppress(Stopped):
            driver.receive(quick(key, key))
    assert {task.stores.parking.record_count for task in driver.process.tasks.values()} == {3}
