"""How orders stand, what a report says of them, and what is read from names, headers and keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.order_case import case, evidence, message, parked, seen, state_note
from verifier.case import Case
from verifier.facts import OpenOrder, Position, Violation
from verifier.flow import MESSAGE_TOPICS, ORDER_EVENTS
from verifier.judgement import as_violations, check_expected, judge
from verifier.report import Findings, Report, as_document
from verifier.runtime_formats import ParkedKey, describe_pause, read_dead_letter, read_parked_key
from verifier.storage import NO_ORDER
from verifier.warehouses import Warehouse

PLACED = message("OrderPlaced", 1, topic=ORDER_EVENTS, fields={"lines": [], "currency": "EUR"})
COMPLETED = message("OrderCompleted", 5, topic=ORDER_EVENTS)
CANCELLED = message("OrderCancelled", 6, topic=ORDER_EVENTS)
SAW = [seen("m-1", 1_001)]
CUT = {"firsts": {(ORDER_EVENTS, 0): 5}, "first_times": {(ORDER_EVENTS, 0): 9_000}}


def stands(status: str, **fields: Any) -> Any:
    return state_note(status=status, seen=SAW, **fields)


def findings_of(of: Case) -> Findings:
    return judge([of], lambda _: None, has_provider=False)


REQUESTED = message("PlaceOrder", 9, topic="orders.commands")
WAITING: dict[str, Any] = {"step": "payment", "expected": ("PaymentConfirmed", "PaymentDeclined"), "due_at": 7}
PARKED_TWICE = (
    "PaymentConfirmed or PaymentDeclined; something of it is parked at order; something of it is parked at payment"
)
PAUSED = {"paused_since": 5, "paused_by": "operator ann", "paused_reason": "audit"}


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (case(REQUESTED), [OpenOrder("o-1", "requested", None, f"order to read {REQUESTED}", None)]),
        (case(REQUESTED, REQUESTED._replace(offset=8)), []),
        (case(REQUESTED._replace(offset=8), REQUESTED),
         [OpenOrder("o-1", "requested", None, f"order to read {REQUESTED}", None)]),
        (case(PLACED, COMPLETED), []),
        (case(PLACED, CANCELLED), []),
        (case(PLACED, notes=(stands("compensation_failed", owed=("payment",)),)), []),
        (case(PLACED), [OpenOrder("o-1", "placed", None, f"nothing known: orchestrator has read {PLACED}", None)]),
        (case(PLACED._replace(offset=9)),
         [OpenOrder("o-1", "placed", None, f"orchestrator to read {PLACED._replace(offset=9)}", None)]),
        (case(PLACED, notes=(stands("payment_pending", **WAITING),)),
         [OpenOrder("o-1", "payment_pending", "payment", "PaymentConfirmed or PaymentDeclined", 7)]),
        (case(PLACED, notes=(stands("fulfilled"),)), [OpenOrder("o-1", "fulfilled", None, "nothing", None)]),
        (case(PLACED, notes=(stands("payment_pending", **WAITING), parked("payment", 3), parked("order", 3))),
         [OpenOrder("o-1", "payment_pending", "payment", PARKED_TWICE, 7)]),
        (case(PLACED, notes=(stands("fulfilled", **PAUSED),)),
         [OpenOrder("o-1", "fulfilled", None, "nothing (paused by operator ann: audit)", None, "operator ann: audit")]),
        (case(PLACED, notes=(stands("completed"),)),
         [OpenOrder("o-1", "completed", None, "the order service, which has yet to close it", None)]),
        (case(PLACED, notes=(stands("cancelled"),), of=evidence(**CUT)), []),
        *((case(PLACED, message(kind, 2), notes=(stands("cancelled"),), of=evidence(**CUT)),
           [OpenOrder("o-1", "cancelled", None, "the order service, which has yet to close it", None)])
          for kind in ("CompleteOrder", "CancelOrder")),
    ],
)  # fmt: skip
def test_an_order_that_is_open_says_what_it_waits_for(of: Case, expected: list[OpenOrder]) -> None:
    assert findings_of(of).open_orders == expected


@pytest.mark.parametrize(
    ("of", "counted"),
    [
        (case(PLACED, COMPLETED), {"orders": 1, "completed": 1, "ended": 1}),
        (case(PLACED, CANCELLED), {"orders": 1, "cancelled": 1, "ended": 1}),
        (case(PLACED), {"orders": 1}),
        (case(PLACED, notes=(stands("fulfilled", **PAUSED),)), {"orders": 1, "ended": 1}),
        (case(PLACED, of=evidence(**CUT)), {"orders": 1, "incomplete": 1}),
        (case(of=evidence(**CUT)), {}),
        (case(REQUESTED), {}),
        (case(COMPLETED), {}),
        (case(PLACED, subject=f"{NO_ORDER}x"), {}),
    ],
)
def test_accepted_orders_are_counted_by_how_they_ended(of: Case, counted: dict[str, int]) -> None:
    assert +findings_of(of).counted == Counter(counted)


def test_what_an_order_owes_whose_compensation_failed_is_told() -> None:
    owing = {"owed": ("payment", "shipment")}
    assert findings_of(case(PLACED, notes=(stands("compensation_failed", **owing),))).owing == {
        "o-1": ("payment", "shipment")
    }
    assert findings_of(case(PLACED, notes=(stands("compensating", **owing),))).owing == {}


def test_findings_are_of_the_order_unless_they_name_something_else() -> None:
    found: list[Any] = ["is wrong", (Position("t", 1, 2), "is garbage")]
    assert list(as_violations("money", "o-1", found)) == [
        Violation("money", "o-1", "is wrong"), Violation("money", "t[1]@2", "is garbage"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("accepted", "ended", "words"),
    [
        (3, 3, []),
        (2, 2, ["3 orders were expected, 2 are accepted"]),
        (4, 4, ["3 orders were expected, 4 are accepted"]),
        (3, 1, ["2 of 3 orders have not ended"]),
        (2, 1, ["3 orders were expected, 2 are accepted", "1 of 2 orders have not ended"]),
    ],
)
def test_so_many_orders_as_expected_are_accepted_and_have_ended(accepted: int, ended: int, words: list[str]) -> None:
    findings = Findings(counted=Counter(orders=accepted, ended=ended))
    assert list(check_expected(findings, 3)) == [Violation("endings", "all orders", each) for each in words]


def test_what_two_processes_have_found_is_added_up() -> None:
    order = OpenOrder("o-1", "placed", None, "x", None)
    one, other = (
        Findings(
            [Violation("money", name, "w")], Counter(a=1), Counter(b=2), Counter(c=3), [order], {name: ("payment",)}
        )
        for name in ("o-1", "o-2")
    )
    one.merge(other)
    assert [each.subject for each in one.violations] == ["o-1", "o-2"]
    assert (one.messages, one.types, one.counted) == (Counter(a=2), Counter(b=4), Counter(c=6))
    assert (one.open_orders, one.owing) == ([order, order], {"o-1": ("payment",), "o-2": ("payment",)})
    assert Findings().messages.keys() == set(MESSAGE_TOPICS)


WRONG, OPEN = Violation("money", "o-1", "w"), OpenOrder("o-1", "placed", None, "x", None)


@pytest.mark.parametrize(
    ("report", "exit_code", "verdict"),
    [
        (Report(counted={"orders": 2}), 0, "clean: 2 orders"),
        (Report(counted={"orders": 2}, open_orders=(OPEN, OPEN._replace(paused="ann"))), 0,
         "clean: 2 orders, 2 still open (1 paused)"),
        (Report(counted={"orders": 2}, open_orders=(OPEN,)), 0, "clean: 2 orders, 1 still open"),
        (Report(counted={"orders": 2}, problems=("no",)), 5,
         "not checked in full: nothing wrong in what was checked of 2 orders"),
        (Report(problems=("no",)), 5, "not checked"),
        (Report(violations=(WRONG,), problems=("no",)), 1, "1 violation"),
        (Report(violations=(WRONG, WRONG)), 1, "2 violations"),
    ],
)  # fmt: skip
def test_a_report_has_a_verdict_and_an_exit_code(report: Report, exit_code: int, verdict: str) -> None:
    document = as_document(report)
    assert (report.exit_code, report.verdict) == (exit_code, verdict)
    assert (document["exit_code"], document["verdict"], document["clean"]) == (exit_code, verdict, exit_code == 0)
    assert (report.violations_of("money"), report.violations_of("stock")) == (len(report.violations), 0)


# -- names, headers and keys --------------------------------------------------------------------------------------

AT = Position("payment.dead-letter", 1, 5)
SAID = [("__streams.errors.topic", b"payments.commands"), ("__streams.errors.partition", b"1"),
        ("__streams.errors.offset", b"7")]  # fmt: skip


def test_a_dead_letter_is_read_from_its_headers() -> None:
    redriven = ("ensemble.redriven-from", b"x")
    letter = read_dead_letter(AT, [*SAID, redriven, redriven, ("ce_id", b"m-1"), ("ensemble.disposition", b"skip")])
    assert (letter.position, letter.service, letter.source) == (AT, "payment", Position("payments.commands", 1, 7))
    assert (letter.generation, letter.message_id, letter.disposition, letter.holds_back) == (2, "m-1", "skip", False)
    for disposition, holds_back in ((b"dead_letter", True), (b"compensate", True), (None, False), (b"", False)):
        assert read_dead_letter(AT, [("ensemble.disposition", disposition)]).holds_back is holds_back
    assert read_dead_letter(AT, SAID).message_id == "payments.commands/1/7"


@pytest.mark.parametrize(
    "broken", [[], SAID[:2], [*SAID, ("__streams.errors.offset", b"x")], [*SAID[1:], (SAID[0][0], b"\xff")]]
)
def test_a_dead_letter_without_an_origin_has_none(broken: Any) -> None:
    letter = read_dead_letter(AT, broken)
    assert (letter.source, letter.message_id, letter.generation, letter.disposition) == (None, "", 0, "skip")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"key/o-1/a", ParkedKey("key", "o-1/a")),
        (b"record/o-1/a/12", ParkedKey("record", "o-1/a", 12)),
        (b"mark/t/1/7/2/o-1/a", ParkedKey("mark", "o-1/a", 2, Position("t", 1, 7))),
        (b"pause/step/payment", None),
        (b"done/op-1", None),
    ],
)
def test_a_key_of_parked_records_is_of_one_of_three_sorts(raw: bytes, expected: ParkedKey | None) -> None:
    assert read_parked_key(raw) == expected


def test_a_pause_says_by_whom_and_why() -> None:
    assert describe_pause({}) == ""
    assert describe_pause({"paused_since": None, "paused_by": "ann"}) == ""
    assert describe_pause({"paused_since": 0, "paused_by": "ann", "paused_reason": "audit"}) == "ann: audit"
    assert describe_pause({"paused_since": 1}) == "nobody known: no reason given"


# -- warehouses ---------------------------------------------------------------------------------------------------


def booked(
    warehouse: Warehouse, kind: str, sequence: int, quantity: int = 5, *, sku: str = "tea"
) -> list[tuple[str, str]]:
    fact = message(kind, sequence, topic="inventory.ledger")
    fields = {"warehouse_id": "w-1", "sequence": sequence, "sku": sku, "quantity": quantity}
    return [(each.subject, each.words.removeprefix(f"{fact} ")) for each in warehouse.take(fact, fields)]


def test_a_warehouse_is_the_sum_of_its_facts() -> None:
    warehouse = Warehouse()
    for sequence, kind in enumerate(("Received", "Reserved", "Released", "Reserved", "Dispatched"), start=1):
        assert booked(warehouse, f"Stock{kind}", sequence, 2) == []
    assert (warehouse.levels, warehouse.sequence) == ({"tea": (0, 0, 2)}, 5)
    assert booked(warehouse, "ReservationClosed", 6) == []
    assert warehouse.sequence == 6


def test_a_gap_and_stock_that_is_not_there_are_told_once() -> None:
    warehouse = Warehouse()
    assert booked(warehouse, "StockReceived", 2) == [("w-1", "has sequence 2 after 0")]
    assert booked(warehouse, "StockReserved", 3, 6) == [("w-1/tea", "leaves -1 pieces on hand")]
    assert booked(warehouse, "StockReleased", 4, 1) == [], "it is more than before"
    assert booked(warehouse, "StockDispatched", 5, 7) == [("w-1/tea", "leaves -2 pieces reserved")]
    assert booked(warehouse, "StockReceived", 5) == [("w-1", "has sequence 5 after 5")]


def test_a_snapshot_is_compared_with_the_facts_up_to_it() -> None:
    warehouse = Warehouse(claimed_levels={"tea": (4, 0, 0), "cup": (1, 0, 0), "pot": (0, 0, 0)}, claimed_sequence=2)
    assert booked(warehouse, "StockReceived", 1) == []
    rest = "0 reserved, 0 dispatched"
    told = booked(warehouse, "StockReceived", 2, 1, sku="pan")
    says = "the ledger says {} on hand, {rest}; inventory's own snapshot {} on hand, {rest}"
    assert sorted(told) == [
        (f"w-1/{sku}", f"after 2 facts {says.format(ours, theirs, rest=rest)}")
        for sku, ours, theirs in (("cup", 0, 1), ("pan", 1, 0), ("tea", 5, 4))
    ]
    assert booked(warehouse, "StockReceived", 3) == []
