"""The payment provider over HTTP, before a server that answers as a test says: what is posted, and what is heard."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ensemble import MisconfiguredAdapter, RetryableError, TerminalError
from services.payment.gateway import HttpPaymentGateway
from services.payment.ports import Captured, ChargeRequest, Declined, PaymentGateway, Refunded, RefundRequest

_ATTEMPT_S = 30.0
_Outcome = TypeVar("_Outcome")
CHARGE = ChargeRequest("o-1:charge", "o-1", 4_200, "EUR", "tok_approve")
REFUND = RefundRequest("o-1:refund", "o-1:charge", "o-1", "cancelled")
CAPTURED = b'{"status": "captured", "charge_id": "ch_1", "amount": 4200}'


@asynccontextmanager
async def provider(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[HttpPaymentGateway]:
    """Serve a provider, and give the gateway to it."""
    app = web.Application()
    app.router.add_post("/pay/v1/{kind}", answer)
    async with TestServer(app) as server:
        gateway = HttpPaymentGateway(str(server.make_url("/pay/")), _ATTEMPT_S)
        try:
            yield gateway
        finally:
            await gateway.close()


def test_a_charge_and_a_refund_are_posted_with_their_keys_over_one_connection() -> None:
    posted: list[Any] = []
    connections: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        connections.add(request.transport)
        headers = {name: request.headers[name] for name in ("Idempotency-Key", "Content-Type")}
        posted.append((request.path, headers, await request.json()))
        status = "refunded" if request.path.endswith("refunds") else "captured"
        body = json.dumps({"status": status, "charge_id": "ch_1", "amount": 7, "currency": "USD"})
        return web.Response(text=body, headers={"Set-Cookie": "a=b"})

    async def scenario() -> list[Any]:
        async with provider(answer) as gateway:
            return [await gateway.charge(CHARGE), await gateway.refund(REFUND)]

    assert asyncio.run(scenario()) == [Captured("ch_1", 7, "USD"), Refunded(7, "USD")]
    charge = {"order_id": "o-1", "amount": 4_200, "currency": "EUR", "payment_token": "tok_approve"}
    refund = {"order_id": "o-1", "charge_key": "o-1:charge", "reason": "cancelled"}
    assert posted == [
        ("/pay/v1/charges", {"Idempotency-Key": '"o-1:charge"', "Content-Type": "application/json"}, charge),
        ("/pay/v1/refunds", {"Idempotency-Key": '"o-1:refund"', "Content-Type": "application/json"}, refund),
    ]
    assert len(connections) == 1


def test_a_gateway_that_was_never_asked_can_be_closed() -> None:
    asyncio.run(HttpPaymentGateway("http://127.0.0.1:9").close())


def test_a_gateway_that_was_closed_connects_again() -> None:
    connections: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        connections.add(request.transport)
        return web.Response(body=CAPTURED)

    async def scenario() -> None:
        async with provider(answer) as gateway:
            await gateway.close()
            await gateway.charge(CHARGE)
            session = gateway._session
            await gateway.close()
            assert session is not None
            assert session.closed
            assert await gateway.charge(CHARGE) == Captured("ch_1", 4_200)

    asyncio.run(scenario())
    assert len(connections) == 2


def test_calls_at_once_wait_for_no_connection() -> None:
    """More of them than a client opens of its own accord."""
    at_once, arrived = 101, asyncio.Event()
    waiting: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        waiting.append(request)
        if len(waiting) == at_once:
            arrived.set()
        await arrived.wait()
        return web.Response(body=CAPTURED)

    async def scenario() -> None:
        async with provider(answer) as gateway:
            await asyncio.gather(*(gateway.charge(CHARGE) for _ in range(at_once)))

    asyncio.run(scenario())


def test_a_provider_that_is_silent_or_away_leaves_the_outcome_unknown() -> None:
    async def scenario(url: str, timeout_s: float) -> None:
        gateway = HttpPaymentGateway(url, timeout_s)
        try:
            await gateway.charge(CHARGE)
        finally:
            await gateway.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RetryableError, match=r"^the outcome of o-1:charge is not known: no answer within 0.05 s$"):
            asyncio.run(scenario(url, 0.05))
    away = "the outcome of o-1:charge is not known: the payment provider at http://127.0.0.1:9 cannot be reached: "
    with pytest.raises(RetryableError, match=f"^{away}") as raised:
        asyncio.run(scenario("http://127.0.0.1:9/", _ATTEMPT_S))
    assert raised.value.retry_after_s == 0


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"title": "No", "detail": "because"}', "%d No: because"),
        (b'{"title": "No", "detail": 1}', "status %d"),
        (b'{"detail": "because"}', "status %d"),
        (b"<html>", "status %d"),
    ],
)
def test_what_the_provider_says_is_told_with_its_status(body: bytes, detail: str) -> None:
    said = []
    for status in (422, 500, 401):
        with pytest.raises((RetryableError, TerminalError)) as raised:
            asyncio.run(_charge_answered_by(status, body))
        said.append(str(raised.value))
    assert said[0] == f"the payment provider refused o-1:charge: {detail % 422}"
    assert said[1] == f"the outcome of o-1:charge is not known: {detail % 500}"
    assert said[2].startswith("configuration: the payment provider says Unauthorized to this service, so the outcome")
    assert said[2].endswith(f"/pay/v1/charges expects: {detail % 401}")


@pytest.mark.parametrize(("length", "is_read"), [(16_384, True), (16_385, False)])
def test_an_answer_is_read_as_far_as_its_limit(length: int, is_read: bool) -> None:
    charge = _charge_answered_by(200, CAPTURED[:-1].ljust(length - 1) + b"}")
    if is_read:
        assert asyncio.run(charge) == Captured("ch_1", 4_200)
    else:
        with pytest.raises(RetryableError, match="an answer that is no charge: None"):
            asyncio.run(charge)


@pytest.mark.parametrize("status", [200, 204, 304, 409, 429, 500, 503])
def test_an_answer_that_settles_nothing_is_retryable(status: int) -> None:
    with pytest.raises(RetryableError, match="is not known") as raised:
        asyncio.run(_charge_answered_by(status, b"<html>"))
    assert not isinstance(raised.value, MisconfiguredAdapter)


def test_a_provider_that_sends_elsewhere_is_not_followed() -> None:
    """What is posted there would be a charge under a key that the provider itself has not answered."""

    async def answer(request: web.Request) -> web.Response:
        if request.match_info["kind"] == "elsewhere":
            return web.Response(body=CAPTURED)
        return web.Response(status=307, headers={"Location": "/pay/v1/elsewhere"})

    async def scenario() -> None:
        async with provider(answer) as gateway:
            await gateway.charge(CHARGE)

    with pytest.raises(RetryableError, match="status 307"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        *((301, "Moved Permanently"), (302, "Found"), (303, "See Other")),
        *((307, "Temporary Redirect"), (308, "Permanent Redirect")),
        *((401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (405, "Method Not Allowed")),
        *((407, "Proxy Authentication Required"), (421, "Misdirected Request")),
    ],
)
def test_a_provider_that_refuses_this_service_is_a_matter_of_configuration(status: int, phrase: str) -> None:
    with pytest.raises(MisconfiguredAdapter, match=f"^configuration: the payment provider says {phrase} .*not known"):
        asyncio.run(_charge_answered_by(status, b"<html>"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("60", 60),
        pytest.param("9" * 400, inf, id="more than a number holds"),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        *((odd, 0) for odd in ("-60", "1.5", "1e3", "60, 60", "soon", "NaN", "")),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_says_how_long_it_wants_to_be_left_alone(status: int, header: str, seconds: float) -> None:
    with pytest.raises(RetryableError) as raised:
        asyncio.run(_charge_answered_by(status, b"", {"Retry-After": header}))
    assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"], ids=["date", "date of old"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_says_until_when_it_wants_to_be_left_alone(status: int, form: str) -> None:
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).strftime(form)
    with pytest.raises(RetryableError) as raised:
        asyncio.run(_charge_answered_by(status, b"", {"Retry-After": in_an_hour}))
    assert 3400 <= raised.value.retry_after_s <= 3600


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0900"])
def test_the_zone_of_this_machine_is_nothing_to_the_provider(zone: str) -> None:
    there = datetime.now(UTC) + timedelta(hours=10 if zone == "+0900" else 1)
    header = there.strftime(f"%a, %d %b %Y %H:%M:%S {zone}")
    with pytest.raises(RetryableError) as raised:
        asyncio.run(_charge_answered_by(503, b"", {"Retry-After": header}))
    assert 3400 <= raised.value.retry_after_s <= 3600


@pytest.mark.parametrize(
    ("date", "seconds"), [("Sun, 06 Nov 1994 08:49:37 GMT", 60), ("Sun, 06 Nov 1994 09:49:37 GMT", 0), ("soon", 0)]
)
def test_a_date_is_compared_with_the_providers_own_clock(date: str, seconds: float) -> None:
    """This machine's may be hours behind, and kept every payment waiting for them."""
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": date}
    with pytest.raises(RetryableError) as raised:
        asyncio.run(_charge_answered_by(429, b"", headers))
    assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize(("said", "currency"), [(b', "currency": "USD"', "USD"), (b"", "")])
def test_what_was_captured_is_passed_on_as_the_provider_says_it(said: bytes, currency: str) -> None:
    body = b'{"status": "captured", "charge_id": "ch_1", "amount": 1' + said + b"}"
    assert asyncio.run(_charge_answered_by(201, body)) == Captured("ch_1", 1, currency)


@pytest.mark.parametrize(
    ("said", "currency"), [(b', "currency": "USD"', "USD"), (b', "currency": null', ""), (b"", "")]
)
def test_what_was_given_back_is_passed_on_as_the_provider_says_it(said: bytes, currency: str) -> None:
    for amount in (0, 1):
        body = f'{{"status": "refunded", "amount": {amount}'.encode() + said + b"}"
        assert asyncio.run(_refund_answered_by(200, body)) == Refunded(amount, currency)


@pytest.mark.parametrize("amount", ["true", "-1", "1.0", '"1"', "null", '1, "currency": 5'])
@pytest.mark.parametrize("status", ["captured", "refunded"])
def test_an_answer_without_an_amount_settles_nothing(status: str, amount: str) -> None:
    body = f'{{"status": "{status}", "charge_id": "ch_1", "amount": {amount}}}'.encode()
    with pytest.raises(RetryableError, match="is not known"):
        asyncio.run((_charge_answered_by if status == "captured" else _refund_answered_by)(200, body))


def test_an_answer_that_says_something_twice_settles_nothing() -> None:
    """Read by its last words alone, a charge that was declined counted as money."""
    twice = b'{"status": "declined", "reason": "no", "status": "captured", "charge_id": "ch_1", "amount": 4200}'
    with pytest.raises(RetryableError, match="is not known"):
        asyncio.run(_charge_answered_by(200, twice))


def test_the_credentials_of_the_address_are_not_told() -> None:
    async def scenario() -> None:
        gateway = HttpPaymentGateway("http://ann:s3@cret@127.0.0.1:9/v1@a")
        try:
            await gateway.charge(CHARGE)
        finally:
            await gateway.close()

    with pytest.raises(RetryableError, match=r"provider at http://127.0.0.1:9/v1@a cannot be reached") as raised:
        asyncio.run(scenario())
    assert "cret" not in str(raised.value)


def test_a_charge_without_an_id_settles_nothing() -> None:
    """Nobody could find it in the provider's books."""
    with pytest.raises(RetryableError, match="is not known"):
        asyncio.run(_charge_answered_by(200, b'{"status": "captured", "charge_id": "", "amount": 1}'))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (r"ch_\ud800", r"ch_\ud800"),
        (r"\u001b[2J", r"\x1b[2J"),
        ("c" * 10_000, "c" * 500),
        (r"\u0000" * 900, r"\x00" * 125),
    ],
    ids=["half a character", "escape sequence", "long", "long once it is escaped"],
)
def test_what_the_provider_says_is_kept_as_a_text_that_messages_can_carry(said: str, kept: str) -> None:
    """Money was taken, and the charge was a dead letter, because its id could not be written."""
    captured = f'{{"status": "captured", "charge_id": "{said}", "amount": 1}}'.encode()
    assert asyncio.run(_charge_answered_by(201, captured)) == Captured(kept, 1)
    declined = f'{{"status": "declined", "reason": "{said}"}}'.encode()
    assert asyncio.run(_charge_answered_by(200, declined)) == Declined(kept)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refused_request_is_terminal(status: int) -> None:
    with pytest.raises(TerminalError, match=str(status)):
        asyncio.run(_charge_answered_by(status, b'{"title": "No", "detail": "because"}'))


@pytest.mark.parametrize(
    "body",
    [b'{"status": "captured", "amount": 100, "charge_id": "' + b"c" * 1_000_000 + b'"}', b"[" * 16_000, b"9" * 16_000],
    ids=["without end", "nested", "a number without end"],
)
def test_an_answer_that_cannot_be_read_is_no_outcome(body: bytes) -> None:
    with pytest.raises(RetryableError, match="an answer that is no charge"):
        asyncio.run(_charge_answered_by(200, body))


async def _charge_answered_by(
    status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> Captured | Declined:
    return await _answered_by(lambda gateway: gateway.charge(CHARGE), status, body, headers)


async def _refund_answered_by(status: int, body: bytes) -> Refunded:
    return await _answered_by(lambda gateway: gateway.refund(REFUND), status, body, None)


async def _answered_by(
    ask: Callable[[PaymentGateway], Awaitable[_Outcome]], status: int, body: bytes, headers: Mapping[str, str] | None
) -> _Outcome:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    async with provider(answer) as gateway:
        return await ask(gateway)
