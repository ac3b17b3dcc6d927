"""An order's shipment: awaited, scheduled or cancelled. What was decided first stays decided."""

from __future__ import annotations

from hashlib import blake2b

from contracts import (
    InitiatePackaging,
    OrderPlaced,
    ScheduleShipment,
    Shipment,
    ShipmentCancelled,
    ShipmentScheduled,
    ShippingSpeed,
)


def announce(current: Shipment | None, event: OrderPlaced) -> Shipment | None:
    """Return the shipment of a new order, scheduled at once if it is express; None if the order is known already."""
    if current is not None:
        return None
    if event.shipping_speed == "express":
        return _scheduled(event.order_id, "express")
    return Shipment(order_id=event.order_id, shipping_speed=event.shipping_speed)


def schedule(current: Shipment | None, command: ScheduleShipment, now: int) -> Shipment:
    """Schedule the shipment, unless it was cancelled before or the command has expired."""
    match current:
        case Shipment(status="scheduled" | "cancelled"):
            return current
        case _ if now >= command.expires_at:
            return cancel(current, command.order_id)
        case _:
            return _scheduled(command.order_id, command.shipping_speed)


def pack(current: Shipment | None, command: InitiatePackaging) -> Shipment:
    """Note that packing has begun, unless the shipment is cancelled."""
    shipment = current or Shipment(order_id=command.order_id)
    return shipment if shipment.status == "cancelled" else shipment.model_copy(update={"packaging": True})


def cancel(current: Shipment | None, order_id: str) -> Shipment:
    """Cancel the shipment, now and for later; valid also before anything was planned."""
    shipment = current or Shipment(order_id=order_id)
    return shipment.model_copy(update={"status": "cancelled"})


def answer(shipment: Shipment) -> ShipmentScheduled | ShipmentCancelled:
    """Return the event that announces the decision."""
    if shipment.status == "cancelled":
        return ShipmentCancelled(order_id=shipment.order_id, shipment_id=shipment.shipment_id)
    return scheduled_event(shipment)


def scheduled_event(shipment: Shipment) -> ShipmentScheduled:
    """Return the event that announces the plan."""
    return ShipmentScheduled(
        order_id=shipment.order_id,
        shipment_id=shipment_id_of(shipment.order_id),
        shipping_speed=shipment.shipping_speed,
    )


def shipment_id_of(order_id: str) -> str:
    """Return the id of the order's one shipment, which follows from the order's id."""
    return f"shp-{blake2b(order_id.encode(), digest_size=8).hexdigest()}"


def _scheduled(order_id: str, speed: ShippingSpeed) -> Shipment:
    return Shipment(order_id=order_id, status="scheduled", shipment_id=shipment_id_of(order_id), shipping_speed=speed)
