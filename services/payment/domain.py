"""What is due for an order, and how the charge ended. A final decision is repeated to every repeated command."""

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


def assess(current: Payment | None, command: ProcessPayment, now: int) -> Payment | Contradicted:
    """Return the payment that is known for the command, or begin a new one."""
    match current:
        case None:
            return _begin(command, now)
        case Payment(status="declined" | "refunded"):
            return current
        case Payment(amount=amount, currency=currency) if (amount, currency) != (command.amount, command.currency):
            return Contradicted(
                f"amount: {amount} {currency} is due for {command.order_id}, not {command.amount} {command.currency}"
            )
        case _:
            return current


def charge_is_due(payment: Payment | None) -> bool:
    """Return True if the outcome is not final, so that the provider has to be asked."""
    return payment is None or payment.status == "charging"


def why_not_due(command: AttemptCharge, amount: int, currency: str) -> str:
    """Return what is wrong with the money that the provider took, or "" if it is what was due."""
    if (amount, currency.upper()) == (command.amount, command.currency):
        return ""
    return (
        f"the provider captured {amount} {currency} for {command.order_id}, but {command.amount} {command.currency} is "
        "due; the order counts as unpaid, and a refund gives back what was captured"
    )


def why_not_given_back(payment: Payment | None, amount: int, currency: str) -> str:
    """Return what is wrong with the money that the provider gave back, or "" if it is what the customer paid.

    What an attempt took whose answer never came, or was refused, only the provider knows: it is believed. An empty
    currency is one that the provider did not name.
    """
    if payment is None or (paid := _known_to_be_taken(payment)) is None:
        return ""
    if amount == paid and (amount == 0 or currency.upper() in {"", payment.currency}):
        return ""
    return (
        f"the provider gave {amount} {currency or payment.currency} back for {payment.order_id}, but had taken {paid} "
        f"{payment.currency}; the refund counts as open: compare with the provider's books, and settle it by hand"
    )


def captured_payment(command: AttemptCharge, charge_id: str, amount: int) -> Payment:
    """Return the payment once the customer's money is taken."""
    return Payment(
        order_id=command.order_id, status="captured", amount=amount, currency=command.currency, charge_id=charge_id
    )


def declined_payment(command: AttemptCharge | ProcessPayment, reason: str) -> Payment:
    """Return the payment of an order that is not charged, now or later."""
    return Payment(
        order_id=command.order_id,
        status="declined",
        amount=command.amount,
        currency=command.currency,
        reason=reason,
    )


def refunded_payment(current: Payment | None, command: RefundPayment, amount: int) -> Payment:
    """Return the payment once `amount` was given back; nothing will be charged any more."""
    payment = current or Payment(order_id=command.order_id)
    return payment.model_copy(update={"status": "refunded", "amount": amount, "reason": command.reason})


def answer(payment: Payment) -> PaymentConfirmed | PaymentDeclined:
    """Return the event that announces the final outcome."""
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


def charge_command(command: ProcessPayment) -> AttemptCharge:
    """Return the charge command that the payment needs."""
    return AttemptCharge(
        order_id=command.order_id,
        amount=command.amount,
        currency=command.currency,
        payment_token=command.payment_token,
        expires_at=command.expires_at,
        attempt=command.attempt,
    )


def charge_key(order_id: str) -> str:
    """Return the idempotency key under which the provider counts one charge, however often it is asked."""
    return f"{order_id}:charge"


def refund_key(order_id: str) -> str:
    """Return the idempotency key under which the provider counts one refund, however often it is asked."""
    return f"{order_id}:refund"


def _known_to_be_taken(payment: Payment) -> int | None:
    """Return what the provider said that it had taken, or None where an attempt may have gone through unseen."""
    match payment.status:
        case "captured":
            return payment.amount
        case "declined" | "nothing_due":
            return None if payment.reason == EXPIRED else 0
        case _:
            return None


def _begin(command: ProcessPayment, now: int) -> Payment:
    if command.amount == 0:
        return Payment(order_id=command.order_id, status="nothing_due", currency=command.currency)
    if now >= command.expires_at:
        return declined_payment(command, EXPIRED)
    return Payment(order_id=command.order_id, amount=command.amount, currency=command.currency)
