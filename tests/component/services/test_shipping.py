"""The shipping service, whole, in memory."""

from __future__ import annotations

import pytest

from contracts import InitiatePackaging, Shipment, ShipmentCancelled, ShipmentScheduled, ShippingSpeed
from ensemble.testing.driver import ServiceTestDriver
from services.shipping.domain import shipment_id_of
from services.shipping.service import shipping_service
from tests.support.order_messages import cancel_shipment, order_placed, schedule_shipment

PACK = InitiatePackaging(order_id="o-1", warehouse_id="w-1")
EXPRESS = order_placed(shipping_speed="express")
SHIPMENT_ID = shipment_id_of("o-1")


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(shipping_service())


def scheduled(speed: ShippingSpeed = "standard") -> ShipmentScheduled:
    return ShipmentScheduled(order_id="o-1", shipment_id=SHIPMENT_ID, shipping_speed=speed)


def cancelled(shipment_id: str | None = None) -> ShipmentCancelled:
    return ShipmentCancelled(order_id="o-1", shipment_id=shipment_id)


def shipment(driver: ServiceTestDriver) -> Shipment:
    shipment = driver.state(Shipment, "o-1")
    assert shipment is not None
    return shipment


# -- ShippingService.schedule_shipment ----------------------------------------------------------------------------


def test_schedules_what_inventory_has_reserved(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())
    driver.receive(schedule_shipment())

    assert driver.outputs == [scheduled()]
    assert shipment(driver).status == "scheduled"


def test_a_repeated_command_is_answered_again(driver: ServiceTestDriver) -> None:
    driver.receive(schedule_shipment(), schedule_shipment())
    driver.restart()
    driver.receive(schedule_shipment(expires_at=1))

    assert driver.outputs == [scheduled()] * 3


def test_what_was_decided_before_it_started_is_answered_too(driver: ServiceTestDriver) -> None:
    driver.given_state("o-1", Shipment(order_id="o-1", status="cancelled"))
    driver.receive(schedule_shipment())

    assert driver.outputs == [cancelled()]


def test_an_expired_command_cancels_what_was_never_planned(driver: ServiceTestDriver) -> None:
    """Rule 4: an expired command is answered as expired, and stays so."""
    driver.receive(schedule_shipment(expires_at=1))
    driver.receive(schedule_shipment())

    assert driver.outputs == [cancelled(), cancelled()]


# -- ShippingSubscriber.on_order_placed ---------------------------------------------------------------------------


def test_begins_an_express_order_by_itself(driver: ServiceTestDriver) -> None:
    driver.receive(EXPRESS)
    driver.receive(PACK)

    assert driver.outputs == [PACK, scheduled("express")]
    assert shipment(driver).packaging


def test_leaves_a_standard_order_until_it_is_asked(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())

    assert driver.outputs == []
    assert shipment(driver).status == "awaited"


def test_an_express_order_that_is_reserved_later_is_answered_again(driver: ServiceTestDriver) -> None:
    driver.receive(EXPRESS)
    driver.receive(schedule_shipment(shipping_speed="express"))

    assert driver.emitted == [scheduled("express")] * 2
    assert driver.sent == [PACK]


def test_the_same_event_delivered_twice_is_one(driver: ServiceTestDriver) -> None:
    driver.receive(EXPRESS, message_id="m-1")
    driver.restart()
    driver.receive(EXPRESS, message_id="m-1")
    driver.receive(EXPRESS)

    assert driver.outputs == [PACK, scheduled("express")]


def test_the_first_order_of_an_id_counts(driver: ServiceTestDriver) -> None:
    driver.receive(order_placed())
    driver.receive(EXPRESS)

    assert driver.outputs == []


# -- ShipmentCancellation -----------------------------------------------------------------------------------------


def test_cancels_what_was_planned(driver: ServiceTestDriver) -> None:
    driver.receive(EXPRESS)
    driver.clear()

    driver.receive(cancel_shipment(), cancel_shipment(attempt=2))
    driver.receive(schedule_shipment())

    assert driver.outputs == [cancelled(SHIPMENT_ID)] * 3


def test_a_cancellation_before_its_order_meets_whatever_comes_late(driver: ServiceTestDriver) -> None:
    """Rule 4: an undo without its command leaves a marker that the late command meets."""
    driver.receive(cancel_shipment())
    driver.restart()
    driver.receive(EXPRESS)
    driver.receive(schedule_shipment())
    driver.receive(PACK)

    assert driver.outputs == [cancelled(), cancelled()]
    assert not shipment(driver).packaging


def test_nothing_is_left_of_a_plan_whose_commit_did_not_happen(driver: ServiceTestDriver) -> None:
    driver.crash(EXPRESS)

    assert driver.log == []
    driver.receive(cancel_shipment())
    assert driver.outputs == [cancelled()]
