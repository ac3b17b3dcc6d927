"""The order service's roles: accept orders, recognise those placed elsewhere, close them."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import CancelOrder, CompleteOrder, Order, OrderCancelled, OrderCompleted, OrderPlaced, PlaceOrder
from ensemble import Clock, EventBus, RejectedInput, StateStore, handles, reacts_to
from services.order import domain
from services.order.domain import Accepted, Contradicted


@dataclass(frozen=True)
class OrderDesk:
    """Accepts an order and announces it, once."""

    orders: StateStore[Order]
    events: EventBus[OrderPlaced]
    clock: Clock

    @handles(PlaceOrder)
    def place_order(self, command: PlaceOrder) -> None:
        """Accept a new order. The same order again changes nothing; another order under its id is rejected."""
        match domain.place(self.orders.get(command.order_id), command):
            case Accepted(order):
                self.orders.set(command.order_id, order)
                self.events.emit(domain.placed_event(command, self.clock.now()))
            case Contradicted(reason):
                raise RejectedInput(reason)


@dataclass(frozen=True)
class OrderRegister:
    """Knows every order that is announced: its own, which come back here, and those published from outside."""

    orders: StateStore[Order]

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        match domain.recognise(self.orders.get(event.order_id), event):
            case Accepted(order):
                self.orders.set(event.order_id, order)
            case Contradicted(reason):
                raise RejectedInput(reason)


@dataclass(frozen=True)
class OrderClosing:
    """Closes an order once, also one that is not known yet; told again, it says how the order ended."""

    orders: StateStore[Order]
    events: EventBus[OrderCompleted | OrderCancelled]

    @handles(CompleteOrder)
    def complete_order(self, command: CompleteOrder) -> None:
        order = domain.complete(self.orders.get(command.order_id), command)
        self.orders.set(command.order_id, order)
        self.events.emit(domain.closing_event(order))

    @handles(CancelOrder)
    def cancel_order(self, command: CancelOrder) -> None:
        order = domain.cancel(self.orders.get(command.order_id), command)
        self.orders.set(command.order_id, order)
        self.events.emit(domain.closing_event(order))
