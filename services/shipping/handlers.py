"""Shipping's roles: schedule what is reserved, begin early with what is express, pack, cancel."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import (
    CancelShipment,
    InitiatePackaging,
    OrderPlaced,
    ScheduleShipment,
    Shipment,
    ShipmentCancelled,
    ShipmentScheduled,
)
from ensemble import Clock, CommandBus, EventBus, StateStore, handles, reacts_to
from services.shipping import domain


@dataclass(frozen=True)
class ShippingService:
    """Schedules a shipment once inventory says so; told again, it answers with what was decided."""

    shipments: StateStore[Shipment]
    events: EventBus[ShipmentScheduled | ShipmentCancelled]
    clock: Clock

    @handles(ScheduleShipment)
    def schedule_shipment(self, command: ScheduleShipment) -> None:
        shipment = domain.schedule(self.shipments.get(command.order_id), command, self.clock.now())
        self.shipments.set(command.order_id, shipment)
        self.events.emit(domain.answer(shipment))


@dataclass(frozen=True)
class ShippingSubscriber:
    """Begins with an express order as soon as it is placed, asking nobody: choreography."""

    shipments: StateStore[Shipment]
    events: EventBus[ShipmentScheduled]
    commands: CommandBus[InitiatePackaging]

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        """Plan the shipment of the order's first OrderPlaced; a cancelled shipment stays cancelled."""
        shipment = domain.announce(self.shipments.get(event.order_id), event)
        if shipment is None:
            return
        self.shipments.set(event.order_id, shipment)
        if shipment.status == "scheduled":
            self.commands.send(InitiatePackaging(order_id=event.order_id, warehouse_id=event.warehouse_id))
            self.events.emit(domain.scheduled_event(shipment))


@dataclass(frozen=True)
class PackingFloor:
    """Begins to pack."""

    shipments: StateStore[Shipment]

    @handles(InitiatePackaging)
    def initiate_packaging(self, command: InitiatePackaging) -> None:
        self.shipments.set(command.order_id, domain.pack(self.shipments.get(command.order_id), command))


@dataclass(frozen=True)
class ShipmentCancellation:
    """Undoes a shipment, also one that is still to come."""

    shipments: StateStore[Shipment]
    events: EventBus[ShipmentCancelled]

    @handles(CancelShipment, overtakes=(OrderPlaced, ScheduleShipment, InitiatePackaging))
    def cancel_shipment(self, command: CancelShipment) -> None:
        shipment = domain.cancel(self.shipments.get(command.order_id), command.order_id)
        self.shipments.set(command.order_id, shipment)
        self.events.emit(ShipmentCancelled(order_id=command.order_id, shipment_id=shipment.shipment_id))
