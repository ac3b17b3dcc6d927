"""The order service, whole, in memory."""

from __future__ import annotations

import pytest

from contracts import CancelOrder, CommandFailed, CompleteOrder, Order, OrderCancelled, OrderCompleted, OrderPlaced
from ensemble.testing.driver import ServiceTestDriver
from services.order.service import order_service
from tests.support.order_messages import order_placed, place_order

COMPLETE = CompleteOrder(order_id="o-1")
CANCEL = CancelOrder(order_id="o-1", reason="out of stock")


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(order_service())


def status(driver: ServiceTestDriver) -> str:
    order = driver.state(Order, "o-1")
    assert order is not None
    return order.status


def reasons(driver: ServiceTestDriver) -> list[str]:
    """Why each dead letter is one."""
    return [dict(record.headers())["__streams.errors.message"].decode() for record in driver.dead_letters]


def test_announces_an_order_that_is_placed(driver: ServiceTestDriver) -> None:
    driver.receive(place_order())

    assert driver.emitted == [order_placed(placed_at=driver.clock.now())]
    assert status(driver) == "accepted"


def test_announces_an_order_once_however_often_it_is_placed(driver: ServiceTestDriver) -> None:
    driver.receive(place_order(), place_order())
    driver.receive(place_order())

    assert len(driver.emitted) == 1
    assert driver.dead_letters == []


def test_drops_the_same_message_delivered_twice(driver: ServiceTestDriver) -> None:
    driver.receive(place_order(), message_id="m-1")
    driver.restart()
    driver.receive(place_order(), message_id="m-1")

    assert len(driver.emitted) == 1
    assert driver.dead_letters == []


def test_gives_up_another_order_under_the_id_of_a_message_that_was_handled(driver: ServiceTestDriver) -> None:
    driver.receive(place_order(), message_id="m-1")
    driver.receive(place_order(order_id="o-2"), message_id="m-1")
    driver.receive(place_order(currency="USD"), message_id="m-1")

    assert [type(event).__name__ for event in driver.emitted] == ["OrderPlaced", "OrderPlaced", "CommandFailed"]
    assert len(driver.dead_letters) == 1


def test_gives_up_another_order_under_a_known_id(driver: ServiceTestDriver) -> None:
    driver.receive(place_order())
    before = driver.state(Order, "o-1")
    driver.clear()

    driver.receive(place_order(customer_id="c-2"))

    assert driver.state(Order, "o-1") == before
    assert [type(event) for event in driver.emitted] == [CommandFailed]
    assert reasons(driver) == [
        "order_id: o-1 was placed before on other terms; place a new order under an id of its own"
    ]


def test_its_own_announcement_coming_back_changes_nothing_that_is_seen(driver: ServiceTestDriver) -> None:
    driver.receive(place_order())
    (announced,) = driver.emitted
    driver.clear()

    driver.receive(announced)

    assert driver.outputs == []
    assert driver.dead_letters == []
    assert status(driver) == "placed"


def test_knows_an_order_that_was_published_from_outside(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())
    driver.receive(place_order())
    driver.receive(order_placed(placed_at=9))

    assert driver.outputs == []
    assert driver.dead_letters == []
    assert status(driver) == "placed"


def test_gives_up_an_event_that_contradicts_a_known_order(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())

    driver.receive(order_placed(currency="USD"))

    assert len(driver.dead_letters) == 1
    assert driver.outputs == []


def test_the_first_on_the_topic_wins_when_two_are_announced(driver: ServiceTestDriver) -> None:
    driver.receive(place_order())
    (own,) = driver.emitted
    assert isinstance(own, OrderPlaced)

    driver.receive(order_placed(customer_id="c-2"))
    driver.receive(own)

    assert len(driver.dead_letters) == 1
    driver.receive(order_placed(customer_id="c-2"))
    assert len(driver.dead_letters) == 1


def test_closes_an_order_and_says_so_again_when_asked_again(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())

    driver.receive(COMPLETE, COMPLETE)
    driver.receive(CANCEL)

    assert driver.emitted == [OrderCompleted(order_id="o-1")] * 3
    assert status(driver) == "completed"


def test_cancels_an_order_with_the_reason_it_was_given(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())

    driver.receive(CANCEL)

    assert driver.emitted == [OrderCancelled(order_id="o-1", reason="out of stock")]


def test_closes_an_order_that_it_does_not_know_yet(driver: ServiceTestDriver) -> None:
    driver.receive(CANCEL)
    driver.receive(order_placed())

    assert driver.emitted == [OrderCancelled(order_id="o-1", reason="out of stock")]
    assert status(driver) == "cancelled"
    driver.receive(order_placed(currency="USD"))
    assert len(driver.dead_letters) == 1


def test_remembers_after_a_restart(driver: ServiceTestDriver) -> None:
    driver.receive(place_order())
    driver.receive(order_placed())
    driver.restart()
    driver.clear()

    driver.receive(place_order())

    assert driver.outputs == []
    assert status(driver) == "placed"


def test_nothing_is_left_of_an_order_whose_commit_did_not_happen(driver: ServiceTestDriver) -> None:
    driver.crash(place_order())

    assert driver.log == []
    driver.receive(place_order())
    assert len(driver.emitted) == 1
