"""The provider's rules without HTTP: tokens, keys, refunds, commits and outages."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from services.payment_sandbox.books import Books
from services.payment_sandbox.ledger import Entry, Ledger, LedgerError
from services.payment_sandbox.outage import Outage
from services.payment_sandbox.problems import Problem
from services.payment_sandbox.requests import Charge, OutageOrder, Refund
from services.payment_sandbox.tokens import Script, script_of

T = TypeVar("T")
CHARGE = Charge(order_id="o-1", amount=500, currency="EUR", payment_token="tok_approve")
REFUND = Refund(order_id="o-1", charge_key="o-1:charge", reason="cancelled")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "deep" / "ledger.db")
    yield opened
    opened.close()


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Return what the scenario returns; an answer that never comes is an error."""
    return asyncio.run(asyncio.wait_for(scenario, 60))


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
    booked = run(scenario())
    assert statements.count("COMMIT") == 1
    assert [entry.seq for entry in booked] == list(range(1, 51))
    assert ledger.page(0, 100) == booked


def test_sequence_goes_on_after_a_restart(ledger: Ledger) -> None:
    run(charge(Books(ledger)))
    again = Ledger(ledger._connection)
    assert run(charge(Books(again), "o-2:charge")).seq == 2


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

    run(scenario())


def test_a_charge_waits_for_a_running_refund(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        task = asyncio.create_task(books.refund("o-1:refund", REFUND))
        await asyncio.sleep(0)
        assert books.is_running("o-1:charge")
        await task
        assert (await charge(books)).reason == "closed"

    run(scenario())


def test_a_failed_commit_books_nothing_and_frees_the_key(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        ledger.append([_entry_with_seq(1)])
        with pytest.raises(Problem, match="nothing was booked"):
            await charge(books)
        assert not books.is_running("o-1:charge")
        assert (await charge(books)).status == "captured"

    run(scenario())


def _entry_with_seq(seq: int, key: str = "other") -> Entry:
    return Entry(seq, "charge", key, "f", "o-0", 1, "EUR", "captured", None, "ch_0", None, 0)


def test_entries_are_kept_together_or_not_at_all(ledger: Ledger) -> None:
    ledger.append([_entry_with_seq(1, "first")])
    with pytest.raises(sqlite3.IntegrityError):
        ledger.append([_entry_with_seq(2, "second"), _entry_with_seq(3, "first")])
    ledger.append([_entry_with_seq(4, "third")])
    assert [entry.key for entry in ledger.page(0, 9)] == ["first", "third"]


def test_a_ledger_survives_the_death_of_its_process_alone(ledger: Ledger) -> None:
    pragmas = ("locking_mode", "journal_mode", "synchronous")
    values = [ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert values == ["exclusive", "wal", 1]


def test_whoever_gave_up_waiting_keeps_nobody_from_an_answer(ledger: Ledger) -> None:
    async def scenario() -> list[str]:
        books = Books(ledger)
        tasks = [asyncio.create_task(charge(books, key)) for key in ("first", "second", "third")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return [entry.key for entry in await asyncio.gather(*tasks[1:])]

    assert run(scenario()) == ["second", "third"]
    assert [entry.key for entry in ledger.page(0, 9)] == ["first", "second", "third"]


def test_a_key_that_a_refund_closes_is_asked_for_again_whatever_the_request(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        task = asyncio.create_task(books.refund("o-1:refund", REFUND))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="o-1:charge is not final yet"):
            books.find("o-1:charge", "any")
        with pytest.raises(Problem, match="o-1:refund is not final yet"):
            books.find("o-1:refund", REFUND.fingerprint())
        with pytest.raises(Problem, match="o-1:refund was used for another request"):
            books.find("o-1:refund", "other")
        await task
        assert not books.is_running("o-1:charge")

    run(scenario())


def test_what_is_captured_is_given_back_once_under_whatever_key(ledger: Ledger) -> None:
    async def scenario() -> list[Entry]:
        books = Books(ledger)
        await charge(books)
        return [await books.refund(key, REFUND) for key in ("o-1:refund", "o-1:refund-2")]

    first, second = run(scenario())
    assert (first.amount, first.currency, first.status, first.reason) == (500, "EUR", "refunded", "cancelled")
    assert (second.amount, second.currency, second.status) == (0, None, "refunded")
    assert ledger.find_refund_of("o-1:charge") == first


def test_a_refund_of_a_refund_is_refused(ledger: Ledger) -> None:
    async def scenario() -> None:
        books = Books(ledger)
        await charge(books)
        await books.refund("o-1:refund", REFUND)
        with pytest.raises(Problem, match="o-1:refund is the key of a refund") as refused:
            await books.refund("o-1:again", REFUND.model_copy(update={"charge_key": "o-1:refund"}))
        assert (refused.value.status, refused.value.field) == (422, "charge_key")

    run(scenario())


def test_an_entry_says_what_was_booked_and_when(ledger: Ledger) -> None:
    async def scenario() -> tuple[Entry, Entry]:
        books = Books(ledger)
        with books.running("o-1:charge", "f"):
            booked = await books.charge("o-1:charge", CHARGE, "card declined")
        return booked, await books.refund("o-1:refund", REFUND)

    before = time.time_ns() // 1_000_000
    charged, refunded = run(scenario())
    after = time.time_ns() // 1_000_000

    assert before <= charged.at <= refunded.at <= after
    assert charged == Entry(
        1, "charge", "o-1:charge", CHARGE.fingerprint(), "o-1", 500, "EUR", "declined", "card declined",
        charged.entry_id, None, charged.at,
    )  # fmt: skip
    assert refunded == Entry(
        2, "refund", "o-1:refund", REFUND.fingerprint(), "o-1", 0, None, "refunded", "cancelled",
        refunded.entry_id, "o-1:charge", refunded.at,
    )  # fmt: skip
    assert [(len(each.entry_id), each.entry_id[:3]) for each in (charged, refunded)] == [(19, "ch_"), (19, "re_")]


@pytest.mark.parametrize(
    ("place", "words"), [("", "cannot be used (unable to open"), ("file/ledger.db", "cannot be used ([Errno")]
)
def test_a_ledger_that_cannot_be_opened_is_named_with_a_way_out(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError) as error:
        Ledger.open(tmp_path / place)
    assert f"the ledger {tmp_path / place} {words}" in str(error.value)
    assert str(error.value).endswith("): choose another file with --ledger")


@pytest.mark.parametrize(("status", "headers"), [(400, None), (409, "1"), (422, None), (500, None), (503, "1")])
def test_a_refusal_that_passes_says_when_to_ask_again(status: int, headers: str | None) -> None:
    response = Problem(status, "Title", "what to do").response()
    document = {"type": "about:blank", "title": "Title", "status": status, "detail": "what to do"}
    assert (response.status, response.headers.get("Retry-After")) == (status, headers)
    assert json.loads(response.text or "") == document


def test_equal_parts_at_other_places_are_another_request() -> None:
    other = CHARGE.model_copy(update={"order_id": "o-15", "amount": 0})
    assert len({CHARGE.fingerprint(), other.fingerprint(), REFUND.fingerprint()}) == 3
    assert all(len(each.fingerprint()) == 32 for each in (CHARGE, REFUND))


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
