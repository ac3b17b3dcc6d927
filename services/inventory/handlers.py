"""Inventory's roles: reserve for orders, give back, and keep the stock."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import (
    DispatchStock,
    FulfilOrder,
    ReceiveStock,
    ReleaseStock,
    ReservationConfirmed,
    ReservationRejected,
    ReservationReleased,
    ScheduleShipment,
)
from ensemble import Clock, CommandBus, CurrentRecord, EventBus, EventSourced, RejectedInput, TerminalError, handles
from services.inventory.domain import Impossible, Recorded, Refused, Reserved, Warehouse


@dataclass(frozen=True)
class InventoryService:
    """Reserves stock, then tells shipping itself: choreography with commands."""

    warehouses: EventSourced[Warehouse]
    events: EventBus[ReservationConfirmed | ReservationRejected]
    commands: CommandBus[ScheduleShipment]
    clock: Clock

    @handles(FulfilOrder)
    def reserve_stock(self, command: FulfilOrder) -> None:
        """Reserve all lines or none. A repeated command is answered again and schedules the shipment again."""
        match self.warehouses.get(command.warehouse_id).reserve(command, self.clock.now()):
            case Refused(reason, facts):
                self.warehouses.append(*facts)
                self.events.emit(rejection(command, reason))
            case Reserved(facts):
                self.warehouses.append(*facts)
                self.events.emit(confirmation(command))
                self.commands.send(schedule(command))


@dataclass(frozen=True)
class StockReleaser:
    """Undoes a reservation, also one that is still to come."""

    warehouses: EventSourced[Warehouse]
    events: EventBus[ReservationReleased]

    @handles(ReleaseStock, overtakes=(FulfilOrder,))
    def release_stock(self, command: ReleaseStock) -> None:
        match self.warehouses.get(command.warehouse_id).release(command):
            case Recorded(facts):
                self.warehouses.append(*facts)
                self.events.emit(ReservationReleased(order_id=command.order_id, warehouse_id=command.warehouse_id))
            case Impossible(reason):
                raise TerminalError(reason)


@dataclass(frozen=True)
class StockKeeper:
    """Books what arrives and what leaves. The ledger is the answer."""

    warehouses: EventSourced[Warehouse]
    record: CurrentRecord

    @handles(ReceiveStock)
    def receive_stock(self, command: ReceiveStock) -> None:
        """Book one receipt for each message; the runtime drops a repeated message before it comes here."""
        match self.warehouses.get(command.warehouse_id).receive(command, self.record.message_id):
            case Recorded(facts):
                self.warehouses.append(*facts)
            case Impossible(reason):
                raise RejectedInput(reason)

    @handles(DispatchStock)
    def dispatch_stock(self, command: DispatchStock) -> None:
        """Book out the order's stock. If nothing is reserved the command is parked until an operator decides."""
        match self.warehouses.get(command.warehouse_id).dispatch(command):
            case Recorded(facts):
                self.warehouses.append(*facts)
            case Impossible(reason):
                raise TerminalError(reason)


def confirmation(command: FulfilOrder) -> ReservationConfirmed:
    return ReservationConfirmed(order_id=command.order_id, warehouse_id=command.warehouse_id)


def rejection(command: FulfilOrder, reason: str) -> ReservationRejected:
    return ReservationRejected(order_id=command.order_id, warehouse_id=command.warehouse_id, reason=reason)


def schedule(command: FulfilOrder) -> ScheduleShipment:
    return ScheduleShipment(
        order_id=command.order_id,
        warehouse_id=command.warehouse_id,
        customer_id=command.customer_id,
        shipping_speed=command.shipping_speed,
        expires_at=command.expires_at,
    )
