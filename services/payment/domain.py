"""What is due, and what became of it. A decision, once final, is given again to whoever asks again."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import (
    AttemptCharge,
    Payment,
    PaymentConfirmed,
    PaymentDeclined,
    ProcessPayment,
    RefundPayment,
)

CLOSED = "closed"
EXPIRED = "expired"


@dataclass(frozen=True)
class Contradicted:
    """The order's payment is known with another amount."""

    reason: str


def assess(known: Payment | None, command: ProcessPayment, now: int) -> Payment | Contradicted:
    """The payment as the command finds it, or begins it."""
    match known:
        case None:
            return _begun(command, now)
        case Payment(status="declined" | "refunded"):
            return known
        case Payment(amount=amount, currency=currency) if (amount, currency) != (command.amount, command.currency):
            return Contradicted(
                f"amount: {amount} {currency} is due for {command.order_id}, not {command.amount} {command.currency}"
            )
        case _:
            return known


def charge_is_due(payment: Payment | None) -> bool:
    """Whether the provider has to be asked: the outcome is not final."""
    return payment is None or payment.status == "charging"


def captured(command: AttemptCharge, charge_id: str, amount: int) -> Payment:
    """The customer's money is taken."""
    return Payment(
        order_id=command.order_id, status="captured", amount=amount, currency=command.currency, charge_id=charge_id
    )


def declined(command: AttemptCharge | ProcessPayment, reason: str) -> Payment:
    """Nothing is taken, and nothing will be."""
    return Payment(
        order_id=command.order_id,
        status="declined",
        amount=command.amount,
        currency=command.currency,
        reason=reason,
    )


def refunded(known: Payment | None, command: RefundPayment, amount: int) -> Payment:
    """Nothing is held any more, and nothing will be charged; `amount` was given back."""
    payment = known or Payment(order_id=command.order_id)
    return payment.model_copy(update={"status": "refunded", "amount": amount, "reason": command.reason})


def answer(payment: Payment) -> PaymentConfirmed | PaymentDeclined:
    """The final outcome, as the event that tells it."""
    match payment:
        case Payment(status="captured" | "nothing_due"):
            return PaymentConfirmed(
                order_id=payment.order_id,
                amount=payment.amount,
                currency=payment.currency,
                charge_id=payment.charge_id,
            )
        case Payment(status="refunded"):
            return PaymentDeclined(order_id=payment.order_id, reason=CLOSED)
        case _:
            return PaymentDeclined(order_id=payment.order_id, reason=payment.reason or payment.status)


def attempt(command: ProcessPayment) -> AttemptCharge:
    """The charge that the payment needs."""
    return AttemptCharge(
        order_id=command.order_id,
        amount=command.amount,
        currency=command.currency,
        payment_token=command.payment_token,
        expires_at=command.expires_at,
    )


def charge_key(order_id: str) -> str:
    """The provider counts one charge for it, however often it is asked."""
    return f"{order_id}:charge"


def refund_key(order_id: str) -> str:
    """The provider counts one refund for it, however often it is asked."""
    return f"{order_id}:refund"


def _begun(command: ProcessPayment, now: int) -> Payment:
    if command.amount == 0:
        return Payment(order_id=command.order_id, status="nothing_due", currency=command.currency)
    if now >= command.expires_at:
        return declined(command, EXPIRED)
    return Payment(order_id=command.order_id, amount=command.amount, currency=command.currency)
