"""The payment sandbox as its callers meet it: behind HTTP."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import uuid4

import pytest

from services.payment_sandbox.ledger import Ledger
from tests.support.sandbox_process import Answer, Sandbox, sandbox_on_thread

GOOD = {"order_id": "o-1", "amount": 500, "currency": "EUR", "payment_token": "tok_approve"}
GOOD_REFUND = {"order_id": "o-1", "charge_key": "o-1:charge", "reason": "cancelled"}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox_on_thread(tmp_path / "ledger.db", hang_s=1, late_ms=600) as served:
        yield served


@pytest.fixture
def slow_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One whose late charges are pending for as long as a test takes."""
    with sandbox_on_thread(tmp_path / "ledger.db", hang_s=1, late_ms=600_000) as served:
        yield served


@pytest.fixture
def order_id() -> str:
    return f"order-{uuid4().hex}"


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


def assert_problem(answer: Answer, status: int, field: str | None) -> None:
    assert (answer.status, answer.document.get("field")) == (status, field)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.document["title"]
    assert answer.document["detail"]


def _wait_until(condition: Any, limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_a_repeat_is_answered_with_the_first_result(sandbox: Sandbox, order_id: str) -> None:
    first, repeat = sandbox.charge(order_id), sandbox.charge(order_id)
    assert (first.status, repeat.status) == (201, 200)
    assert repeat.document == first.document
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert sandbox.entries_of(order_id) == [("charge", "captured", 500)]


def test_a_repeated_refund_is_answered_with_the_first_result(sandbox: Sandbox, order_id: str) -> None:
    sandbox.charge(order_id)
    first, repeat = sandbox.refund(order_id), sandbox.refund(order_id, reason="in other words")
    assert (first.status, repeat.status, repeat.document) == (201, 200, first.document)
    assert repeat.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("token", [None, "tok_declined"])
def test_a_refund_of_what_was_not_captured_gives_nothing_back_and_closes_the_key(
    sandbox: Sandbox, order_id: str, token: str | None
) -> None:
    if token:
        sandbox.charge(order_id, token)
    assert sandbox.refund(order_id).document["amount"] == 0
    assert sandbox.charge(order_id, token or "tok_approve").document["status"] == "declined"


def test_a_quoted_key_is_the_same_key(sandbox: Sandbox, order_id: str) -> None:
    sandbox.charge(order_id)
    body = {**GOOD, "order_id": order_id}
    assert sandbox.send("POST", "/v1/charges", key=f'"{order_id}:charge"', body=body).status == 200


def test_a_key_with_another_payload_is_refused(sandbox: Sandbox, order_id: str) -> None:
    sandbox.charge(order_id)
    assert_problem(sandbox.charge(order_id, amount=501), 422, "Idempotency-Key")


def test_a_refund_under_the_charges_own_key_is_refused(sandbox: Sandbox, order_id: str) -> None:
    body = {**GOOD_REFUND, "charge_key": order_id}
    assert_problem(sandbox.send("POST", "/v1/refunds", key=order_id, body=body), 422, "charge_key")


def test_a_refund_of_another_orders_charge_is_refused(sandbox: Sandbox, order_id: str) -> None:
    sandbox.charge(order_id)
    body = {**GOOD_REFUND, "charge_key": f"{order_id}:charge"}
    assert_problem(sandbox.send("POST", "/v1/refunds", key="any", body=body), 422, "order_id")


def test_a_late_charge_is_pending_until_it_is_booked(sandbox: Sandbox, order_id: str) -> None:
    assert sandbox.charge(order_id, "tok_late").status == 202
    _wait_until(lambda: sandbox.refund(order_id).status != 409)
    assert sandbox.entries_of(order_id) == [("charge", "captured", 500), ("refund", "refunded", 500)]


def test_a_pending_charge_holds_its_key_and_its_payload(slow_sandbox: Sandbox, order_id: str) -> None:
    pending = {"status": "pending", "key": f"{order_id}:charge"}
    assert slow_sandbox.charge(order_id, "tok_late").document == pending
    again = slow_sandbox.charge(order_id, "tok_late")
    assert_problem(again, 409, None)
    assert again.headers["Retry-After"] == "1"
    assert_problem(slow_sandbox.refund(order_id), 409, None)
    assert_problem(slow_sandbox.charge(order_id, "tok_late", amount=1), 422, "Idempotency-Key")
    found = slow_sandbox.send("GET", f"/v1/charges/{order_id}:charge")
    assert (found.status, found.document) == (202, pending)


def test_concurrent_repeats_book_once(sandbox: Sandbox, order_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = {answer.status for answer in pool.map(lambda _: sandbox.charge(order_id), range(32))}
    assert statuses <= {200, 201, 409}
    assert sandbox.entries_of(order_id) == [("charge", "captured", 500)]


def test_refund_and_charge_at_once_end_with_nothing_captured(sandbox: Sandbox) -> None:
    orders = [uuid4().hex for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        charges = [pool.submit(sandbox.charge, order) for order in orders]
        refunds = [pool.submit(sandbox.refund, order) for order in orders]
        assert {task.result(20).status for task in charges + refunds} <= {201, 409}
    for order in orders:
        sandbox.refund(order)
        booked = sandbox.entries_of(order)
        captured = sum(amount for _, status, amount in booked if status == "captured")
        assert captured == sum(amount for _, status, amount in booked if status == "refunded")


@pytest.mark.parametrize(
    ("token", "statuses"),
    [
        ("tok_approve", [201, 200]),
        ("tok_declined", [201, 200]),
        ("tok_fail_once", [500, 201]),
        ("tok_hang", [503, 200]),
        ("tok_hang_always", [503, 503]),
        ("tok_error", [500, 500]),
        ("tok_of_nobody", [201, 200]),
    ],
)
def test_a_token_answers_as_documented(sandbox: Sandbox, order_id: str, token: str, statuses: list[int]) -> None:
    assert [sandbox.charge(order_id, token).status for _ in statuses] == statuses


def test_a_hanging_charge_gives_no_answer_although_it_is_booked(sandbox: Sandbox, order_id: str) -> None:
    with pytest.raises(TimeoutError):
        replace(sandbox, timeout_s=0.4).charge(order_id, "tok_hang")
    assert sandbox.send("GET", f"/v1/charges/{order_id}:charge").document["status"] == "captured"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{not json", "body"),
        (b"\xff\xfe", "body"),
        (b"[]", "body"),
        (without("order_id"), "order_id"),
        (without("payment_token"), "payment_token"),
        ({**GOOD, "order_id": "-no"}, "order_id"),
        ({**GOOD, "amount": 0}, "amount"),
        ({**GOOD, "amount": -5}, "amount"),
        ({**GOOD, "amount": 10**15 + 1}, "amount"),
        ({**GOOD, "amount": 10**30}, "amount"),
        ({**GOOD, "amount": 5.5}, "amount"),
        ({**GOOD, "amount": "5"}, "amount"),
        ({**GOOD, "amount": True}, "amount"),
        ({**GOOD, "currency": "euro"}, "currency"),
        ({**GOOD, "payment_token": ""}, "payment_token"),
        ({**GOOD, "card": "4242"}, "card"),
    ],
)
def test_a_bad_charge_names_its_field(sandbox: Sandbox, body: Any, field: str) -> None:
    assert_problem(sandbox.send("POST", "/v1/charges", key="bad", body=body), 400, field)


def test_a_bad_refund_names_its_field(sandbox: Sandbox) -> None:
    body = {**GOOD_REFUND, "charge_key": "with space"}
    assert_problem(sandbox.send("POST", "/v1/refunds", key="bad", body=body), 400, "charge_key")


@pytest.mark.parametrize("key", [None, "", '""', "with space", "x" * 201])
def test_a_bad_key_is_named(sandbox: Sandbox, key: str | None) -> None:
    assert_problem(sandbox.send("POST", "/v1/charges", key=key, body=GOOD), 400, "Idempotency-Key")


def test_a_large_body_is_refused(sandbox: Sandbox) -> None:
    assert_problem(sandbox.send("POST", "/v1/charges", key="big", body=b" " * 20_000), 413, "body")


@pytest.mark.parametrize(
    ("query", "field"), [("after=x", "after"), ("after=-1", "after"), ("limit=0", "limit"), ("a=1", "a")]
)
def test_a_bad_ledger_query_names_its_parameter(sandbox: Sandbox, query: str, field: str) -> None:
    assert_problem(sandbox.send("GET", f"/v1/ledger?{query}"), 400, field)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v2", 404), ("PUT", "/v1/charges", 405), ("GET", "/v1/charges/none", 404)]
)
def test_an_unknown_request_is_a_problem(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    answer = sandbox.send(method, path)
    assert_problem(answer, status, answer.document.get("field"))


@pytest.mark.parametrize("body", [{}, {"mode": "sideways"}])
def test_a_bad_outage_names_its_field(sandbox: Sandbox, body: dict[str, str]) -> None:
    assert_problem(sandbox.send("POST", "/admin/outage", body=body), 400, "mode")


@pytest.mark.parametrize(("mode", "status"), [("down", 503), ("error", 500), ("hang", 503)])
def test_an_outage_books_nothing_and_can_be_ended(sandbox: Sandbox, order_id: str, mode: str, status: int) -> None:
    sandbox.send("POST", "/admin/outage", body={"mode": mode})
    assert_problem(sandbox.charge(order_id), status, None)
    assert sandbox.send("GET", "/livez").status == 200
    assert sandbox.entries_of(order_id) == []
    sandbox.send("POST", "/admin/outage", body={"mode": "up"})
    assert sandbox.charge(order_id).status == 201


def test_refunds_alone_can_be_refused_for_good(sandbox: Sandbox, order_id: str) -> None:
    sandbox.send("POST", "/admin/outage", body={"mode": "no_refunds"})
    assert sandbox.charge(order_id).status == 201
    assert_problem(sandbox.refund(order_id), 422, None)
    assert [kind for kind, *_ in sandbox.entries_of(order_id)] == ["charge"]
    sandbox.send("POST", "/admin/outage", body={"mode": "up"})
    assert sandbox.refund(order_id).status == 201


def test_a_limited_outage_ends_by_itself(sandbox: Sandbox) -> None:
    ordered = sandbox.send("POST", "/admin/outage", body={"mode": "down", "for_s": 0.2}).document
    assert 0 < ordered["for_s"] <= 0.2
    _wait_until(lambda: sandbox.send("GET", "/admin/outage").document["mode"] == "up")


def test_the_ledger_is_read_in_pages(sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.charge(uuid4().hex)
    first = sandbox.send("GET", "/v1/ledger?limit=2").document
    second = sandbox.send("GET", f"/v1/ledger?limit=1&after={first['next']}").document
    assert [entry["seq"] for entry in first["entries"] + second["entries"]] == [1, 2, 3]
    assert second["next"] == 3
    rest = sandbox.send("GET", "/v1/ledger?after=3&limit=10000").document
    assert rest["next"] is None


def test_a_charge_and_its_refund_are_told_and_listed_in_full(sandbox: Sandbox, order_id: str) -> None:
    charge, refund = sandbox.charge(order_id), sandbox.refund(order_id)
    key, booked = f"{order_id}:charge", {"amount": 500, "currency": "EUR", "order_id": order_id}
    ids = charge.document["charge_id"], refund.document["refund_id"]
    assert charge.document == {"status": "captured", "charge_id": ids[0], "reason": None, **booked}
    assert refund.document == {"status": "refunded", "refund_id": ids[1], "charge_key": key, **booked}
    assert sandbox.send("GET", f"/v1/charges/{key}") == replace(charge, status=200, headers=ANY)
    assert "Idempotent-Replayed" not in charge.headers | refund.headers

    lines = [each for each in sandbox.send("GET", "/v1/ledger?limit=10000").document["entries"] if each["id"] in ids]
    assert [each.pop("seq") + 1 for each in lines[:1]] == [each.pop("seq") for each in lines[1:]]
    assert lines == [
        {"kind": "charge", "key": key, "status": "captured", "reason": None, "id": ids[0], "charge_key": None,
         "at": lines[0]["at"], **booked},
        {"kind": "refund", "key": f"{order_id}:refund", "status": "refunded", "reason": "cancelled", "id": ids[1],
         "charge_key": key, "at": lines[1]["at"], **booked},
    ]  # fmt: skip


def test_the_key_of_a_refund_is_no_charge(sandbox: Sandbox, order_id: str) -> None:
    sandbox.refund(order_id)
    assert_problem(sandbox.send("GET", f"/v1/charges/{order_id}:refund"), 404, "key")


def test_a_sandbox_that_ends_books_what_it_promised_and_answers_whoever_hangs(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with sandbox_on_thread(tmp_path / "ledger.db", hang_s=600, late_ms=600_000) as ending:
            assert ending.charge("o-1", "tok_late").status == 202
            hanging = pool.submit(replace(ending, timeout_s=60).charge, "o-2", "tok_hang")
            _wait_until(lambda: ending.entries_of("o-2"))
            assert ending.entries_of("o-1") == []
        assert_problem(hanging.result(60), 503, None)
    ledger = Ledger.open(tmp_path / "ledger.db")
    booked = [(entry.order_id, entry.status) for entry in ledger.page(0, 9)]
    ledger.close()
    assert booked == [("o-2", "captured"), ("o-1", "captured")]
