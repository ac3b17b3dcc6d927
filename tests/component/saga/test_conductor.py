from dataclasses import replace

import pytest

from ensemble import NO_EFFECT, Service, state_store
from ensemble.errors import ConfigurationError
from ensemble.policies.saga import SagaPolicies
from ensemble.saga import conductor
from ensemble.testing.driver import ServiceTestDriver
from examples import cafe
from examples import saga as catering


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(catering.SERVICE)


def state_of(driver: ServiceTestDriver) -> cafe.Catering:
    state = driver.state(cafe.Catering, "p-1")
    assert state is not None
    return state


def test_steps_follow_each_other_until_the_saga_is_completed(driver: ServiceTestDriver) -> None:
    # when
    driver.receive(catering.ORDERED, catering.RESERVED, cafe.VanBooked(party="p-1"))

    # then
    assert [type(command) for command in driver.sent] == [cafe.ReserveBeans, cafe.BookVan]
    assert state_of(driver).status == "completed"


def test_a_refusal_undoes_what_was_done(driver: ServiceTestDriver) -> None:
    # when
    driver.receive(*catering.INPUTS)

    # then
    assert driver.sent[-1] == cafe.ReleaseBeans(party="p-1")
    assert state_of(driver).status == "cancelled"


def test_a_deadline_survives_a_restart_and_asks_again(driver: ServiceTestDriver) -> None:
    # given
    driver.receive(catering.ORDERED)
    driver.restart()
    driver.clear()

    # when
    driver.advance(31)

    # then
    (again,) = driver.sent
    assert isinstance(again, cafe.ReserveBeans)
    assert again.attempt == 2


def test_no_deadline_is_left_when_nothing_is_awaited(driver: ServiceTestDriver) -> None:
    # given
    driver.receive(*catering.INPUTS)
    driver.clear()

    # when
    driver.advance(3600)

    # then
    assert driver.sent == []


def test_an_ended_saga_is_forgotten_in_the_end(driver: ServiceTestDriver) -> None:
    # given
    driver.receive(*catering.INPUTS)

    # when
    driver.advance(8 * 86_400)

    # then
    assert driver.state(cafe.Catering, "p-1") is None


def test_a_saga_that_nobody_could_resume_does_not_pause(driver: ServiceTestDriver) -> None:
    # given
    driver.pause("command", "BookVan")

    # when
    driver.receive(catering.ORDERED, catering.RESERVED)

    # then
    assert [type(command) for command in driver.sent] == [cafe.ReserveBeans, cafe.BookVan]


def test_a_step_without_a_policy_is_refused_at_start() -> None:
    # given
    policies = SagaPolicies(steps={"beans": catering.POLICY}, undos={"beans": catering.POLICY})

    # then
    with pytest.raises(ConfigurationError, match="step 'van' has no policy"):
        conductor(catering.CATERING, cafe.Catering, "party", policies)


def test_a_step_that_only_asked_is_not_taken_back() -> None:
    # given
    van = replace(catering.CATERING.steps[1], undo=NO_EFFECT, status="asking")
    saga = replace(catering.CATERING, steps=(van, catering.CATERING.steps[0]))
    role = conductor(saga, cafe.Catering, "party", catering.POLICIES)
    service = Service("caterer", cafe.CATERING_CATALOGUE, roles=[role], stores=[state_store(cafe.Catering)])
    driver = ServiceTestDriver(service)
    driver.receive(catering.ORDERED, cafe.VanBooked(party="p-1"))
    driver.advance(91)

    # when
    driver.receive(catering.RELEASED)

    # then
    assert driver.sent[-1] == cafe.ReleaseBeans(party="p-1")
    assert (state_of(driver).status, state_of(driver).owed) == ("cancelled", ())
