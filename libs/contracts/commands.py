"""Commands: each tells its one owner to do something. Grouped by owner."""

from __future__ import annotations

from contracts.kinds import Command
from contracts.terms import Attempt, Currency, Id, Lines, Money, PaymentToken, Quantity, ShippingSpeed, Sku
from ensemble.messages import Millis


class PlaceOrder(Command):
    """To order: accept an order on these terms."""

    order_id: Id
    customer_id: Id
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: Id
    shipping_speed: ShippingSpeed = "standard"


class CompleteOrder(Command):
    """To order: everything was done, close the order as completed."""

    order_id: Id


class CancelOrder(Command):
    """To order: everything was undone, close the order as cancelled."""

    order_id: Id
    reason: str


class ProcessPayment(Command):
    """To payment: see that this amount is paid; it decides itself whether a charge is needed."""

    order_id: Id
    amount: Money
    currency: Currency
    payment_token: PaymentToken
    attempt: Attempt
    expires_at: Millis


class AttemptCharge(Command):
    """To payment, by its own conductor: charge now through the provider."""

    order_id: Id
    amount: Money
    currency: Currency
    payment_token: PaymentToken
    expires_at: Millis


class RefundPayment(Command):
    """To payment: give back whatever was captured, and take no more."""

    order_id: Id
    reason: str
    attempt: Attempt


class FulfilOrder(Command):
    """To inventory: reserve all lines or none, then have the shipment scheduled."""

    order_id: Id
    warehouse_id: Id
    customer_id: Id
    lines: Lines
    shipping_speed: ShippingSpeed
    attempt: Attempt
    expires_at: Millis


class ReleaseStock(Command):
    """To inventory: hold nothing for this order any more, now or later."""

    order_id: Id
    warehouse_id: Id
    reason: str
    attempt: Attempt


class DispatchStock(Command):
    """To inventory: what was reserved for this order leaves the warehouse."""

    order_id: Id
    warehouse_id: Id


class ReceiveStock(Command):
    """To inventory: pieces have arrived at the warehouse."""

    warehouse_id: Id
    sku: Sku
    quantity: Quantity


class ScheduleShipment(Command):
    """To shipping, from inventory directly: plan the shipment of a reserved order."""

    order_id: Id
    warehouse_id: Id
    customer_id: Id
    shipping_speed: ShippingSpeed
    expires_at: Millis


class InitiatePackaging(Command):
    """To shipping, by itself: begin to pack an express order before it is paid."""

    order_id: Id
    warehouse_id: Id


class CancelShipment(Command):
    """To shipping: ship nothing for this order, now or later."""

    order_id: Id
    reason: str
    attempt: Attempt


class RequestCancellation(Command):
    """To the orchestrator, from a customer or operator: cancel the order if it can still be undone."""

    order_id: Id
    reason: str
