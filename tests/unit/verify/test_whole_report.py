"""The whole report of a check, what a process of it hands over, and the values that all rules rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ensemble.command_line.connection import sources
from tests.support.order_case import case, message
from tests.support.recorded_flow.cluster import READ_AT, RecordedCluster
from tests.support.recorded_flow.orders import asked_for_payment, clean_flow, place
from tests.support.recorded_flow.parking import park
from verifier import Options, Report, as_document, verify
from verifier.evidence import Evidence
from verifier.facts import Booking, DeadLetter, Message, OpenOrder, Position, Violation
from verifier.flow import STEPS
from verifier.judgement import judge
from verifier.provider import _booking
from verifier.reader import _progress
from verifier.report import Findings
from verifier.run import Verification, settle
from verifier.storage import NO_ORDER, Files, Storage, read_rows
from verifier.work import Work, _load, _shares

EVENTS = "orders.events"
WRONG = Violation("money", "o-1", "was charged 2 times")
OPEN = OpenOrder("o-9", "fulfilled", "shipment", "ShipmentScheduled", 500)
COUNTED = {
    "orders": 4, "completed": 2, "cancelled": 2, "compensation failed": 0, "open": 0, "paused": 0, "messages": 72,
    "captures": 3, "refunds": 1, "stock lines reserved": 6, "stock lines released": 2, "stock lines dispatched": 4,
    "warehouses": 1, "dead letters": 1, "records parked": 0,
}  # fmt: skip
MESSAGES = {
    "inventory.commands": 8, "inventory.events": 4, "inventory.ledger": 14, "orchestrator.commands": 1,
    "orchestrator.events": 0, "orders.commands": 10, "orders.events": 9, "payments.commands": 9, "payments.events": 5,
    "shipping.commands": 6, "shipping.events": 6,
}  # fmt: skip


def report_of(cluster: RecordedCluster, **options: Any) -> Report:
    return verify(cluster, lambda: tuple(cluster.flow.bookings), Options(**options))


def test_the_report_of_a_clean_cluster_has_all_that_was_counted() -> None:
    flow = clean_flow()
    report = report_of(RecordedCluster(flow=flow), expect_orders=4)
    assert list(report.counted or {}) == list(COUNTED)
    assert {at: end for at, end in report.cut.items() if end} == flow.ends
    assert as_document(report) | {"cut": {}} == {
        "verdict": "clean: 4 orders", "clean": True, "exit_code": 0, "read_at": READ_AT, "counted": COUNTED,
        "messages": MESSAGES, "violations": [], "open_orders": [], "compensation_failed": {}, "cut": {}, "problems": [],
        "unchecked": [], "notes": [],
    }  # fmt: skip


def test_what_is_under_way_waits_or_is_owed_is_counted() -> None:
    flow = clean_flow()
    park(flow, asked_for_payment(flow, place(flow, "o-new")), "retrying")
    flow.last("OrderState", "o-undone").fields |= {"status": "compensation_failed", "owed": ["payment"]}
    counted = dict(report_of(RecordedCluster(flow=flow)).counted or {})
    changed = {name: count for name, count in counted.items() if count != COUNTED[name]}
    assert changed == {"orders": 5, "compensation failed": 1, "open": 1, "messages": 75, "records parked": 1}


@pytest.mark.parametrize(
    ("changes", "verdict", "exit_code"),
    [
        ({}, "clean: 4 orders", 0),
        ({"open_orders": (OPEN,)}, "clean: 4 orders, 1 still open", 0),
        ({"open_orders": (OPEN, OPEN._replace(paused="trial"))}, "clean: 4 orders, 2 still open (1 paused)", 0),
        ({"problems": ("x",)}, "not checked in full: nothing wrong in what was checked of 4 orders", 5),
        ({"problems": ("x",), "counted": None}, "not checked", 5),
        ({"violations": (WRONG,), "problems": ("x",)}, "1 violation", 1),
        ({"violations": (WRONG, WRONG)}, "2 violations", 1),
    ],
)
def test_the_verdict_is_one_sentence(changes: dict[str, Any], verdict: str, exit_code: int) -> None:
    report = Report(**{"counted": COUNTED} | changes)
    assert (report.verdict, report.exit_code) == (verdict, exit_code)
    assert (report.violations_of("money"), report.violations_of("stock")) == (len(report.violations), 0)


def test_a_document_has_everything_in_plain_values() -> None:
    report = Report(
        read_at=5, counted={"orders": 1}, messages={"a": 2}, violations=(WRONG,), open_orders=(OPEN,),
        owing={"o-1": ("payment",)}, cut={("b", 1): 3, ("a", 0): 4, ("b", 0): 5}, problems=("p",),
        unchecked=frozenset({"stock", "money"}), notes=("n",),
    )  # fmt: skip
    document = as_document(report)
    assert document | {"open_orders": []} == {
        "verdict": "1 violation", "clean": False, "exit_code": 1, "read_at": 5, "counted": {"orders": 1},
        "messages": {"a": 2}, "violations": [{"check": "money", "subject": "o-1", "words": "was charged 2 times"}],
        "open_orders": [], "compensation_failed": {"o-1": ["payment"]}, "cut": {"a": {"0": 4}, "b": {"0": 5, "1": 3}},
        "problems": ["p"], "unchecked": ["money", "stock"], "notes": ["n"],
    }  # fmt: skip
    assert [list(document["cut"]), document["open_orders"]] == [["a", "b"], [OPEN._asdict()]]


# -- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ({}, 2, [[], []]),
        ({0: 5}, 1, [[0]]),
        ({0: 1, 1: 9, 2: 4, 3: 4}, 2, [[1], [2, 3, 0]]),
        ({0: 3, 1: 3, 2: 3}, 3, [[0], [1], [2]]),
    ],
)
def test_partitions_are_shared_so_that_each_process_has_about_as_much(
    sizes: dict[int, int], count: int, expected: list[list[int]]
) -> None:
    firsts = {(EVENTS, partition): 100 for partition in sizes if partition != 3}
    ends = {(EVENTS, partition): size + firsts.get((EVENTS, partition), 0) for partition, size in sizes.items()}
    shares = _shares(firsts, ends, count)
    assert [[partition for _, partition in share] for share in shares] == expected
    assert {at: end for share in shares for at, end in share.items()} == ends


def test_a_process_hands_over_what_it_found_but_for_the_letters_that_the_other_knows(tmp_path: Path) -> None:
    flow = clean_flow()
    source = RecordedCluster(flow=flow)
    work = Work(source, (sources(),), Files(tmp_path, 2, 3), None)
    places = list(source.flow.ends)
    evidence = Evidence(source.now(), source.partitions(), source.ends(places), dict(source.firsts(places)))
    evidence.add_letter(DeadLetter(Position("order.dead-letter", 0, 0), "order", Position(EVENTS, 0, 1)))
    share = {at: end for at, end in source.ends(places).items() if at[0] == EVENTS}

    found, findings = _load(work, 1, evidence, share)

    assert (found.letters, found.warehouses, found.cut) == ([], {}, evidence.cut)
    assert len(evidence.letters) == 1
    assert findings.messages[EVENTS] == sum(findings.messages.values()) == 9
    subjects = [subject for number in range(3) for subject, *_ in read_rows(work.files, number, 3)]
    assert sorted(subjects) == sorted({record.fields["order_id"] for record in flow.records if record.at[0] == EVENTS})
    assert source.reads == [[EVENTS]]


def test_findings_of_two_processes_are_added_up() -> None:
    one, other = Findings([WRONG]), Findings([WRONG, WRONG])
    for findings, count in ((one, 1), (other, 2)):
        findings.messages[EVENTS], findings.types["X"], findings.counted["orders"] = count, count, count
        findings.open_orders, findings.owing = [OPEN] * count, {f"o-{count}": ("payment",)}
    one.merge(other)
    assert (len(one.violations), one.messages[EVENTS], one.types["X"], one.counted["orders"]) == (3, 3, 3, 3)
    assert (one.open_orders, one.owing) == ([OPEN] * 3, {"o-1": ("payment",), "o-2": ("payment",)})


def test_entries_come_back_by_subject_each_partition_in_order(tmp_path: Path) -> None:
    files = Files(tmp_path, 2, 4)
    note, message = (0, "t", 0, 5, 9, b"x"), tuple(message_at(3))
    written: list[list[tuple[str, tuple[Any, ...]]]] = [
        [("b", note), ("a", note), ("b", message)], [("b", (0, "t", 0, 4, 9, None))]
    ]  # fmt: skip
    for number, entries in enumerate(written):
        storage = Storage(files, number)
        for subject, entry in entries:
            storage.add(subject, entry)
            storage.flush()
        storage.flush()
    rows = sorted(row for number in (0, 1) for row in read_rows(files, number, 2))
    assert rows == [("a", [], [note]), ("b", [message_at(3)], [(0, "t", 0, 4, 9, None), note])]


class Clock:
    """Moves by `step` at each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.at, self.step, self.slept = 100.0, step, list[float]()

    def now(self) -> float:
        self.at += self.step
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


def test_whoever_waits_for_quiet_looks_until_a_second_has_passed_without_a_change() -> None:
    class Busy(RecordedCluster):
        def ends(self, places: Any) -> dict[Any, int]:
            return {(EVENTS, 0): min(int(clock.at * 4), changes)}

    clock, changes = Clock(), 400 + 5
    settle(Busy(clean_flow()), [], 60, now=clock.now, sleep=clock.sleep)
    assert clock.slept == [0.25] * (5 + 4)
    clock, changes = Clock(), 10_000
    settle(Busy(clean_flow()), [], 3, now=clock.now, sleep=clock.sleep)
    assert clock.slept == [0.25] * 12
    clock, changes = Clock(), 0
    settle(Busy(clean_flow()), [], 60, now=clock.now, sleep=clock.sleep)
    assert clock.slept == [0.25] * 4


@pytest.mark.parametrize(("step", "expected"), [(0.4, []), (3.0, [1, 3, 1003]), (1.0, [1003])])
def test_how_many_orders_are_judged_is_told_every_thousand_if_that_takes_long(step: float, expected: list[int]) -> None:
    told: list[str] = []
    placed = message("OrderPlaced", 1, topic=EVENTS, fields={"lines": [], "currency": "EUR"})
    cases = [case(placed)] * 2 + [case(subject=f"{NO_ORDER}x")] * 998 + [case(placed)] * 1_003
    judge(cases, told.append, has_provider=False, now=Clock(step).now)
    assert told == [f"verify: {count} orders judged" for count in expected]


def test_progress_is_never_told_beyond_the_total() -> None:
    assert _progress(3, 9) == "verify: 3 of 9 records read"
    assert _progress(10, 9) == "verify: 9 of 9 records read"


@pytest.mark.parametrize(
    ("asked", "records", "files"),
    [
        (None, 0, (1, 1)), (None, 19_999, (1, 1)), (None, 20_000, (1, 2)), (None, 199_999, (1, 10)),
        (3, 0, (3, 3)), (3, 60_000, (3, 6)), (1, 10**9, (1, 1024)),
    ],
)  # fmt: skip
def test_few_records_are_not_worth_another_process(
    tmp_path: Path, asked: int | None, records: int, files: tuple[int, int]
) -> None:
    source = RecordedCluster(clean_flow())
    check = Verification(source, tuple, Options(processes=asked), tell=print)
    made = check._files(tmp_path, records)
    assert (made.directory, made.count, made.buckets) == (tmp_path, *files)


def test_what_was_booked_without_a_time_was_booked_at_none() -> None:
    entry = {"kind": "charge", "key": "k", "order_id": "o-1", "amount": 5, "currency": "EUR", "status": "captured",
             "id": "ch-1", "charge_key": None}  # fmt: skip
    assert _booking(entry) == Booking("charge", "k", "o-1", 5, "EUR", "captured", "ch-1", None, 0)
    assert _booking(entry | {"at": 7}).at == 7


# -- values -----------------------------------------------------------------------------------------------------------


def message_at(offset: int, kind: str = "ProcessPayment", message_id: str = "m-1") -> Message:
    return Message(EVENTS, 0, offset, 0, b"k", kind, message_id, "", "", "", "o-1", "", {})


def test_what_may_follow_an_answer_is_its_repeat_or_its_undoing() -> None:
    assert dict(STEPS["payment"].followers) == {
        "PaymentConfirmed": {"PaymentConfirmed", "PaymentRefunded"},
        "PaymentRefunded": {"PaymentRefunded", "PaymentDeclined"},
        "PaymentDeclined": {"PaymentDeclined", "PaymentRefunded"},
    }
    assert STEPS["payment"].events == ("PaymentConfirmed", "PaymentDeclined", "PaymentRefunded")
    assert STEPS["shipment"].events == ("ShipmentScheduled", "ShipmentCancelled")


def test_what_lies_before_the_cut_and_what_a_group_has_read_is_known() -> None:
    evidence = Evidence(0, {}, {(EVENTS, 0): 5}, committed={"order": {(EVENTS, 0): 5}})
    assert [evidence.in_cut(message_at(offset)) for offset in (4, 5)] == [True, False]
    assert [evidence.was_read("order", message_at(offset)) for offset in (4, 5)] == [True, False]
    assert not evidence.was_read("payment", message_at(0))
    assert not evidence.in_cut(Position("else", 0, 0))


def test_a_message_has_the_letter_of_its_place_or_of_an_attempt_that_it_replaced() -> None:
    evidence = Evidence(0, {})
    at, other = Position(EVENTS, 0, 1), Position(EVENTS, 0, 2)
    lies = Position("order.dead-letter", 0, 0)
    first, again = DeadLetter(lies, "order", at, 0, "m-1"), DeadLetter(lies, "order", at, 1, "m-1")
    for letter in (first, again, DeadLetter(lies, "order", other, 0, "m-2")):
        evidence.add_letter(letter)
    assert evidence.letter_of("order", message_at(1)) == again
    assert evidence.letter_of("order", message_at(9)) == again, "a later attempt"
    assert evidence.letter_of("order", message_at(9, "CompleteOrder")) is None
    assert evidence.letter_of("payment", message_at(1)) is None
    evidence.resolved["order", at, 1] = "redriven"
    assert (evidence.fate_of(again), evidence.fate_of(first)) == ("redriven", "")


def test_what_is_about_no_order_is_named_apart() -> None:
    assert NO_ORDER == "\0"
