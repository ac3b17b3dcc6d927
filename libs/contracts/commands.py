"""Commands: each tells its one owner to do something. Grouped by owner."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.kinds import Command
from contracts.terms import (
    Attempt,
    Currency,
    CustomerId,
    Expiry,
    Flag,
    Lines,
    Money,
    Name,
    OperationId,
    Operator,
    OrderId,
    PaymentToken,
    Quantity,
    Reason,
    Requester,
    ShippingSpeed,
    Sku,
    WarehouseId,
    Why,
)


class PlaceOrder(Command):
    """To order: accept an order on these terms."""

    order_id: OrderId
    customer_id: CustomerId
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: WarehouseId
    shipping_speed: ShippingSpeed = "standard"


class CompleteOrder(Command):
    """To order: everything was done, close the order as completed."""

    order_id: OrderId


class CancelOrder(Command):
    """To order: everything was undone, close the order as cancelled."""

    order_id: OrderId
    reason: Reason


class ProcessPayment(Command):
    """To payment: see that this amount is paid; it decides itself whether a charge is needed."""

    order_id: OrderId
    amount: Money
    currency: Currency
    payment_token: PaymentToken
    attempt: Attempt
    expires_at: Expiry


class AttemptCharge(Command):
    """To payment, by its own conductor: charge now through the provider.

    `attempt` is that of the ProcessPayment behind it, as which its failure is told.
    """

    order_id: OrderId
    amount: Money
    currency: Currency
    payment_token: PaymentToken
    expires_at: Expiry
    attempt: Attempt = 0
    """The attempt of the ProcessPayment behind it; 0: not known."""


class RefundPayment(Command):
    """To payment: give back whatever was captured, and take no more."""

    order_id: OrderId
    reason: Reason
    attempt: Attempt


class FulfilOrder(Command):
    """To inventory: reserve all lines or none, then have the shipment scheduled."""

    order_id: OrderId
    warehouse_id: WarehouseId
    customer_id: CustomerId
    lines: Lines
    shipping_speed: ShippingSpeed
    attempt: Attempt
    expires_at: Expiry


class ReleaseStock(Command):
    """To inventory: hold nothing for this order any more, now or later."""

    order_id: OrderId
    warehouse_id: WarehouseId
    reason: Reason
    attempt: Attempt


class DispatchStock(Command):
    """To inventory: what was reserved for this order leaves the warehouse."""

    order_id: OrderId
    warehouse_id: WarehouseId


class ReceiveStock(Command):
    """To inventory: pieces have arrived at the warehouse."""

    warehouse_id: WarehouseId
    """Where the pieces arrived."""
    sku: Sku
    quantity: Quantity


class ScheduleShipment(Command):
    """To shipping, from inventory directly: plan the shipment of a reserved order."""

    order_id: OrderId
    warehouse_id: WarehouseId
    customer_id: CustomerId
    shipping_speed: ShippingSpeed
    expires_at: Expiry


class InitiatePackaging(Command):
    """To shipping, by itself: begin to pack an express order before it is paid."""

    order_id: OrderId
    warehouse_id: WarehouseId


class CancelShipment(Command):
    """To shipping: ship nothing for this order, now or later."""

    order_id: OrderId
    reason: Reason
    attempt: Attempt


class RequestCancellation(Command):
    """To the orchestrator, from a customer or operator: cancel the order if it can still be undone."""

    order_id: OrderId
    reason: Reason
    requested_by: Requester = ""
    """Who asks for it; empty: the customer."""


class PauseOrder(Command):
    """To the orchestrator, from an operator: send no command for the order until it is resumed.

    Answers are recorded meanwhile, and the deadline under way stops. Of a paused or ended order it changes nothing.
    """

    order_id: OrderId
    requested_by: Operator
    reason: Why
    operation_id: OperationId = ""


class ResumeOrder(Command):
    """To the orchestrator, from an operator: go on with a paused order. Of any other it changes nothing.

    `past_pause`: the next command leaves although its step, its type or its service is paused, as a probe.
    """

    order_id: OrderId
    requested_by: Operator
    reason: Why
    operation_id: OperationId = ""
    past_pause: Flag = False
    """Whether the next command leaves although its step, type or service is paused: a probe."""


class RetryOrder(Command):
    """To the orchestrator, from an operator: send what is under way, or owed, again now, as a new attempt.

    Its policy's resends count from there. With `step` it holds only while `after_attempt` is that step's latest attempt
    (0: it is owed), so that asking twice is asking once. Of a paused order it changes nothing: resume it.
    """

    order_id: OrderId
    requested_by: Operator
    reason: Why
    operation_id: OperationId = ""
    step: Name = ""
    """Only this step, while it is owed or `after_attempt` is its latest attempt; empty: whichever is under way or
    owed.
    """
    after_attempt: Attempt = 0
    """The attempt of `step` that is not to be waited for any longer; 0: none is under way."""


class CompensateOrder(Command):
    """To the orchestrator, from an operator: turn back now and undo what may have happened.

    Unlike RequestCancellation it also holds after an irreversible step, which then stays owed.
    """

    order_id: OrderId
    requested_by: Operator
    reason: Why
    operation_id: OperationId = ""


class SettleOrder(Command):
    """To the orchestrator, from an operator: what these steps still owed is settled by hand.

    Steps that are not owed are ignored. Once nothing is owed any more, the order is cancelled.
    """

    order_id: OrderId
    requested_by: Operator
    reason: Why
    operation_id: OperationId = ""
    steps: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    """Names of steps that are owed, at least one; others are ignored."""
