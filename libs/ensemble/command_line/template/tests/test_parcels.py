"""The service in memory: no Kafka, no process, and a clock that is turned by hand."""

from __future__ import annotations

from ensemble.testing import FlowTestDriver, ServiceTestDriver
from ensemble.topology import check_topology

from my_project.app import APP
from my_project.contracts import (
    BookCourier,
    CourierBooked,
    CourierRefused,
    Delivery,
    Parcel,
    ParcelAccepted,
    SendParcel,
)


def test_a_parcel_is_accepted_once() -> None:
    # given
    driver = ServiceTestDriver(APP.make_service("parcels"))

    # when
    driver.receive(SendParcel(parcel="p-1", weight_g=700), SendParcel(parcel="p-1", weight_g=700))

    # then
    assert driver.emitted == [ParcelAccepted(parcel="p-1", weight_g=700)]
    assert driver.state(Parcel, "p-1") == Parcel(parcel="p-1", weight_g=700)


def test_an_accepted_parcel_has_a_courier_booked() -> None:
    driver = ServiceTestDriver(APP.make_service("parcels"))
    driver.receive(ParcelAccepted(parcel="p-1", weight_g=700))
    (command,) = driver.sent
    assert isinstance(command, BookCourier)
    assert (command.parcel, command.attempt) == ("p-1", 1)


def test_a_delivery_is_over_when_the_courier_is_booked() -> None:
    flow = FlowTestDriver([APP.make_service("parcels")])
    flow.publish(SendParcel(parcel="p-1", weight_g=700))
    flow.run()
    assert flow.messages(CourierBooked) == [CourierBooked(parcel="p-1")]
    delivery = flow.state(Delivery, "p-1")
    assert delivery is not None
    assert delivery.status == "completed"


def test_no_courier_comes_for_what_is_too_heavy() -> None:
    flow = FlowTestDriver([APP.make_service("parcels")])
    flow.publish(SendParcel(parcel="p-1", weight_g=60_000))
    flow.run()
    assert flow.messages(CourierRefused) == [CourierRefused(parcel="p-1", reason="heavier than 30000 g")]
    delivery = flow.state(Delivery, "p-1")
    assert delivery is not None
    assert delivery.status == "cancelled"


def test_a_crash_repeats_nothing() -> None:
    flow = FlowTestDriver([APP.make_service("parcels")])
    flow.crash("parcels", at="after-flush")
    flow.publish(SendParcel(parcel="p-1", weight_g=700))
    flow.run()
    assert flow.messages(CourierBooked) == [CourierBooked(parcel="p-1")]


def test_the_declarations_fit_together() -> None:
    assert [str(problem) for problem in check_topology(APP.make_services(), APP.catalogue)] == []
