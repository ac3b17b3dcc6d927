"""When the provider is down a service stops trying: one incident, one probe at a time, and it resumes by itself."""

from __future__ import annotations

import pytest

from ensemble import MisconfiguredAdapter, RetryableError, TerminalError
from ensemble.errors import UnknownSaga
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import OutagePolicy
from ensemble.system_messages.operations import IncidentClosed, IncidentOpened
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
    THRICE,
    Controls,
    controlled_service,
    later,
    limits,
    quick,
    slow,
    texts_of,
)
from tests.support.scripted_service.messages import Announced

DOWN = RetryableError("the provider is down")


class TooManyRequests(RetryableError):
    retry_after_s = 60.0


KEYS = [f"k{number}" for number in range(10)]
PATIENT = RetryPolicy(strategy="fixed", initial_s=60, jitter=0, attempts=100, budget_s=86_400)


@pytest.fixture
def world() -> Controls:
    """Everything fails."""
    return Controls(errors=dict.fromkeys(KEYS, DOWN))


@pytest.fixture
def driver(world: Controls) -> ServiceTestDriver:
    """Out after three failures; one probe in five seconds."""
    return ServiceTestDriver(controlled_service(world), limits=limits(PATIENT, outage=OutagePolicy(after=3, probe_s=5)))


def opened(driver: ServiceTestDriver) -> int:
    return len(driver.answers(IncidentOpened))


def closed(driver: ServiceTestDriver) -> int:
    return len(driver.answers(IncidentClosed))


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_records_park_unattempted_once_the_handler_is_out(
    driver: ServiceTestDriver, world: Controls, make: type
) -> None:
    for key in KEYS:
        driver.receive(make(key, key))
    assert world.calls == KEYS[:3]
    statuses = [parked.status for key in KEYS if (parked := driver.parked(key))]
    assert statuses == ["retrying"] * 2 + ["outage"] * 8
    assert (opened(driver), closed(driver)) == (1, 0)


def test_one_probe_at_a_time_is_spent_on_it(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(*(quick(key, key) for key in KEYS))
    world.calls.clear()
    driver.advance(16)
    assert len(world.calls) == 3
    assert (opened(driver), driver.dead_letters) == (1, [])


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_it_resumes_by_itself_and_says_so_once(driver: ServiceTestDriver, world: Controls, make: type) -> None:
    driver.receive(*(make(key, key) for key in KEYS), *(make(key, f"{key}-2") for key in KEYS))
    world.errors.clear()
    driver.advance(70)
    assert {key: texts_of(driver, key) for key in KEYS} == {key: [key, f"{key}-2"] for key in KEYS}
    assert (opened(driver), closed(driver)) == (1, 1)


def test_other_handlers_go_on(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(*(quick(key, key) for key in KEYS))
    driver.receive(slow("other", "fine"), later("other", "ding", 1))
    driver.advance(1)
    assert texts_of(driver, "other") == ["fine", "ding"]


def test_a_duplicate_says_nothing_of_the_handler(driver: ServiceTestDriver, world: Controls) -> None:
    """It is dropped before the handler is reached: no success, and the next record may be the probe."""
    driver.receive(quick("seen", "seen"), message_id="one")
    driver.receive(*(quick(key, key) for key in KEYS))
    driver.clock.advance(6)
    world.calls.clear()
    driver.receive(quick("seen", "seen"), message_id="one")
    assert (closed(driver), len(world.calls)) == (0, 1)


def test_a_probe_whose_input_is_wrong_is_given_back(driver: ServiceTestDriver, world: Controls) -> None:
    """It says nothing of the handler, and the next record may be the probe at once."""
    driver.receive(*(quick(key, key) for key in KEYS[:5]))
    driver.clock.advance(6)
    world.errors["new"] = TerminalError("never")
    world.calls.clear()
    driver.receive(quick("new", "new"))
    driver.advance(0)
    assert len(world.calls) == 2


def test_timers_are_part_of_it(driver: ServiceTestDriver, world: Controls) -> None:
    """One that is due parks its key unattempted, and is tried again when the handler works."""
    driver.receive(*(later(key, key, 1) for key in KEYS))
    driver.advance(2)
    assert len(world.calls) == 3
    world.errors.clear()
    driver.advance(70)
    assert [texts_of(driver, key) for key in KEYS] == [[key] for key in KEYS]
    assert (opened(driver), closed(driver)) == (1, 1)


def test_an_incident_whose_batch_was_aborted_is_told_by_the_next(driver: ServiceTestDriver) -> None:
    driver.abort(*(quick(key, key) for key in KEYS))
    driver.receive(Announced(account_id="other", text="ding in 60"))
    assert opened(driver) == 1
    driver.receive(quick("k0", "k0"))
    assert opened(driver) == 1


def driver_with(world: Controls, policy: RetryPolicy) -> ServiceTestDriver:
    """Out after three failures; one probe in five seconds."""
    return ServiceTestDriver(controlled_service(world), limits=limits(policy, outage=OutagePolicy(after=3, probe_s=5)))


def test_waiting_for_the_end_of_an_outage_uses_up_neither_attempts_nor_budget(world: Controls) -> None:
    """Ten keys share the probes of an hour, so each is tried 72 times; the budget would have ended after a minute."""
    driver = driver_with(world, RetryPolicy(strategy="fixed", initial_s=1, jitter=0, attempts=80, budget_s=60))
    driver.receive(*(quick(key, key) for key in KEYS))
    driver.advance(3600)
    assert driver.dead_letters == []
    world.errors.clear()
    driver.advance(70)
    assert [texts_of(driver, key) for key in KEYS] == [[key] for key in KEYS]


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_each_probe_is_another_key(driver: ServiceTestDriver, world: Controls, make: type) -> None:
    """In whatever partition: first those that were never tried, then the one whose last attempt is the oldest."""
    driver.receive(*(make(key, key) for key in KEYS))
    driver.advance(36)
    assert sorted(world.calls) == KEYS, "three before, seven in 36 seconds"
    world.calls.clear()
    driver.advance(50)
    assert sorted(world.calls) == KEYS


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_keys_that_always_fail_keep_nobody_else_out(driver: ServiceTestDriver, world: Controls, make: type) -> None:
    """The handler works for every other key, those of the same partition included."""
    driver.receive(*(make(key, key) for key in KEYS))
    driver.advance(600)
    others = [f"other-{number}" for number in range(20)]
    for key in others:
        driver.receive(make(key, key))
        driver.advance(6)
    driver.advance(6)
    assert [texts_of(driver, key) for key in others] == [[key] for key in others]


@pytest.mark.parametrize("exhaustion", OnExhaustion)
def test_probes_use_up_the_attempts_of_their_key(world: Controls, exhaustion: OnExhaustion) -> None:
    driver = driver_with(world, RetryPolicy(attempts=4, on_exhaustion=exhaustion))
    driver.receive(*(quick(key, key) for key in KEYS[:5]))
    driver.advance(5 * 5 * 4)
    assert {label: world.calls.count(label) for label in KEYS[:5]} == dict.fromkeys(KEYS[:5], 4)
    assert len(driver.dead_letters) == (0 if exhaustion is OnExhaustion.PAUSE else 5)


def test_a_key_that_failed_keeps_its_used_up_attempts_when_the_circuit_closes(world: Controls) -> None:
    """So what is wrong with it, and not with the handler, comes to an end."""
    driver = driver_with(world, RetryPolicy(strategy="fixed", initial_s=1, jitter=0, attempts=4))
    driver.receive(*(quick(key, key) for key in KEYS[:3]))
    for number in range(6):
        driver.advance(6)
        driver.receive(quick(f"good-{number}", "fine"))
    assert {label: world.calls.count(label) for label in KEYS[:3]} == dict.fromkeys(KEYS[:3], 4)
    assert len(driver.dead_letters) == 3


def test_one_failure_of_configuration_is_an_incident_and_uses_up_no_attempts(world: Controls) -> None:
    """No input is at fault, so that none is given up: it goes on once the configuration is right."""
    world.errors = dict.fromkeys(KEYS, MisconfiguredAdapter("configuration: wrong credentials"))
    driver = driver_with(world, THRICE)
    driver.receive(quick("k0", "k0"))
    (incident,) = driver.answers(IncidentOpened)
    assert incident.cause == "MisconfiguredAdapter: configuration: wrong credentials"
    driver.receive(*(quick(key, key) for key in KEYS[1:]))
    driver.advance(3600)
    assert driver.dead_letters == []
    world.errors.clear()
    driver.advance(10)
    assert [texts_of(driver, key) for key in KEYS] == [[key] for key in KEYS]


def test_one_key_that_is_refused_as_if_by_configuration_is_given_up(world: Controls) -> None:
    """Others succeed, so it is no configuration: each time it opens the circuit uses up one of its attempts."""
    world.errors = {"k0": MisconfiguredAdapter("configuration: forbidden")}
    driver = driver_with(world, THRICE)
    driver.receive(quick("k0", "k0"))
    for number in range(10):
        driver.receive(quick(f"good-{number}", "fine"))
        driver.advance(6)
    assert [letter.key() for letter in driver.dead_letters] == [b"k0"]


def test_neither_retries_nor_probes_come_before_the_other_side_wants_them(world: Controls) -> None:
    world.errors = dict.fromkeys(KEYS, TooManyRequests("slow down"))
    driver = driver_with(world, RetryPolicy(strategy="fixed", initial_s=1, jitter=0))
    driver.receive(quick("k0", "k0"))
    driver.advance(59)
    assert world.calls == ["k0"]
    driver.receive(*(quick(key, key) for key in KEYS))
    world.calls.clear()
    driver.advance(58)
    assert world.calls == []
    driver.advance(60)
    assert len(world.calls) == 1


def test_an_unknown_saga_says_nothing_of_its_handler(world: Controls) -> None:
    """Orders of a release that was rolled back wait for it, and those of this release go on."""
    world.errors = dict.fromkeys(KEYS, UnknownSaga("saga version 2 is not known here"))
    driver = driver_with(world, PATIENT)
    driver.receive(*(quick(key, key) for key in KEYS))
    driver.receive(quick("other", "fine"))
    assert texts_of(driver, "other") == ["fine"]
    assert (opened(driver), {driver.parked(key).status for key in KEYS}) == (0, {"retrying"})  # type: ignore[union-attr]  # it is parked
