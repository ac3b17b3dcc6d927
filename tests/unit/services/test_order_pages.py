"""What the pages of orders link to, and what is asked for of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.control_room.pages.order import _actions, _attachment, _link, _terms, _total, _trace_url, _url
from services.control_room.pages.orders import _chips, _conditions, _shortcuts
from services.control_room.pages.orders import _url as _list_url

LINES = [{"sku": "bolt", "quantity": 2, "unit_price": 250}]
TERMS = {"lines": LINES, "currency": "EUR"}


@pytest.mark.parametrize(
    ("where", "search", "conditions"),
    [
        ([], "", []),
        ([" ", "step=payment"], "", ["step=payment"]),
        ([], "o-1", ["order=*o-1*"]),
        ([], "  o-1   customer=c ", ["order=*o-1*", "customer=c"]),
        ([], "age>2h age<3h", ["age>2h", "age<3h"]),
        (["order=*o-1*"], "o-1", ["order=*o-1*"]),
    ],
)
def test_a_search_is_a_condition_like_any_other(where: list[str], search: str, conditions: list[str]) -> None:
    assert _conditions(where, search) == conditions


@pytest.mark.parametrize(
    ("pairs", "url"),
    [
        ([], "/orders"),
        ([("status", "completed")], "/orders?status=completed"),
        ([("where", "age>2h"), ("cursor", "a b")], "/orders?where=age%3E2h&cursor=a+b"),
    ],
)
def test_a_list_has_an_address_of_its_own(pairs: list[tuple[str, str]], url: str) -> None:
    assert _list_url(pairs) == url


def test_each_status_that_there_is_or_was_asked_for_is_a_link_that_sets_it_or_takes_it_back() -> None:
    chips = _chips({"completed": 2, "of_tomorrow": 1, "cancelled": 0}, ["compensating"], ["owed=true"])
    assert chips == [
        {"name": "all", "count": 3, "url": "/orders?where=owed%3Dtrue", "is_on": False},
        {"name": "completed", "count": 2, "url": "/orders?status=completed&where=owed%3Dtrue", "is_on": False},
        {"name": "compensating", "count": 0, "url": "/orders?where=owed%3Dtrue", "is_on": True},
        {"name": "of tomorrow", "count": 1, "url": "/orders?status=of_tomorrow&where=owed%3Dtrue", "is_on": False},
    ]
    assert _chips({}, [], [])[0] == {"name": "all", "count": 0, "url": "/orders", "is_on": True}
    two = _chips({}, ["completed", "cancelled"], [])
    assert [(chip["name"], chip["url"], chip["is_on"]) for chip in two[1:]] == [
        ("completed", "/orders?status=completed", True), ("cancelled", "/orders?status=cancelled", True),
    ]  # fmt: skip


def test_each_flag_is_a_link_that_sets_it_or_takes_it_back() -> None:
    counts: Any = {"paused_by": {"operator ann": 2, "step payment": 1, "": 7}, "owed": {"": 3}}
    shortcuts = {each["name"]: each for each in _shortcuts(["paused=true", "step=payment"], counts)}
    assert list(shortcuts) == ["paused", "overdue", "owing", "express"]
    assert shortcuts["paused"] == {
        "name": "paused", "count": 3, "is_on": True, "url": "/orders?where=step%3Dpayment",
    }  # fmt: skip
    assert (shortcuts["owing"]["count"], shortcuts["owing"]["is_on"]) == (0, False)
    assert shortcuts["express"]["url"] == "/orders?where=paused%3Dtrue&where=step%3Dpayment&where=speed%3Dexpress"


def history(state: dict[str, Any], *fields: dict[str, Any]) -> Any:
    return SimpleNamespace(state=state, lines=[SimpleNamespace(entry=SimpleNamespace(fields=each)) for each in fields])


@pytest.mark.parametrize(
    ("known", "terms"),
    [
        (history({"order": TERMS}, {"lines": [], "currency": "JPY"}), TERMS),
        (history({}, {"lines": LINES}, {"currency": "EUR"}, TERMS, {**TERMS, "currency": "JPY"}), TERMS),
        (history({"order": None}, {"amount": 1}), {}),
        (history({}), {}),
    ],
)
def test_terms_are_those_of_the_state_or_of_the_first_message_that_has_them(known: Any, terms: dict[str, Any]) -> None:
    assert _terms(known) == terms
    money = _total(terms)
    assert (money and (money.amount, money.currency)) == ((500, "EUR") if terms else None)


@pytest.mark.parametrize(
    ("verb", "subject", "url"),
    [
        ("redrive", "order.dead-letter/0/1", "/dead-letters/order.dead-letter/0/1"),
        ("discard", "a/0/1", "/dead-letters/act?verb=discard&place=a%2F0%2F1"),
        ("retry_parked", "o/1", "/parked/act?verb=retry&key=o%2F1"),
        ("end_pause", "step payment", "/pauses/act?verb=end&scope=step&name=payment"),
        ("look", "order", "/consumers?service=order"),
        ("look_at_outage", "order", "/incidents"),
        ("resume", "o/1", "/orders/o%2F1/resume"),
    ],
)
def test_an_action_of_a_diagnosis_leads_to_its_page(verb: Any, subject: str, url: str) -> None:
    action: Any = SimpleNamespace(verb=verb, subject=subject)
    assert {_link(action, is_demo=is_demo) for is_demo in (True, False)} == {url}


def test_a_service_is_started_where_a_demonstration_can_do_that() -> None:
    action: Any = SimpleNamespace(verb="start", subject="order")
    assert (_link(action, is_demo=True), _link(action, is_demo=False)) == ("/provoke", "/consumers?service=order")


@pytest.mark.parametrize("state", [{}, {"status": "placeholder"}])
def test_nothing_is_done_to_an_order_that_nobody_has_placed(state: dict[str, Any]) -> None:
    assert _actions("o-1", state) == []


def test_a_trace_is_linked_where_there_is_one_and_where_it_can_be_shown() -> None:
    row: Any = SimpleNamespace(line=SimpleNamespace(entry=SimpleNamespace(trace="a/b")))
    bare: Any = SimpleNamespace(line=None)
    template = "http://traces/{trace_id}"
    assert [_trace_url(template, each) for each in (row, bare, None)] == ["http://traces/a%2Fb", "", ""]
    assert _trace_url("", row) == ""


def test_an_order_has_an_address_with_what_is_shown_of_it() -> None:
    assert _url("o/1") == "/orders/o%2F1"
    assert _url("o-1", message="a/0/1") == "/orders/o-1?message=a%2F0%2F1"
    assert _url("o-1", message="m", full=True) == "/orders/o-1?message=m&full=true"
    assert _attachment("o/1", "svg") == {"Content-Disposition": "attachment; filename*=UTF-8''o%2F1.svg"}
