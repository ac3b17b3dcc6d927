"""A payment provider in memory: the PaymentGateway port's promises, and the sandbox's test tokens, without a wait."""

from ensemble import RetryableError, TerminalError
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest

_APPROVING = frozenset({"tok_approve", "tok_fail_once", "tok_hang", "tok_late"})
_DECLINED_BECAUSE = {"tok_declined": "card declined"}


class InMemoryPaymentGateway:
    """Final results by key. `calls` holds every attempt; `available = False` is an outage.

    Where the sandbox leaves a caller without an answer (tok_hang, tok_hang_always), this raises at once. A late
    charge is running until it was asked about once more.
    """

    def __init__(self) -> None:
        self.available = True
        self.calls: list[ChargeRequest | RefundRequest] = []
        self.captured: dict[str, int] = {}
        self._results: dict[str, tuple[tuple[object, ...], Captured | Declined | Refunded]] = {}
        self._tried: set[str] = set()
        self._running: dict[str, ChargeRequest] = {}
        self._closed: set[str] = set()

    @property
    def bookings(self) -> list[tuple[ChargeRequest | RefundRequest, Captured | Declined | Refunded]]:
        """Every final result, oldest first, each with the first request under its key."""
        first = {request.key: request for request in reversed(self.calls)}
        return [(first[key], outcome) for key, (_, outcome) in self._results.items()]

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        """Return the first final outcome under the key, as its token's script says."""
        self._begin(request)
        self._refuse_while_running(request.key)
        match self._result(request.key, _payload(request)):
            case Captured() | Declined() as outcome:
                return outcome
        if not 0 < request.amount <= 10**15:
            raise TerminalError(f"the payment provider refused {request.key}: amount {request.amount}")
        self._play(request)
        return self._book(request)

    async def refund(self, request: RefundRequest) -> Refunded:
        """Give back what is captured under the charge's key, and close that key."""
        self._begin(request)
        outcome = self._result(request.key, _payload(request))
        if isinstance(outcome, Refunded):
            return outcome
        self._refuse_while_running(request.charge_key)
        refunded = self._give_back(request.charge_key)
        self._closed.add(request.charge_key)
        self._results[request.key] = (_payload(request), refunded)
        return refunded

    def _give_back(self, charge_key: str) -> Refunded:
        match self._results.get(charge_key):
            case ((_, _, currency, _), Captured()) if charge_key in self.captured:
                return Refunded(self.captured.pop(charge_key), str(currency))
            case _:
                return Refunded(self.captured.pop(charge_key, 0))

    def _begin(self, request: ChargeRequest | RefundRequest) -> None:
        self.calls.append(request)
        if not self.available:
            raise RetryableError("the payment provider is unavailable")

    def _result(self, key: str, payload: tuple[object, ...]) -> Captured | Declined | Refunded | None:
        first_payload, result = self._results.get(key, (payload, None))
        if first_payload != payload:
            raise TerminalError(f"{key} was used for another request")
        return result

    def _refuse_while_running(self, key: str) -> None:
        late = self._running.pop(key, None)
        if late is not None:
            self._book(late)
            raise RetryableError(f"{key} is not final yet: ask again")

    def _play(self, request: ChargeRequest) -> None:
        key, first = request.key, request.key not in self._tried
        self._tried.add(key)
        match request.payment_token:
            case "tok_error" | "tok_hang_always":
                raise RetryableError(f"the outcome of {key} is not known")
            case "tok_fail_once" if first:
                raise RetryableError(f"the provider failed on {key}")
            case "tok_hang" if first:
                self._book(request)
                raise RetryableError(f"no answer for {key}")
            case "tok_late":
                self._running[key] = request
                raise RetryableError(f"{key} is booked later")

    def _book(self, request: ChargeRequest) -> Captured | Declined:
        outcome = self._outcome(request)
        if isinstance(outcome, Captured):
            self.captured[request.key] = outcome.amount
        self._results[request.key] = (_payload(request), outcome)
        return outcome

    def _outcome(self, request: ChargeRequest) -> Captured | Declined:
        if request.key in self._closed:
            return Declined("closed")
        if request.payment_token in _APPROVING or request.payment_token.startswith("tok_ok"):
            return Captured(f"ch_{request.key}", request.amount)
        return Declined(_DECLINED_BECAUSE.get(request.payment_token, "unknown token"))


def _payload(request: ChargeRequest | RefundRequest) -> tuple[object, ...]:
    match request:
        case ChargeRequest():
            return (request.order_id, request.amount, request.currency, request.payment_token)
        case RefundRequest():
            return (request.order_id, request.charge_key)
