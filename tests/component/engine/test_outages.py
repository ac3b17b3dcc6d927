"""When the provider is down a service stops trying: one incident, one probe at a time, and it resumes by itself."""

from __future__ import annotations

import pytest

from ensemble.errors import RetryableError, TerminalError
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import OutagePolicy
from ensemble.system_messages.operations import IncidentClosed, IncidentOpened
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
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


def test_an_outage_does_not_use_up_attempts(world: Controls) -> None:
    policy = RetryPolicy(strategy="fixed", initial_s=60, jitter=0, attempts=2)
    driver = ServiceTestDriver(
        controlled_service(world), limits=limits(policy, outage=OutagePolicy(after=3, probe_s=5))
    )
    driver.receive(*(quick(key, key) for key in KEYS))
    driver.advance(600)
    assert driver.dead_letters == []
    world.errors.clear()
    driver.advance(70)
    assert [texts_of(driver, key) for key in KEYS] == [[key] for key in KEYS]
