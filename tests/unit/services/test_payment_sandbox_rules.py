"""The provider's rules without HTTP: tokens, keys, refunds, commits and outages."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.payment_sandbox.books import Books
from services.payment_sandbox.ledger import Entry, Ledger, LedgerError
from services.payment_sandbox.outage import Outage
from services.payment_sandbox.problems import Problem
from services.payment_sandbox.requests import Charge, OutageOrder, Refund
from services.payment_sandbox.tokens import Script, script_of

CHARGE = Charge(order_id="o-1", amount=500, currency="EUR", payment_token="tok_approve")
REFUND = Refund(order_id="o-1", charge_key="o-1:charge", reason="cancelled")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "deep" / "ledger.db")
    yield opened
    opened.close()


async def charge(books: Books, key: str = "o-1:charge") -> Entry:
    with books.running(key, CHARGE.fingerprint()):
        return await books.charge(key, CHARGE, None)


@pytest.mark.parametrize("token", ["tok_approve", "tok_ok", "tok_ok_7"])
def test_approves(token: str) -> None:
    assert script_of(token) == Script("at_once", None)


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "card declined"), ("x", "unknown token")])
def test_declines_with_a_reason(token: str, reason: str) -> None:
    assert script_of(token).declined_because == reason


def test_requests_waiting_together_share_one_commit(ledger: Ledger) -> None:
    async def scenario() -> list[Entry]:
        books = Books(ledger)
        return await asyncio.gather(*(charge(books, f"key-{number}") for number in range(50)))

    statements: list[str] = []
    ledger._connection.set_trace_callback(statements.append)
    booked = asyncio.run(scenario())
    assert statements.count("COMMIT") == 1
    assert [entry.seq for entry in booked] == list(range(1, 51))
    assert ledger.page(0, 100) == booked


def test_sequence_goes_on_after_a_restart(ledger: Ledger) -> None:
    asyncio.run(charge(Books(ledger)))
    again = Ledger(ledger._connection)
    assert asyncio.run(charge(Books(again), "o-2:charge")).seq == 2


def test_a_key_is_running_until_its_commit(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        task = asyncio.create_task(charge(books))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="not final yet"):
            books.find("o-1:charge", CHARGE.fingerprint())
        with pytest.raises(Problem, match="not final yet"):
            await books.refund("o-1:refund", REFUND)
        booked = await task
        assert books.find("o-1:charge", CHARGE.fingerprint()) == booked

    asyncio.run(scenario())


def test_a_charge_waits_for_a_running_refund(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        task = asyncio.create_task(books.refund("o-1:refund", REFUND))
        await asyncio.sleep(0)
        assert books.is_running("o-1:charge")
        await task
        assert (await charge(books)).reason == "closed"

    asyncio.run(scenario())


def test_a_failed_commit_books_nothing_and_frees_the_key(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        ledger.append([_entry_with_seq(1)])
        with pytest.raises(Problem, match="nothing was booked"):
            await charge(books)
        assert not books.is_running("o-1:charge")
        assert (await charge(books)).status == "captured"

    asyncio.run(scenario())


def _entry_with_seq(seq: int) -> Entry:
    return Entry(seq, "charge", "other", "f", "o-0", 1, "EUR", "captured", None, "ch_0", None, 0)


def test_a_second_sandbox_cannot_open_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="in use by another sandbox"):
        Ledger.open(tmp_path / "deep" / "ledger.db")


def test_equal_requests_have_equal_fingerprints() -> None:
    assert CHARGE.fingerprint() == CHARGE.model_copy().fingerprint()
    assert CHARGE.fingerprint() != CHARGE.model_copy(update={"payment_token": "tok_late"}).fingerprint()
    assert REFUND.fingerprint() == REFUND.model_copy(update={"reason": "in other words"}).fingerprint()


def test_a_limited_outage_ends_when_its_time_is_over() -> None:
    now = 100.0
    outage = Outage(lambda: now)
    outage.order(OutageOrder(mode="down", for_s=5))
    now = 104.0
    assert outage.now() == OutageOrder(mode="down", for_s=1)
    now = 105.0
    assert outage.now() == OutageOrder(mode="up")


def test_an_unlimited_outage_lasts_until_it_is_ended() -> None:
    outage = Outage(lambda: 0.0)
    outage.order(OutageOrder(mode="hang"))
    assert outage.now().mode == "hang"
    outage.order(OutageOrder(mode="up"))
    assert outage.now().mode == "up"
