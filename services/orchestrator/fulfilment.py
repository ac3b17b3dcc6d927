"""The table of the order saga. Read it first: everything else in this service follows from it."""

from __future__ import annotations

from contracts import (
    CancelOrder,
    CancelShipment,
    CommandFailed,
    CompensateOrder,
    CompleteOrder,
    DispatchStock,
    FulfilOrder,
    OrderPlaced,
    OrderState,
    PauseOrder,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentRefunded,
    ProcessPayment,
    RefundPayment,
    ReleaseStock,
    RequestCancellation,
    ReservationConfirmed,
    ReservationRejected,
    ReservationReleased,
    ResumeOrder,
    RetryOrder,
    SettleOrder,
    ShipmentCancelled,
    ShipmentScheduled,
)
from ensemble import Saga, Step, Undo
from ensemble.saga import Operations
from services.orchestrator.domain import (
    cancel_order,
    cancel_shipment,
    complete_order,
    dispatch_stock,
    fulfil_order,
    process_payment,
    refund_payment,
    release_stock,
)

FulfilmentCommand = (
    ProcessPayment
    | FulfilOrder
    | CompleteOrder
    | DispatchStock
    | RefundPayment
    | ReleaseStock
    | CancelShipment
    | CancelOrder
)

ORDER_FULFILMENT: Saga[OrderState, FulfilmentCommand] = Saga(
    name="order-fulfilment",
    version=1,
    starts_on=OrderPlaced,
    cancelled_by=RequestCancellation,
    exhausted_on=CommandFailed,
    operated_by=Operations(
        pause=PauseOrder, resume=ResumeOrder, retry=RetryOrder, compensate=CompensateOrder, settle=SettleOrder
    ),
    steps=(
        Step(
            "payment",
            status="payment_pending",
            send=process_payment,
            succeeds_on=PaymentConfirmed,
            fails_on=PaymentDeclined,
            undo=Undo(refund_payment, until=PaymentRefunded),
        ),
        Step(
            "reservation",
            status="fulfilled",
            send=fulfil_order,
            succeeds_on=ReservationConfirmed,
            fails_on=ReservationRejected,
            undo=Undo(release_stock, until=ReservationReleased),
        ),
        Step(
            "shipment",  # nobody here sends it: inventory commands it, and shipping begins express orders by itself
            may_start_on=(OrderPlaced, ReservationConfirmed),
            nudge=fulfil_order,
            succeeds_on=ShipmentScheduled,
            undo=Undo(cancel_shipment, until=ShipmentCancelled),
        ),
    ),
    completes_with=(complete_order, dispatch_stock),
    cancels_with=(cancel_order,),
)
