"""What any PaymentGateway promises: once on the double in memory, once over HTTP to a sandbox process."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from ensemble import RetryableError, TerminalError
from services.payment.gateway import HttpPaymentGateway
from services.payment.ports import Captured, ChargeRequest, Declined, PaymentGateway, Refunded, RefundRequest
from services.payment.testing import InMemoryPaymentGateway
from tests.support.sandbox_process import APPROVE, SandboxProcess, running_sandbox

_ATTEMPT_S = 1.5
_ASK_AGAIN_S = 0.02


@dataclass(frozen=True)
class Provider:
    """Asks a gateway and waits for the outcome, on one event loop."""

    gateway: PaymentGateway
    loop: asyncio.Runner
    set_available: Callable[[bool], None]

    def charge(self, request: ChargeRequest) -> Captured | Declined:
        return self.loop.run(self.gateway.charge(request))

    def refund(self, request: RefundRequest) -> Refunded:
        return self.loop.run(self.gateway.refund(request))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    ledger = tmp_path_factory.mktemp("sandbox") / "ledger.db"
    with running_sandbox(ledger, "--hang-s", "30", "--late-ms", "600") as process:
        yield process


@pytest.fixture(params=["in_memory", "http"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    with asyncio.Runner() as loop:
        if request.param == "in_memory":
            memory = InMemoryPaymentGateway()
            yield Provider(memory, loop, lambda up: setattr(memory, "available", up))
        else:
            yield from _over_http(request.getfixturevalue("sandbox"), loop)


def _over_http(sandbox: SandboxProcess, loop: asyncio.Runner) -> Iterator[Provider]:
    def set_available(up: bool) -> None:
        sandbox.send("POST", "/admin/outage", body={"mode": "up" if up else "down"})

    gateway = HttpPaymentGateway(sandbox.url, attempt_timeout_s=_ATTEMPT_S)
    yield Provider(gateway, loop, set_available)
    set_available(True)
    loop.run(gateway.close())


def a_charge(token: str = APPROVE) -> ChargeRequest:
    order_id = f"order-{uuid4().hex}"
    return ChargeRequest(f"{order_id}:charge", order_id, 4_200, "EUR", token)


def refund_of(charge: ChargeRequest, reason: str = "cancelled") -> RefundRequest:
    return RefundRequest(f"{charge.order_id}:refund", charge.key, charge.order_id, reason)


def until_final(ask: Callable[[], Captured | Declined | Refunded]) -> Captured | Declined | Refunded:
    """Asks again, with the same key, while the outcome is unknown."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return ask()
        except RetryableError:
            assert time.monotonic() < deadline
            time.sleep(_ASK_AGAIN_S)


@pytest.mark.parametrize("token", ["tok_approve", "tok_ok", "tok_ok_whatever"])
def test_captures_the_amount(provider: Provider, token: str) -> None:
    outcome = provider.charge(a_charge(token))
    assert isinstance(outcome, Captured)
    assert outcome.amount == 4_200


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "card declined"), ("tok_of_nobody", "unknown token")])
def test_declines_with_a_reason(provider: Provider, token: str, reason: str) -> None:
    assert provider.charge(a_charge(token)) == Declined(reason)


@pytest.mark.parametrize("token", ["tok_approve", "tok_declined"])
def test_a_repeated_charge_returns_the_first_outcome(provider: Provider, token: str) -> None:
    charge = a_charge(token)
    assert provider.charge(charge) == provider.charge(charge)


def test_a_key_serves_one_request_only(provider: Provider) -> None:
    charge = a_charge()
    provider.charge(charge)
    with pytest.raises(TerminalError):
        provider.charge(replace(charge, amount=1))


def test_a_malformed_charge_is_terminal(provider: Provider) -> None:
    with pytest.raises(TerminalError, match="amount"):
        provider.charge(replace(a_charge(), amount=-1))


@pytest.mark.parametrize("token", ["tok_fail_once", "tok_hang", "tok_late"])
def test_an_unknown_outcome_becomes_known_when_asked_again(provider: Provider, token: str) -> None:
    charge = a_charge(token)
    with pytest.raises(RetryableError):
        provider.charge(charge)
    assert isinstance(until_final(lambda: provider.charge(charge)), Captured)
    assert provider.refund(refund_of(charge)) == Refunded(4_200, "EUR")


@pytest.mark.parametrize("token", ["tok_error", "tok_hang_always"])
def test_a_charge_that_never_becomes_final_can_be_closed(provider: Provider, token: str) -> None:
    charge = a_charge(token)
    with pytest.raises(RetryableError):
        provider.charge(charge)
    assert provider.refund(refund_of(charge)) == Refunded(0)


def test_a_hanging_charge_was_booked_and_is_refunded(provider: Provider) -> None:
    charge = a_charge("tok_hang")
    with pytest.raises(RetryableError):
        provider.charge(charge)
    assert provider.refund(refund_of(charge)) == Refunded(4_200, "EUR")


def test_a_refund_waits_for_a_running_charge(provider: Provider) -> None:
    charge = a_charge("tok_late")
    with pytest.raises(RetryableError):
        provider.charge(charge)
    with pytest.raises(RetryableError):
        provider.refund(refund_of(charge))
    assert until_final(lambda: provider.refund(refund_of(charge))) == Refunded(4_200, "EUR")


def test_a_refund_closes_the_key_for_later_charges(provider: Provider) -> None:
    charge = a_charge()
    assert provider.refund(refund_of(charge)) == Refunded(0)
    assert provider.charge(charge) == Declined("closed")


def test_a_refunded_charge_stays_captured_once(provider: Provider) -> None:
    charge = a_charge()
    captured = provider.charge(charge)
    assert provider.refund(refund_of(charge)) == Refunded(4_200, "EUR")
    assert provider.charge(charge) == captured


def test_a_repeated_refund_returns_the_first_outcome(provider: Provider) -> None:
    charge = a_charge()
    provider.charge(charge)
    provider.refund(refund_of(charge))
    assert provider.refund(refund_of(charge, reason="put in other words")) == Refunded(4_200, "EUR")


def test_another_refund_of_the_same_charge_gives_nothing_back(provider: Provider) -> None:
    charge = a_charge()
    provider.charge(charge)
    provider.refund(refund_of(charge))
    assert provider.refund(replace(refund_of(charge), key=f"{charge.order_id}:refund-2")) == Refunded(0)


def test_refunds_nothing_of_a_declined_charge(provider: Provider) -> None:
    charge = a_charge("tok_declined")
    provider.charge(charge)
    assert provider.refund(refund_of(charge)) == Refunded(0)


def test_an_outage_is_retryable_and_books_nothing(provider: Provider) -> None:
    charge = a_charge()
    provider.set_available(False)
    with pytest.raises(RetryableError):
        provider.charge(charge)
    with pytest.raises(RetryableError):
        provider.refund(refund_of(charge))
    provider.set_available(True)
    assert isinstance(provider.charge(charge), Captured)


def test_the_double_records_every_attempt() -> None:
    gateway, charge = InMemoryPaymentGateway(), a_charge("tok_fail_once")
    with pytest.raises(RetryableError):
        asyncio.run(gateway.charge(charge))
    asyncio.run(gateway.charge(charge))
    assert gateway.calls == [charge, charge]


def test_a_provider_that_is_gone_is_retryable_and_comes_back(tmp_path: Path) -> None:
    charge, ledger = a_charge(), tmp_path / "ledger.db"
    with asyncio.Runner() as loop:
        with running_sandbox(ledger) as sandbox:
            gateway, port = HttpPaymentGateway(sandbox.url, _ATTEMPT_S), int(sandbox.url.rsplit(":")[-1])
            captured = loop.run(gateway.charge(charge))
            sandbox.kill()
            with pytest.raises(RetryableError, match="cannot be reached"):
                loop.run(gateway.charge(charge))
        with running_sandbox(ledger, port=port):
            assert until_final(lambda: loop.run(gateway.charge(charge))) == captured
        loop.run(gateway.close())
