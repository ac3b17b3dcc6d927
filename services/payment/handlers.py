"""Payment's roles: a conductor that charges only what is due, and the two that talk to the provider."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import (
    AttemptCharge,
    Payment,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentRefunded,
    ProcessPayment,
    RefundPayment,
)
from ensemble import Clock, CommandBus, EventBus, StateStore, TerminalError, decides, handles
from services.payment import domain
from services.payment.domain import Contradicted
from services.payment.ports import Captured, ChargeRequest, Declined, PaymentGateway, RefundRequest


@decides("charges only what is due")
@dataclass(frozen=True)
class PaymentOrchestrator:
    """Answers at once where the outcome is known, and commands a charge where it is not."""

    payments: StateStore[Payment]
    events: EventBus[PaymentConfirmed | PaymentDeclined]
    commands: CommandBus[AttemptCharge]
    clock: Clock

    @handles(ProcessPayment)
    def handle_command(self, command: ProcessPayment) -> None:
        match domain.assess(self.payments.get(command.order_id), command, self.clock.now()):
            case Contradicted(reason):
                raise TerminalError(reason)
            case payment:
                self.payments.set(command.order_id, payment)
        if self.needs_charge(command.order_id):
            self.commands.send(domain.charge_command(command))
        else:
            self.events.emit(domain.answer(payment))

    def needs_charge(self, order_id: str) -> bool:
        """Whether money is due that is neither taken nor refused for good."""
        return domain.charge_is_due(self.payments.get(order_id))


@dataclass(frozen=True)
class Charger:
    """Charges through the provider. The call may run more than once; its key makes it count once."""

    payments: StateStore[Payment]
    events: EventBus[PaymentConfirmed | PaymentDeclined]
    gateway: PaymentGateway
    clock: Clock

    @handles(AttemptCharge)
    async def attempt_charge(self, command: AttemptCharge) -> None:
        """Charge and announce the outcome. After a refund nothing is announced: the order is closed for charges."""
        payment = self.payments.get(command.order_id)
        if payment is None or domain.charge_is_due(payment):
            payment = await self._settle(command)
            self.payments.set(command.order_id, payment)
        if payment.status != "refunded":
            self.events.emit(domain.answer(payment))

    async def _settle(self, command: AttemptCharge) -> Payment:
        if self.clock.now() >= command.expires_at:
            return await self._close(command)
        match await self.gateway.charge(charge_request(command)):
            case Captured(charge_id, amount, currency):
                if reason := domain.why_not_due(command, amount, currency or command.currency):
                    raise TerminalError(f"charge {charge_id}: {reason}")
                return domain.captured_payment(command, charge_id, amount)
            case Declined(reason):
                return domain.declined_payment(command, reason)

    async def _close(self, command: AttemptCharge) -> Payment:
        """Refund, so that an earlier attempt that went through unseen does not stay charged, and decline as expired."""
        await self.gateway.refund(refund_request(command.order_id, domain.EXPIRED))
        return domain.declined_payment(command, domain.EXPIRED)


@dataclass(frozen=True)
class Refunder:
    """Closes an order for charges, and gives back whatever was captured; also before or without a charge."""

    payments: StateStore[Payment]
    events: EventBus[PaymentRefunded]
    gateway: PaymentGateway

    @handles(RefundPayment, overtakes=(ProcessPayment, AttemptCharge))
    async def refund_payment(self, command: RefundPayment) -> None:
        """Refund the charge. The provider is asked even if no charge is known here: an attempt may be unseen."""
        payment = self.payments.get(command.order_id)
        if payment is None or payment.status != "refunded":
            given_back = await self.gateway.refund(refund_request(command.order_id, command.reason))
            if reason := domain.why_not_given_back(payment, given_back.amount, given_back.currency):
                raise TerminalError(f"refund {domain.refund_key(command.order_id)}: {reason}")
            payment = domain.refunded_payment(payment, command, given_back.amount)
            self.payments.set(command.order_id, payment)
        self.events.emit(PaymentRefunded(order_id=command.order_id, amount=payment.amount))


def charge_request(command: AttemptCharge) -> ChargeRequest:
    return ChargeRequest(
        key=domain.charge_key(command.order_id),
        order_id=command.order_id,
        amount=command.amount,
        currency=command.currency,
        payment_token=command.payment_token,
    )


def refund_request(order_id: str, reason: str) -> RefundRequest:
    return RefundRequest(
        key=domain.refund_key(order_id), charge_key=domain.charge_key(order_id), order_id=order_id, reason=reason
    )
