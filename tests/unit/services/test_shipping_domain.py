"""The shipment's rules: one for each order, and a cancelled one never comes back."""

from __future__ import annotations

from contracts import InitiatePackaging, Shipment, ShipmentCancelled, ShipmentScheduled
from services.shipping.domain import announce, answer, cancel, pack, schedule, shipment_id_of
from tests.support.order_messages import order_placed, schedule_shipment

PACK = InitiatePackaging(order_id="o-1", warehouse_id="w-1")
SCHEDULED = schedule(None, schedule_shipment(), now=0)


def test_the_shipment_id_follows_from_the_order_id() -> None:
    assert SCHEDULED.shipment_id == shipment_id_of("o-1") == schedule(None, schedule_shipment(), now=5).shipment_id
    assert shipment_id_of("o-1") == "shp-2711814c53892a65", "it is on the wire"
    assert shipment_id_of("x" * 64) != shipment_id_of("x" * 63)
    assert len(shipment_id_of("x" * 64)) <= 64


def test_a_command_is_too_old_from_the_moment_it_expires() -> None:
    assert schedule(None, schedule_shipment(expires_at=10), now=9) == SCHEDULED
    assert schedule(None, schedule_shipment(expires_at=10), now=10).status == "cancelled"


def test_packing_may_begin_before_anything_else_is_known() -> None:
    packed = pack(None, PACK)
    assert (packed.order_id, packed.packaging) == ("o-1", True)
    assert schedule(packed, schedule_shipment(), now=0) == SCHEDULED


def test_what_is_scheduled_stays_so_when_asked_again_too_late() -> None:
    assert schedule(SCHEDULED, schedule_shipment(expires_at=1), now=2) == SCHEDULED


def test_an_awaited_shipment_is_scheduled_at_the_speed_that_is_asked_for() -> None:
    awaited = announce(None, order_placed())
    assert awaited is not None

    shipment = schedule(awaited, schedule_shipment(shipping_speed="express"), now=0)

    assert answer(shipment) == ShipmentScheduled(
        order_id="o-1", shipment_id=shipment_id_of("o-1"), shipping_speed="express"
    )


def test_only_an_express_order_is_scheduled_when_it_is_placed() -> None:
    standard, express = announce(None, order_placed()), announce(None, order_placed(shipping_speed="express"))

    assert standard is not None
    assert standard.status == "awaited"
    assert express is not None
    assert express.status == "scheduled"


def test_a_known_order_is_not_announced_again() -> None:
    awaited = Shipment(order_id="o-1")

    for shipment in (awaited, SCHEDULED, cancel(None, "o-1")):
        assert announce(shipment, order_placed(shipping_speed="express")) is None


def test_a_cancelled_shipment_is_neither_scheduled_nor_packed() -> None:
    closed = cancel(None, "o-1")

    assert schedule(closed, schedule_shipment(), now=0) == closed
    assert pack(closed, PACK) == closed
    assert answer(closed) == ShipmentCancelled(order_id="o-1", shipment_id=None)


def test_cancelling_what_was_planned_names_the_plan() -> None:
    assert answer(cancel(SCHEDULED, "o-1")) == ShipmentCancelled(order_id="o-1", shipment_id=shipment_id_of("o-1"))


def test_a_cancelled_shipment_still_says_that_packing_had_begun() -> None:
    """Somebody has to unpack it."""
    assert cancel(pack(SCHEDULED, PACK), "o-1").packaging


def test_packing_begins_once() -> None:
    packed = pack(SCHEDULED, PACK)

    assert packed.packaging
    assert pack(packed, PACK) == packed
