"""The payment provider over HTTP, behind the PaymentGateway port."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ensemble import MisconfiguredAdapter, RetryableError, TerminalError
from ensemble.escaping import escape_controls
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest

if TYPE_CHECKING:  # it takes as long to import as the rest of the service: who only describes that does without
    from aiohttp import ClientResponse, ClientSession

_MALFORMED = frozenset({400, 413, 415, 422})
_MISCONFIGURED: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.MISDIRECTED_REQUEST,
    }
)
"""Said of this service and not of one request: its credentials, its rights, its address of the provider.

No redirect is followed: whoever answers at an address could send charges, with their tokens, to another one.
"""
_BODY_LIMIT: Final = 16_384
"""The longest answer in bytes."""
_TEXT_LIMIT: Final = 500
"""The longest text of an answer in characters: what it says becomes part of an order's state."""
_FINAL = frozenset({200, 201})
_JSON = {"Content-Type": "application/json"}


class HttpPaymentGateway:
    """One attempt per call, bounded by `attempt_timeout_s`; the caller decides when to ask again.

    Connections are kept alive and belong to the event loop of the first call: `close` on that loop. There are as many
    as calls at once, which the caller bounds too: waiting for a connection would count as the provider's silence.
    """

    def __init__(self, url: str, attempt_timeout_s: float = 5.0) -> None:
        self._url = url.rstrip("/")
        self._shown_url = _without_credentials(self._url)
        self._timeout_s = attempt_timeout_s
        self._session: ClientSession | None = None

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        """Post the charge, and return and raise what `PaymentGateway.charge` promises."""
        document = {
            "order_id": request.order_id,
            "amount": request.amount,
            "currency": request.currency,
            "payment_token": request.payment_token,
        }
        match await self._post("/v1/charges", request.key, document):
            case {"status": "captured", "charge_id": str(charge_id), "amount": int(amount)} as answer if (
                charge_id and _is_money(answer)
            ):
                return Captured(charge_id, amount, answer.get("currency") or "")
            case {"status": "declined", "reason": str(reason)}:
                return Declined(reason)
            case answer:
                raise _unknown(request.key, f"an answer that is no charge: {answer}")

    async def refund(self, request: RefundRequest) -> Refunded:
        """Post the refund, and return and raise what `PaymentGateway.refund` promises."""
        document = {"order_id": request.order_id, "charge_key": request.charge_key, "reason": request.reason}
        match await self._post("/v1/refunds", request.key, document):
            case {"status": "refunded", "amount": int(amount)} as answer if _is_money(answer):
                return Refunded(amount, answer.get("currency") or "")
            case answer:
                raise _unknown(request.key, f"an answer that is no refund: {answer}")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, path: str, key: str, document: dict[str, Any]) -> Any:
        from aiohttp import ClientError

        try:
            status, body, retry_after_s = await self._exchange(path, key, json.dumps(document).encode())
        except TimeoutError as error:
            raise _unknown(key, f"no answer within {self._timeout_s} s") from error
        except ClientError as error:
            raise _unknown(key, f"the payment provider at {self._shown_url} cannot be reached: {error}") from error
        answer = _parse(body)
        if status in _FINAL:
            return answer
        if status in _MALFORMED:
            raise TerminalError(f"the payment provider refused {key}: {_detail(status, answer)}")
        if status in _MISCONFIGURED:
            raise self._misconfigured(path, key, status, answer)
        unknown = _unknown(key, _detail(status, answer))
        unknown.retry_after_s = retry_after_s
        raise unknown

    def _misconfigured(self, path: str, key: str, status: int, answer: Any) -> MisconfiguredAdapter:
        return MisconfiguredAdapter(
            f"configuration: the payment provider says {HTTPStatus(status).phrase} to this service, so the outcome of "
            f"{key} is not known; check PAYMENT_PROVIDER_URL and what {self._shown_url}{path} expects: "
            f"{_detail(status, answer)}"
        )

    async def _exchange(self, path: str, key: str, body: bytes) -> tuple[int, bytes, float]:
        """Return status, body and the seconds that the provider asks to wait for."""
        sent = {"Idempotency-Key": f'"{key}"', **_JSON}
        session = self._opened()
        async with session.post(self._url + path, data=body, headers=sent, allow_redirects=False) as response:
            headers = response.headers
            wait_s = _seconds_in(headers.get("Retry-After", ""), headers.get("Date", ""))
            return response.status, await _read(response), wait_s

    def _opened(self) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        if self._session is None or self._session.closed:
            connector, timeout = TCPConnector(limit=0), ClientTimeout(total=self._timeout_s)
            self._session = ClientSession(connector=connector, timeout=timeout, cookie_jar=DummyCookieJar())
        return self._session


async def _read(response: ClientResponse) -> bytes:
    """Return the body, without what is beyond the limit: what is left is no JSON then, so the answer is not known."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BODY_LIMIT:
            break
    return bytes(body[:_BODY_LIMIT])


def _parse(body: bytes) -> Any:
    """Return the answer, its texts bounded and without characters that no message can carry, or None."""
    try:
        answer = json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # a body may be nested more deeply than it can be read
        return None
    return {name: _bounded(value) for name, value in answer.items()} if isinstance(answer, dict) else answer


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raises ValueError if it says anything twice: captured and declined, say, is no outcome."""
    answer = dict(pairs)
    if len(answer) < len(pairs):
        raise ValueError("a name comes twice")
    return answer


def _bounded(value: Any) -> Any:
    """Return a text as it can be kept and shown: an odd name of a charge does not make its money forgotten."""
    return escape_controls(value[:_TEXT_LIMIT])[:_TEXT_LIMIT] if isinstance(value, str) else value


def _is_money(answer: Mapping[str, Any]) -> bool:
    """Return whether the answer names an amount, which true and minus one are not, in a currency or in none."""
    amount = answer["amount"]
    return not isinstance(amount, bool) and amount >= 0 and isinstance(answer.get("currency"), str | None)


def _seconds_in(retry_after: str, date: str) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; 0 if it says neither.

    A date is compared with the answer's own, `date`: the clocks of provider and machine may differ by hours.
    """
    if retry_after.strip().isdecimal():
        return float(retry_after)
    at, now = _moment_in(retry_after), _moment_in(date)
    return 0.0 if at is None else max(0.0, at - (time.time() if now is None else now))


def _moment_in(date: str) -> float | None:
    """Return the date of a header in seconds, or None if it is none."""
    try:
        at = parsedate_to_datetime(date)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _without_credentials(url: str) -> str:
    """Return the URL as it may stand in logs, dead letters and incidents."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def _detail(status: int, answer: Any) -> str:
    match answer:
        case {"title": str(title), "detail": str(detail)}:
            return f"{status} {title}: {detail}"
        case _:
            return f"status {status}"


def _unknown(key: str, why: str) -> RetryableError:
    return RetryableError(f"the outcome of {key} is not known: {why}")
