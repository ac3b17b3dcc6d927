"""An undo passes what it makes moot and closes it; resends collapse into the one that is parked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from contracts import (
    CancelShipment,
    CommandFailed,
    InitiatePackaging,
    OrderPlaced,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentRefunded,
    ReservationClosed,
    ReservationRejected,
    ReservationReleased,
    Shipment,
    ShipmentCancelled,
)
from contracts.catalogue import CATALOGUE
from ensemble import Event, Service, reacts_to, state_store
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import ParkingLimits
from ensemble.system_messages.dead_letters import DeadLetter, OperatorRequest, redrive
from ensemble.system_messages.operations import OperationDone
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.domain import Warehouse
from services.inventory.service import inventory_service
from services.payment.ports import Captured, ChargeRequest, Declined
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from services.shipping.handlers import PackingFloor, ShipmentCancellation, ShippingService, ShippingSubscriber
from services.shipping.service import shipping_service
from tests.support.order_messages import (
    attempt_charge,
    cancel_shipment,
    fulfil_order,
    order_placed,
    process_payment,
    receive_stock,
    refund_payment,
    release_stock,
    schedule_shipment,
)
from tests.support.scripted_service.controlled_service import limits

AWAY = attempt_charge(payment_token="tok_error")


class HangingGateway(InMemoryPaymentGateway):
    """Charges hang until `answer` is set; refunds do not."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()
        self.cancelled = 0

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().charge(request)


def kinds(driver: ServiceTestDriver) -> list[type[Event]]:
    return [type(event) for event in driver.emitted]


def test_a_refund_closes_the_charge_that_is_parked(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY, process_payment(attempt=2))
    payment.receive(refund_payment())
    assert payment.outputs == [PaymentRefunded(order_id="o-1", amount=0)]
    assert (payment.parked("o-1"), payment.dead_letters) == (None, [])


def test_a_closed_charge_is_never_made_again(payment: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    payment.receive(AWAY)
    payment.receive(refund_payment())
    calls = len(gateway.calls)
    payment.advance(3600)
    assert len(gateway.calls) == calls


def test_a_refund_passes_a_charge_that_failed_in_its_own_batch(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY, refund_payment())
    payment.advance(0)
    assert kinds(payment) == [PaymentRefunded]


def test_a_refund_closes_a_charge_in_flight() -> None:
    gateway = HangingGateway()
    payment = ServiceTestDriver(payment_service(gateway), call_wait_s=0.01)
    payment.receive(attempt_charge())
    assert payment.parked("o-1") is not None
    payment.receive(refund_payment())
    payment.advance(0)
    assert kinds(payment) == [PaymentRefunded]
    assert (payment.parked("o-1"), gateway.cancelled) == (None, 1)


def test_a_refund_that_was_polled_with_a_hanging_charge_passes_it_too() -> None:
    """Else it would wait behind it until the charge is given up, and then for an operator."""
    payment = ServiceTestDriver(payment_service(HangingGateway()), call_wait_s=0.01)
    payment.receive(attempt_charge(), refund_payment())
    payment.advance(0)
    assert kinds(payment) == [PaymentRefunded]


def test_a_charge_in_flight_goes_on_when_the_refunds_batch_is_lost() -> None:
    gateway = HangingGateway()
    payment = ServiceTestDriver(payment_service(gateway), call_wait_s=0.01)
    payment.receive(attempt_charge())
    gateway.available = False
    payment.abort(refund_payment())
    gateway.available = True
    gateway.answer.set()
    payment.advance(0)
    assert kinds(payment) == [PaymentConfirmed]


def test_a_charge_that_comes_after_the_refund_meets_its_marker(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY)
    payment.receive(refund_payment())
    payment.receive(process_payment(attempt=2), attempt_charge())
    first, second = kinds(payment)
    assert (first, second) == (PaymentRefunded, PaymentDeclined)


def test_an_undo_waits_behind_what_it_does_not_undo(
    payment: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    gateway.available = False
    payment.receive(refund_payment())
    payment.receive(AWAY)
    payment.receive(refund_payment(attempt=2))
    assert [record.message for record in payment.waiting("o-1")] == ["RefundPayment", "AttemptCharge"]


def test_a_dead_letter_that_an_undo_closed_cannot_be_redriven(
    payment: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    payment.receive(AWAY)
    payment.advance(3600)
    payment.receive(refund_payment())
    payment.clear()
    payment.redrive(payment.dead_letters[0])
    assert payment.outputs == []
    assert payment.answers(OperationDone)[-1].words == "it was closed already"


def test_what_an_undo_closes_in_the_batch_that_parked_it_leaves_word_of_it(payment: ServiceTestDriver) -> None:
    """It is never seen to wait, and yet must not be taken for lost: its place in the queue is written as empty."""
    payment.receive(AWAY, refund_payment())
    payment.advance(0)
    emptied = [record.key() for record in payment.records("payment.parked-changelog") if record.value() is None]
    assert b"record/o-1/000000000000" in emptied
    assert payment.waiting("o-1") == []


def test_a_redrive_that_an_undo_closes_leaves_word_of_it(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY)
    payment.advance(3600)
    payment.redrive(payment.dead_letters[0])
    payment.receive(refund_payment())
    command = redrive(DeadLetter.of(payment.dead_letters[0]), OperatorRequest("op-2", "ann", "once more", 1))
    payment.operate(command.model_copy(update={"generation": 1}))
    assert payment.answers(OperationDone)[-1].words == "it was closed already"


def test_resends_collapse_into_the_one_that_is_parked(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY)
    payment.receive(*(process_payment(attempt=number) for number in range(2, 6)))
    assert [record.message for record in payment.waiting("o-1")] == ["AttemptCharge", "ProcessPayment"]


def test_the_latest_attempt_is_the_one_that_counts(payment: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    gateway.available = False
    payment.receive(refund_payment())
    payment.receive(refund_payment(attempt=2))
    payment.advance(3600)
    (failed,) = payment.emitted
    assert isinstance(failed, CommandFailed)
    assert failed.command_attempt == 2


def test_a_resend_of_what_is_given_up_is_answered_at_once(
    payment: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    gateway.available = False
    payment.receive(refund_payment())
    payment.advance(3600)
    payment.receive(refund_payment(attempt=2))
    attempts = [event.command_attempt for event in payment.emitted if isinstance(event, CommandFailed)]
    assert (attempts, len(payment.dead_letters)) == ([1, 2], 1)


def test_a_resend_behind_what_was_given_up_for_it_is_answered_at_once(payment: ServiceTestDriver) -> None:
    """The charge stands behind the step's command, so the charge's end is the resend's."""
    payment.receive(attempt_charge(payment_token="tok_error", attempt=1))
    payment.advance(3600)
    payment.receive(process_payment(attempt=2), process_payment(attempt=3))
    told = [event for event in payment.emitted if isinstance(event, CommandFailed)]
    assert [(event.command, event.command_attempt) for event in told] == [
        ("ProcessPayment", attempt) for attempt in (1, 2, 3)
    ]


def test_the_dead_letter_still_redrives_after_a_resend(
    payment: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    gateway.available = False
    payment.receive(refund_payment())
    payment.advance(3600)
    payment.receive(refund_payment(attempt=2))
    gateway.available = True
    payment.redrive(payment.dead_letters[0])
    assert kinds(payment)[-1] is PaymentRefunded
    assert payment.parked("o-1") is None


def test_an_old_attempt_that_is_redriven_does_not_replace_a_newer_one(gateway: InMemoryPaymentGateway) -> None:
    skip = RetryPolicy(attempts=1, on_exhaustion=OnExhaustion.SKIP)
    payment = ServiceTestDriver(payment_service(gateway), limits=limits(skip))
    gateway.available = False
    payment.receive(refund_payment())
    payment.pause("command", "RefundPayment")
    payment.receive(refund_payment(attempt=2))
    payment.redrive(payment.dead_letters[0])
    payment.resume("command", "RefundPayment")
    attempts = [event.command_attempt for event in payment.emitted if isinstance(event, CommandFailed)]
    assert attempts == [1, 2]


# -- the other participants -----------------------------------------------------------------------------------------


def test_a_release_passes_a_reservation_that_waits() -> None:
    driver = ServiceTestDriver(inventory_service())
    driver.receive(receive_stock(quantity=10))
    driver.pause("command", "FulfilOrder")
    driver.receive(fulfil_order())
    driver.clear()
    driver.receive(release_stock())
    driver.resume("command", "FulfilOrder")
    driver.receive(fulfil_order(attempt=2))
    assert kinds(driver) == [ReservationClosed, ReservationReleased, ReservationRejected]
    assert driver.aggregate(Warehouse, "w-1").stock["bolt"].reserved == 0


def test_a_cancellation_passes_a_shipment_that_waits() -> None:
    driver = ServiceTestDriver(shipping_service())
    pack = InitiatePackaging(order_id="o-1", warehouse_id="w-1")
    driver.pause("command", "ScheduleShipment")
    driver.receive(schedule_shipment(), pack)
    driver.receive(CancelShipment(order_id="o-1", reason="cancelled", attempt=1))
    driver.resume("command", "ScheduleShipment")
    driver.receive(schedule_shipment(), pack)
    assert kinds(driver) == [ShipmentCancelled, ShipmentCancelled]
    shipment = driver.state(Shipment, "o-1")
    assert shipment is not None
    assert (shipment.status, shipment.packaging) == ("cancelled", False)


@dataclass(frozen=True)
class BrokenSubscriber(ShippingSubscriber):
    """A release with a bug."""

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        raise RuntimeError(f"cannot take {event.order_id}")


def test_a_cancellation_passes_an_order_that_shipping_could_not_take() -> None:
    """An event that failed holds back no undo either."""
    broken = Service(
        "shipping",
        CATALOGUE,
        roles=[ShippingService, BrokenSubscriber, PackingFloor, ShipmentCancellation],
        stores=[state_store(Shipment)],
    )
    driver = ServiceTestDriver(broken)
    driver.receive(order_placed(shipping_speed="express"), schedule_shipment())
    driver.advance(3600)
    driver.receive(cancel_shipment())
    assert (kinds(driver), driver.parked("o-1")) == ([ShipmentCancelled], None)
    driver.redrive(driver.dead_letters[0])
    assert driver.answers(OperationDone)[-1].words == "it was closed already"


def test_a_paused_undo_closes_what_it_undoes_and_then_waits_itself(payment: ServiceTestDriver) -> None:
    payment.receive(AWAY)
    payment.pause("command", "RefundPayment")
    payment.receive(refund_payment())
    payment.advance(3600)
    assert [record.message for record in payment.waiting("o-1")] == ["RefundPayment"]
    payment.resume("command", "RefundPayment")
    assert kinds(payment) == [PaymentRefunded]


def test_neither_a_resend_nor_an_undo_needs_room_in_a_partition_that_is_full(gateway: InMemoryPaymentGateway) -> None:
    # given two records that wait, and no room for a third
    payment = ServiceTestDriver(payment_service(gateway), limits=limits(parking=ParkingLimits(per_partition=2)))
    payment.receive(AWAY)
    payment.receive(process_payment(attempt=2))

    # when
    payment.receive(process_payment(attempt=3))
    waiting = [record.message for record in payment.waiting("o-1")]
    payment.receive(refund_payment())

    # then
    assert waiting == ["AttemptCharge", "ProcessPayment"]
    assert (kinds(payment)[-1], payment.waiting("o-1")) == (PaymentRefunded, [])
