"""The payment service, whole, in memory, beside a provider that can fail."""

from __future__ import annotations

import pytest

from contracts import (
    AttemptCharge,
    CommandFailed,
    Payment,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentRefunded,
)
from ensemble.errors import ConfigurationError
from ensemble.testing.driver import ServiceTestDriver
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest
from services.payment.service import configured_provider, payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.order_messages import attempt_charge, process_payment, refund_payment

CONFIRMED = PaymentConfirmed(order_id="o-1", amount=500, currency="EUR", charge_id="ch_o-1:charge")


class WrongCapture(InMemoryPaymentGateway):
    """Captures something else than it was asked for."""

    def __init__(self, captured: Captured) -> None:
        super().__init__()
        self._captured = captured

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        self.captured[request.key] = self._captured.amount
        return self._captured


class WrongRefund(InMemoryPaymentGateway):
    """Gives back something else than it captured."""

    def __init__(self, refund: Refunded) -> None:
        super().__init__()
        self._refund = refund

    async def refund(self, request: RefundRequest) -> Refunded:
        return self._refund


def refunded(amount: int) -> PaymentRefunded:
    return PaymentRefunded(order_id="o-1", amount=amount)


def declined(reason: str) -> PaymentDeclined:
    return PaymentDeclined(order_id="o-1", reason=reason)


@pytest.fixture
def gateway() -> InMemoryPaymentGateway:
    return InMemoryPaymentGateway()


@pytest.fixture
def driver(gateway: InMemoryPaymentGateway) -> ServiceTestDriver:
    return ServiceTestDriver(payment_service(gateway))


@pytest.fixture
def paid(driver: ServiceTestDriver) -> ServiceTestDriver:
    """The order o-1 is charged."""
    driver.receive(process_payment(), attempt_charge())
    driver.clear()
    return driver


# -- PaymentOrchestrator.handle_command, .needs_charge ------------------------------------------------------------


def test_commands_a_charge_where_one_is_needed(driver: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    driver.receive(process_payment())

    assert driver.outputs == [attempt_charge()]
    assert gateway.calls == []


def test_confirms_at_once_where_nothing_is_due(driver: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    driver.receive(process_payment(amount=0))

    assert driver.outputs == [PaymentConfirmed(order_id="o-1", amount=0, currency="EUR", charge_id=None)]
    assert gateway.calls == []


def test_confirms_again_what_is_charged_already(paid: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    paid.restart()
    paid.receive(process_payment(attempt=2), process_payment(attempt=3, expires_at=1))

    assert paid.outputs == [CONFIRMED, CONFIRMED]
    assert len(gateway.calls) == 1


def test_commands_the_charge_again_while_its_outcome_is_unknown(driver: ServiceTestDriver) -> None:
    driver.receive(process_payment(), process_payment(attempt=2))

    assert driver.sent == [attempt_charge(), attempt_charge(attempt=2)]


def test_declines_an_expired_payment_for_good(driver: ServiceTestDriver) -> None:
    """Rule 4: an expired command is answered as expired, and stays so."""
    driver.receive(process_payment(expires_at=1))
    driver.receive(process_payment(attempt=2))

    assert driver.outputs == [declined("expired"), declined("expired")]


def test_declines_a_payment_whose_order_was_refunded(driver: ServiceTestDriver) -> None:
    driver.receive(refund_payment())
    driver.receive(process_payment())

    assert driver.outputs == [refunded(0), declined("closed")]


def test_gives_up_another_amount_for_the_same_order(paid: ServiceTestDriver) -> None:
    paid.receive(process_payment(amount=900))

    assert [type(event) for event in paid.emitted] == [CommandFailed]
    assert len(paid.dead_letters) == 1


# -- Charger ------------------------------------------------------------------------------------------------------


def test_charges_by_a_key_of_the_order(driver: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    driver.receive(attempt_charge())

    assert driver.outputs == [CONFIRMED]
    assert gateway.calls == [ChargeRequest("o-1:charge", "o-1", 500, "EUR", "tok_approve")]


def test_tells_why_the_provider_declined(driver: ServiceTestDriver) -> None:
    driver.receive(attempt_charge(payment_token="tok_declined"))
    driver.receive(process_payment(), attempt_charge())

    assert driver.outputs == [declined("card declined")] * 3


def test_a_repeated_charge_is_answered_without_asking(paid: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    paid.receive(attempt_charge(), attempt_charge(expires_at=1))

    assert paid.outputs == [CONFIRMED, CONFIRMED]
    assert len(gateway.calls) == 1


@pytest.mark.parametrize("token", ["tok_fail_once", "tok_hang", "tok_late"])
def test_asks_again_until_the_outcome_is_known(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway, token: str
) -> None:
    driver.receive(attempt_charge(payment_token=token))
    assert driver.outputs == []

    driver.advance(60)

    assert driver.outputs == [CONFIRMED]
    assert gateway.captured == {"o-1:charge": 500}


def test_a_provider_that_stays_away_leaves_the_outcome_open(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    gateway.available = False
    driver.receive(process_payment())
    driver.receive(attempt_charge())
    driver.advance(400)

    assert [type(event) for event in driver.emitted] == [CommandFailed]
    gateway.available = True
    driver.receive(process_payment(attempt=2))
    driver.clear()
    driver.redrive(driver.dead_letters[0])
    assert driver.outputs == [CONFIRMED, CONFIRMED]


def test_a_charge_that_is_given_up_is_told_as_the_attempt_of_its_step(driver: ServiceTestDriver) -> None:
    """So the saga hears of it: it sent ProcessPayment, and never heard of AttemptCharge."""
    driver.receive(process_payment(attempt=3))
    (charge,) = driver.sent
    assert isinstance(charge, AttemptCharge)
    driver.clear()

    driver.receive(charge.model_copy(update={"payment_token": "tok_error"}))
    driver.advance(400)

    (failed,) = driver.emitted
    assert isinstance(failed, CommandFailed)
    assert (failed.command, failed.command_attempt) == ("ProcessPayment", 3)
    assert failed.message.startswith("AttemptCharge: the outcome of o-1:charge")


@pytest.mark.parametrize("captured", [Captured("ch_1", 1, "EUR"), Captured("ch_1", 500, "USD"), Captured("ch_1", 1)])
def test_a_capture_of_something_else_is_refused_and_told(captured: Captured) -> None:
    """The order counts as unpaid; its refund gives back what was captured."""
    driver = ServiceTestDriver(payment_service(WrongCapture(captured)))
    driver.receive(process_payment(), attempt_charge())

    (failed,) = driver.emitted
    assert isinstance(failed, CommandFailed)
    assert (failed.command, failed.error, len(driver.dead_letters)) == ("ProcessPayment", "TerminalError", 1)
    driver.clear()
    driver.receive(refund_payment())
    assert driver.outputs == [refunded(captured.amount)]


def test_a_charge_of_an_earlier_release_says_no_attempt(driver: ServiceTestDriver) -> None:
    driver.receive(attempt_charge(payment_token="tok_error", attempt=0))
    driver.advance(400)
    (failed,) = driver.emitted
    assert isinstance(failed, CommandFailed)
    assert failed.command_attempt == 0


def test_one_order_in_trouble_does_not_stop_the_others(driver: ServiceTestDriver) -> None:
    good = attempt_charge(order_id="o-2", payment_token="tok_ok")

    driver.receive(attempt_charge(payment_token="tok_error"), good)
    driver.advance(400)

    assert [event.order_id for event in driver.emitted if isinstance(event, PaymentConfirmed)] == ["o-2"]
    assert len(driver.dead_letters) == 1


def test_an_expired_charge_is_closed_at_the_provider(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    driver.receive(attempt_charge(expires_at=driver.clock.now()))

    assert driver.outputs == [declined("expired")]
    assert gateway.calls == [RefundRequest("o-1:refund", "o-1:charge", "o-1", "expired")]


def test_a_charge_is_made_up_to_the_moment_it_expires(driver: ServiceTestDriver) -> None:
    driver.receive(attempt_charge(expires_at=driver.clock.now() + 1))

    assert driver.outputs == [CONFIRMED]


def test_expired_gives_back_what_an_unseen_attempt_captured(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    """Rule 4: the outcome was unknown, so the provider is asked by key until it is final."""
    driver.crash(attempt_charge())
    assert gateway.captured == {"o-1:charge": 500}

    driver.receive(attempt_charge(expires_at=1), refund_payment())

    assert driver.outputs == [declined("expired"), refunded(500)]
    assert gateway.captured == {}


def test_a_charge_after_the_refund_is_met_with_silence(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    driver.receive(process_payment(), refund_payment(), attempt_charge())

    assert driver.outputs == [attempt_charge(), refunded(0)]
    assert gateway.captured == {}


def test_money_is_taken_once_when_the_commit_did_not_happen(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    driver.crash(attempt_charge())

    driver.receive(attempt_charge())

    assert driver.outputs == [CONFIRMED]
    assert gateway.captured == {"o-1:charge": 500}
    assert len(gateway.calls) == 2


# -- Refunder -----------------------------------------------------------------------------------------------------


def test_gives_back_what_was_captured_once(paid: ServiceTestDriver, gateway: InMemoryPaymentGateway) -> None:
    paid.receive(refund_payment())
    paid.restart()
    paid.receive(refund_payment(attempt=2))

    assert paid.outputs == [refunded(500), refunded(500)]
    assert gateway.calls[1:] == [RefundRequest("o-1:refund", "o-1:charge", "o-1", "cancelled")]
    assert gateway.captured == {}


@pytest.mark.parametrize("given_back", [Refunded(1, "EUR"), Refunded(0), Refunded(500, "USD"), Refunded(501)])
def test_a_refund_of_something_else_is_refused_and_told(given_back: Refunded) -> None:
    """The undo is given up, so the payment stays owed until a person settles it."""
    driver = ServiceTestDriver(payment_service(WrongRefund(given_back)))
    driver.receive(process_payment(), attempt_charge())
    driver.clear()

    driver.receive(refund_payment())

    (failed,) = driver.emitted
    assert isinstance(failed, CommandFailed)
    assert (failed.command, failed.error, len(driver.dead_letters)) == ("RefundPayment", "TerminalError", 1)
    assert "but had taken 500 EUR" in failed.message


def test_asks_the_provider_even_where_nothing_is_known(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    driver.receive(refund_payment())

    assert driver.outputs == [refunded(0)]
    assert gateway.calls == [RefundRequest("o-1:refund", "o-1:charge", "o-1", "cancelled")]


def test_gives_back_what_was_captured_without_an_answer(
    driver: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    """The charge is parked, and booked late; the refund passes it, and asks until it is final."""
    driver.receive(process_payment(payment_token="tok_late"), attempt_charge(payment_token="tok_late"))
    driver.clear()

    driver.receive(refund_payment())
    driver.advance(60)

    assert driver.outputs == [refunded(500)]
    assert gateway.captured == {}


def test_a_refund_that_the_provider_cannot_answer_is_given_up_and_may_be_asked_again(
    paid: ServiceTestDriver, gateway: InMemoryPaymentGateway
) -> None:
    gateway.available = False
    paid.receive(refund_payment())
    paid.advance(400)
    gateway.available = True
    paid.receive(refund_payment(attempt=2))
    paid.redrive(paid.dead_letters[0])

    assert [type(event) for event in paid.emitted] == [CommandFailed, CommandFailed, PaymentRefunded]
    payment = paid.state(Payment, "o-1")
    assert payment is not None
    assert payment.status == "refunded"


# -- settings -----------------------------------------------------------------------------------------------------


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_PROVIDER_URL", "127.0.0.1:8090")

    with pytest.raises(ConfigurationError, match="PAYMENT_PROVIDER_URL"):
        configured_provider()
