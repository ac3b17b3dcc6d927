"""Rule 9: an async call that outlives its batch stays in flight. Its key waits for it, and nobody else does."""

from __future__ import annotations

import pytest

from ensemble import RetryableError
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import CallLimits, OutagePolicy
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
    QUIET,
    Controls,
    controlled_service,
    later,
    limits,
    parked_labels,
    quick,
    slow,
    texts_of,
)

PATIENT = RetryPolicy(strategy="fixed", initial_s=1, jitter=0, attempts=3, attempt_timeout_s=30)


@pytest.fixture
def driver(world: Controls) -> ServiceTestDriver:
    """A batch waits ten milliseconds for its calls."""
    return ServiceTestDriver(controlled_service(world), limits=limits(PATIENT), call_wait_s=0.01)


@pytest.fixture
def flying(driver: ServiceTestDriver, world: Controls) -> ServiceTestDriver:
    """The call of `a1` hangs; `a2` and `a3` wait behind it."""
    world.hang("a1")
    driver.receive(slow("a", "a1"), quick("a", "a2"))
    driver.receive(slow("a", "a3"))
    return driver


def status(driver: ServiceTestDriver) -> str:
    parked = driver.parked("a")
    return parked.status if parked else "free"


def test_a_hanging_call_delays_no_other_key(flying: ServiceTestDriver) -> None:
    flying.receive(slow("b", "b1"), quick("c", "c1"))
    assert (texts_of(flying, "b"), texts_of(flying, "c"), texts_of(flying)) == (["b1"], ["c1"], [])
    assert (status(flying), parked_labels(flying)) == ("in_flight", ["a1", "a2", "a3"])


def test_its_completion_takes_effect_once_and_its_key_goes_on(flying: ServiceTestDriver, world: Controls) -> None:
    world.let_go("a1")
    flying.land()
    flying.advance(3600)
    flying.restart()
    flying.advance(3600)
    assert (texts_of(flying), status(flying), world.calls.count("a2")) == (["a1", "a2", "a3"], "free", 1)


def test_nothing_is_called_twice_while_it_is_in_flight(flying: ServiceTestDriver, world: Controls) -> None:
    flying.advance(20)
    flying.receive(quick("b", "b1"))
    assert world.calls.count("a1") == 1


def test_a_parked_record_is_not_due_while_its_call_is_in_flight(driver: ServiceTestDriver, world: Controls) -> None:
    """Else the loop would turn as fast as it can until the call is back."""
    # given a record that failed and is due
    world.errors["a1"] = RetryableError("not now")
    driver.receive(slow("a", "a1"))
    world.errors.clear()
    driver.clock.advance(1)

    # when its call hangs
    world.hang("a1")
    driver.receive()

    # then nothing is due
    parked = driver.parked("a")
    assert parked is not None
    assert (parked.status, parked.due_at) == ("in_flight", None)


def test_after_a_restart_it_is_called_again(flying: ServiceTestDriver, world: Controls) -> None:
    flying.restart()
    world.let_go("a1")
    flying.advance(0)
    assert (world.calls[:2], texts_of(flying)) == (["a1", "a1"], ["a1", "a2", "a3"])


def test_what_lands_in_an_aborted_batch_is_called_again(flying: ServiceTestDriver, world: Controls) -> None:
    world.let_go("a1")
    flying.process.loop.run_until_complete(flying.process.calls_in_flight()[0].running)  # type: ignore[arg-type]  # it is under way
    flying.abort()
    assert (texts_of(flying), status(flying)) == ([], "in_flight")
    flying.advance(0)
    assert texts_of(flying) == ["a1", "a2", "a3"]


def test_a_call_that_its_aborted_batch_left_is_cancelled(driver: ServiceTestDriver, world: Controls) -> None:
    """Its record comes again; two calls of one key at once would change one state twice."""
    world.hang("a1")
    driver.abort(slow("a", "a1"))
    assert (status(driver), driver.process.calls_in_flight()) == ("free", [])
    world.let_go("a1")
    driver.receive(slow("a", "a1"))
    assert texts_of(driver) == ["a1"]


def test_a_call_in_flight_survives_the_abort_of_another_batch(flying: ServiceTestDriver, world: Controls) -> None:
    flying.abort(quick("b", "b1"))
    world.let_go("a1")
    flying.land()
    assert (texts_of(flying), world.calls.count("a1")) == (["a1", "a2", "a3"], 2), "begun once, carried once"


def test_a_call_that_fails_in_flight_is_tried_again_by_its_policy(flying: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = RetryableError("not now")
    world.let_go("a1")
    flying.land()
    assert (status(flying), parked_labels(flying)) == ("retrying", ["a1", "a2", "a3"])
    world.errors.clear()
    flying.advance(1)
    assert texts_of(flying) == ["a1", "a2", "a3"]


def test_a_call_that_never_comes_back_ends_with_its_attempt(world: Controls) -> None:
    short = RetryPolicy(attempts=1, attempt_timeout_s=0.05)
    driver = ServiceTestDriver(controlled_service(world), limits=limits(short), call_wait_s=0.01)
    world.hang("a1")
    driver.receive(slow("a", "a1"))
    driver.land()
    assert (status(driver), len(driver.dead_letters)) == ("dead_lettered", 1)


def test_a_timer_waits_for_the_call_of_its_key(driver: ServiceTestDriver, world: Controls) -> None:
    driver.receive(later("a", "ding", 1))
    world.hang("a1")
    driver.receive(slow("a", "a1"))
    driver.advance(2)
    assert texts_of(driver) == []
    world.let_go("a1")
    driver.land()
    driver.advance(0)
    assert texts_of(driver) == ["a1", "ding"]


def test_a_call_that_lands_while_its_service_is_paused_counts_and_begins_nothing_new(
    flying: ServiceTestDriver, world: Controls
) -> None:
    flying.pause("service", "shop")
    world.let_go("a1")
    flying.land()
    flying.advance(60)
    assert (texts_of(flying), parked_labels(flying)) == (["a1"], ["a2", "a3"])
    flying.resume("service", "shop")
    flying.advance(0)
    assert texts_of(flying) == ["a1", "a2", "a3"]


def test_a_probe_in_flight_is_the_only_one_and_is_made_once(world: Controls) -> None:
    policy = limits(PATIENT, outage=OutagePolicy(after=2, probe_s=5))
    driver = ServiceTestDriver(controlled_service(world), limits=policy, call_wait_s=0.01)
    world.errors |= dict.fromkeys(("a", "b", "c"), RetryableError("down"))
    driver.receive(*(slow(key, key) for key in ("a", "b", "c")))
    world.errors.clear()
    for key in ("a", "b", "c"):
        world.hang(key)
    world.calls.clear()
    driver.advance(20)
    assert len(world.calls) == 1
    probe = driver.parked(world.calls[0])
    assert probe is not None
    assert (probe.status, probe.blocked_on) == ("in_flight", "")
    for key in ("a", "b", "c"):
        world.let_go(key)
    driver.land()
    driver.advance(20)
    assert [texts_of(driver, key) for key in ("a", "b", "c")] == [["a"], ["b"], ["c"]]


def test_a_probe_that_an_aborted_batch_made_is_given_back(world: Controls) -> None:
    policy = limits(PATIENT, outage=OutagePolicy(after=2, probe_s=5))
    driver = ServiceTestDriver(controlled_service(world), limits=policy, call_wait_s=0.01)
    world.errors |= dict.fromkeys(("a", "b", "c"), RetryableError("down"))
    driver.receive(*(slow(key, key) for key in ("a", "b", "c")))
    for key in ("a", "b", "c"):
        world.hang(key)
    driver.clock.advance(6)
    world.calls.clear()
    driver.abort()
    driver.advance(0)
    assert world.calls == ["a", "a"]


def test_many_calls_may_be_in_flight_at_once(world: Controls) -> None:
    driver = ServiceTestDriver(controlled_service(world), limits=limits(PATIENT, outage=QUIET), call_wait_s=0.01)
    keys = [f"k{number}" for number in range(50)]
    for key in keys:
        world.hang(key)
    driver.receive(*(slow(key, key) for key in keys))
    assert len(driver.process.calls_in_flight()) == 50
    for key in reversed(keys):
        world.let_go(key)
        driver.land()
    assert all(texts_of(driver, key) == [key] for key in keys)


# -- how many at once -------------------------------------------------------------------------------------------------


def few_at_once(world: Controls, at_once: int, attempt_timeout_s: float, outage: OutagePolicy) -> ServiceTestDriver:
    policy = RetryPolicy(strategy="fixed", initial_s=60, jitter=0, attempt_timeout_s=attempt_timeout_s)
    calls = CallLimits(at_once=at_once)
    return ServiceTestDriver(controlled_service(world), limits=limits(policy, None, outage, calls), call_wait_s=0.01)


def test_no_more_calls_are_made_at_once_than_the_policy_says(world: Controls) -> None:
    """Over all partitions. Another one begins when one ends, and waiting records wait in flight."""
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        world.hang(key)
    driver = few_at_once(world, 2, 30, QUIET)
    driver.receive(*(slow(key, key) for key in keys))
    assert len(world.calls) == 2
    assert {driver.parked(key).status for key in keys} == {"in_flight"}  # type: ignore[union-attr]  # all are parked
    first, _ = world.calls
    world.let_go(first)
    driver.land()
    driver.receive(quick("other", "fine"))
    assert (texts_of(driver, first), len({*world.calls} - {"fine"})) == ([first], 3)


def test_the_time_of_an_attempt_begins_with_its_turn(world: Controls) -> None:
    """The provider is not silent while nobody has asked it."""
    world.hang("a1")
    driver = few_at_once(world, 1, 0.05, QUIET)
    driver.receive(slow("a", "a1"), slow("b", "b1"))
    while not texts_of(driver, "b"):
        driver.land()
    assert (status(driver), texts_of(driver, "b"), world.calls) == ("retrying", ["b1"], ["a1", "b1"])


def test_a_call_whose_circuit_opened_before_its_turn_is_not_made(world: Controls) -> None:
    keys = [f"k{number}" for number in range(6)]
    world.errors = dict.fromkeys(keys, RetryableError("down"))
    driver = few_at_once(world, 1, 30, OutagePolicy(after=3, probe_s=5))
    driver.receive(*(slow(key, key) for key in keys))
    driver.advance(0)
    assert len(world.calls) == 3
    untried = [key for key in keys if key not in world.calls]
    assert {driver.parked(key).status for key in untried} == {"outage"}  # type: ignore[union-attr]  # all are parked
    world.errors.clear()
    driver.advance(70)
    assert [texts_of(driver, key) for key in keys] == [[key] for key in keys]
