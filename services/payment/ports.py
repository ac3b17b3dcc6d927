"""What the payment service asks of the outside world: a provider that charges and refunds."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """Capture `amount` for the order. `key` is business identity (`<order_id>:charge`), never a message id."""

    key: str
    order_id: str
    amount: int
    currency: str
    payment_token: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give back whatever was captured under `charge_key`, and close that key for later charges."""

    key: str
    charge_key: str
    order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The amount was taken, once."""

    charge_id: str
    amount: int
    currency: str = ""
    """Empty where the provider does not say."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Nothing was taken, and nothing will be under this key."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was given back: 0 when nothing had been captured. Nothing will be captured under the charge's key."""

    amount: int
    currency: str = ""
    """Empty where the provider does not say."""


class PaymentGateway(Protocol):
    """Charges and refunds by a business key; both may be repeated with the same key and then return the first result.

    Calls are outside the Kafka transaction: they may run more than once, so the key is what makes them count once.
    Both raise RetryableError when the outcome is unknown or the provider is unavailable (ask again with the same
    key), and TerminalError when the provider will never take the request as it is.
    """

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        """Return the final outcome under the request's key: `closed` declines a charge after the refund of its key."""
        ...

    async def refund(self, request: RefundRequest) -> Refunded:
        """Return what was given back. Raises RetryableError as long as the charge itself is not final."""
        ...
