"""The service on a real Kafka."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ensemble import Service
from ensemble.testing.on_kafka import Outsider, ServiceThread, wait_for

from my_project.app import APP
from my_project.contracts import CourierBooked, CourierRefused, SendParcel


@pytest.mark.kafka
def test_a_parcel_is_sent_and_its_courier_booked(
    outsider_of: Callable[[Service], Outsider],
    run_service: Callable[[Service], ServiceThread],
    unique: Callable[[str], str],
) -> None:
    # given
    service, light, heavy = APP.make_service("parcels"), unique("books"), unique("anvil")
    outsider = outsider_of(service)
    run_service(service)

    # when
    outsider.send(SendParcel(parcel=light, weight_g=700), SendParcel(parcel=heavy, weight_g=60_000))

    # then
    wait_for(lambda: CourierBooked(parcel=light) in outsider.messages("events", CourierBooked), "a courier")
    wait_for(lambda: heavy in {event.parcel for event in outsider.messages("events", CourierRefused)}, "a refusal")
