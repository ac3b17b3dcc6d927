"""What is laid down of each record as it is read: by its topic, its key and its bytes, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import SCHEMAS
from ensemble import system_messages
from ensemble.messages import GenericDecoder
from tests.support.recorded_flow.records import WrittenRecord, encoded
from verifier.evidence import Evidence
from verifier.facts import Booking, Position, Violation
from verifier.loader import Loader, _id, _short, _time_of, _writer
from verifier.storage import BOOKING, KEPT, NO_ORDER, PARKING, STATE

EVENTS, COMMANDS, LEDGER = "orders.events", "orders.commands", "inventory.ledger"
STATES, ORDERS, LEVELS = "orchestrator.order-state", "order.order-changelog", "inventory.warehouse-changelog"
PARKED, CONTROL = "payment.parked-changelog", "payment.control"
ORDER = {"order_id": "o-1", "reason": "x", "attempt": 1}
HEADERS = {"ce_id": b"m-1", "ce_source": b"/services/order", "ce_causationid": b"m-0"}


class Kept:
    """Keeps what is added, by subject."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, tuple[Any, ...]]] = []
        self.is_flushed = False

    def add(self, subject: str, entry: tuple[Any, ...]) -> None:
        self.entries.append((subject, entry))

    def flush(self) -> None:
        self.is_flushed = True


class Reading:
    """A loader of a cluster whose partitions have a cut at offset 5; a partition begins where `firsts` says."""

    def __init__(self, *orders: str, firsts: dict[Any, int] | None = None) -> None:
        topics = (EVENTS, COMMANDS, LEDGER, STATES, ORDERS, LEVELS, PARKED, CONTROL, "payments.commands")
        cut = {(topic, partition): 5 for topic in topics for partition in range(4)}
        self.evidence = Evidence(9, dict.fromkeys(topics, 4), cut, firsts or {})
        self.storage = Kept()
        storage: Any = self.storage
        decoder = GenericDecoder([SCHEMAS, system_messages.SCHEMAS])
        self.loader = Loader(decoder, storage, self.evidence, frozenset(orders) if orders else None)

    def take(self, topic: str, kind: str = "", offset: int = 3, **more: Any) -> Reading:
        """Take a record of this kind; `value` is its bytes, None a tombstone."""
        value = more.get("value", b"") if "value" in more else encoded(kind, more.get("fields", ORDER))
        record = WrittenRecord(
            (topic, more.get("partition", 2), offset), kind, {}, more.get("key", b"o-1"), more.get("headers", HEADERS),
            value, value is None, more.get("time", 7),
        )  # fmt: skip
        self.loader.take(record)
        return self

    @property
    def entries(self) -> list[tuple[str, tuple[Any, ...]]]:
        return list(self.storage.entries)

    @property
    def violations(self) -> list[Violation]:
        return self.loader.findings.violations


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_is_laid_down_below_its_order_with_the_fields_that_rules_look_at() -> None:
    reading = Reading().take(EVENTS, "OrderCompleted")
    assert reading.entries == [
        ("o-1", (EVENTS, 2, 3, 7, b"o-1", "OrderCompleted", "m-1", "/services/order", "order", "m-0", "o-1", "", {}))
    ]
    findings = reading.loader.findings
    assert ({t: n for t, n in findings.messages.items() if n}, dict(findings.types)) == (
        {EVENTS: 1}, {"OrderCompleted": 1}
    )  # fmt: skip


def test_a_message_without_headers_is_named_by_its_place_and_of_the_outside() -> None:
    [(_, entry)] = Reading().take(EVENTS, "OrderCompleted", headers={}).entries
    assert entry[6:10] == (f"{EVENTS}/2/3", "", "", "")


NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("topic", "record", "kind", "fault"),
    [
        (EVENTS, {"value": None}, "", "it is a tombstone, on a topic that holds messages"),
        (EVENTS, {"kind": "CompleteOrder"}, "CompleteOrder", "CompleteOrder does not belong on orders.events"),
        (EVENTS, {"kind": "OrderCompleted", "key": None}, "OrderCompleted", "it has no key"),
        (COMMANDS, {"kind": "CompleteOrder", "key": None}, "CompleteOrder", "it has no key"),
        (EVENTS, {"kind": "OrderCompleted", "partition": 1}, "OrderCompleted", "its key belongs to partition 2"),
        (EVENTS, {"value": encoded("OrderCompleted", {"order_id": "o-1"})[:6]}, "OrderCompleted", "*"),
        (EVENTS, {"value": b"\0\0nonsense"}, "", "*"),
    ],
)
def test_what_is_no_message_of_its_topic_is_about_no_order_and_says_why(
    topic: str, record: dict[str, Any], kind: str, fault: str
) -> None:
    [(subject, entry)] = Reading().take(topic, **record).entries
    assert (subject, entry[5], bool(entry[11])) == (f"{NO_ORDER}m-1", kind, True)
    assert fault in {"*", entry[11]}


def test_a_key_is_held_against_its_partition_only_where_outsiders_write() -> None:
    [(subject, entry)] = Reading().take("payments.commands", "RefundPayment", partition=1).entries
    assert (subject, entry[11]) == ("o-1", "")


def test_only_the_orders_that_are_asked_for_are_laid_down() -> None:
    reading = Reading("o-1").take(EVENTS, "OrderCompleted").take(EVENTS, "OrderCompleted", fields={"order_id": "o-2"})
    reading.take(STATES, "OrderState").take(STATES, "OrderState", key=b"o-2")
    reading.loader.take_bookings([booking("o-1"), booking("o-2")])
    assert [subject for subject, _ in reading.entries] == ["o-1", "o-1", "o-1"]
    assert reading.loader.findings.types == {"OrderCompleted": 1}


def test_of_a_partition_without_its_beginning_it_is_noted_when_the_rest_begins() -> None:
    reading = Reading(firsts={(EVENTS, 2): 3, (EVENTS, 1): 0})
    reading.take(EVENTS, "OrderCompleted", time=7).take(EVENTS, "OrderCompleted", 4, time=8)
    reading.take(EVENTS, "OrderCompleted", partition=1, time=9)
    assert reading.evidence.first_times == {(EVENTS, 2): 7}


def fact(sequence: int) -> dict[str, Any]:
    return {"warehouse_id": "w", "sku": "s", "quantity": 2, "sequence": sequence, "receipt_id": "r-1"}


def test_a_fact_of_stock_is_booked_unless_orders_are_asked_for() -> None:
    reading = Reading().take(LEDGER, "StockReceived", key=b"w", fields=fact(2))
    [(subject, entry)] = reading.entries
    assert (subject, entry[12]) == (f"{NO_ORDER}r-1", {**fact(2)})
    assert reading.evidence.warehouses["w"].levels == {"s": (2, 0, 0)}
    assert [violation.words for violation in reading.violations] == [
        f"StockReceived {LEDGER}[2]@3 has sequence 2 after 0"
    ]
    reading.loader.finish()
    assert (reading.loader.findings.counted["warehouses"], reading.storage.is_flushed) == (1, True)
    some = Reading("o-1").take(LEDGER, "StockReceived", key=b"w", fields=fact(2))
    assert (dict(some.evidence.warehouses), some.violations) == ({}, [])


# -- what services keep -----------------------------------------------------------------------------------------------


def test_states_before_the_cut_are_kept_as_bytes_and_tombstones_of_the_order_state_alone() -> None:
    value = encoded("OrderState", ORDER)
    reading = Reading().take(STATES, "OrderState", 4).take(STATES, "OrderState", 5)
    reading.take(STATES, offset=3, value=None).take(ORDERS, offset=3, value=None)
    reading.take(ORDERS, "OrderState", 9).take(STATES, "OrderState", key=None)
    assert reading.entries == [
        ("o-1", (STATE, STATES, 2, 4, 7, value)), ("o-1", (STATE, STATES, 2, 3, 7, None)),
        ("o-1", (KEPT, ORDERS, 2, 9, 7, value)),
    ]  # fmt: skip
    assert reading.violations == []


def test_a_state_of_an_unknown_schema_is_told_with_its_place() -> None:
    reading = Reading().take(STATES, value=b"\0\0nonsense").take(LEVELS, value=b"\0\0nonsense")
    assert [(each.check, each.subject) for each in reading.violations] == [
        ("records", f"{STATES}[2]@3"), ("records", f"{LEVELS}[2]@3")
    ]  # fmt: skip
    assert all(each.words.startswith("state that cannot be read: ") for each in reading.violations)
    assert (reading.entries, dict(reading.evidence.warehouses)) == ([], {})


def test_levels_of_stock_and_how_far_they_go_are_claimed() -> None:
    level = {"warehouse_id": "w", "sku": "s", "on_hand": 1, "reserved": 2, "dispatched": 3}
    reading = Reading().take(LEVELS, "StockLevel", fields=level, key=b"?").take(LEVELS, value=None)
    reading.take(LEVELS, "LedgerPosition", fields={"sequence": 4, "partition": 0, "offset": 1}, key=b"w")
    [(name, warehouse)] = reading.evidence.warehouses.items()
    assert (name, warehouse.claimed_levels, warehouse.claimed_sequence) == ("w", {"s": (1, 2, 3)}, 4)
    reading.loader.finish()
    assert reading.loader.findings.counted["warehouses"] == 0


# -- what runtimes keep -----------------------------------------------------------------------------------------------


def parked(topic: str = "payments.commands", kind: str = "RefundPayment", **more: Any) -> dict[str, Any]:
    value = encoded(kind, ORDER) if kind else b"?"
    place = {"topic": topic, "partition": 1, "offset": 7, "key": b"k", "value": value, "headers": [], "parked_at": 1}
    return {"fields": {**place, "message": kind, "message_id": "m-7"}, "key": b"record/p-1/000000000003"} | more


SOURCE = ("payments.commands", 1, 7)


def test_what_waits_is_laid_down_below_its_order_until_its_place_is_emptied() -> None:
    reading = Reading().take(PARKED, "ParkedRecord", 0, **parked())
    reading.loader.finish()
    assert reading.loader.findings.counted["records parked"] == 1
    reading.take(PARKED, offset=1, value=None, key=b"record/p-1/000000000003")
    number = (2, "p-1", 3)
    assert reading.entries == [
        ("o-1", (PARKING, PARKED, 2, 0, 0, ("payment", number, SOURCE, "m-7"))),
        ("o-1", (PARKING, PARKED, 2, 1, 0, ("payment", number, None, ""))),
    ]
    reading.loader.finish()
    assert reading.loader.findings.counted["records parked"] == 0
    assert reading.evidence.cleaned == set()


def test_what_is_about_no_order_is_named_by_itself_and_what_cannot_be_read_by_its_key() -> None:
    reading = Reading()
    for number, record in enumerate((parked("else"), parked(kind=""))):
        reading.take(PARKED, "ParkedRecord", number, **record)
    stock = {"warehouse_id": "w", "sku": "s", "quantity": 1, "receipt_id": "r"}
    receive = parked("inventory.commands", "")
    receive["fields"]["value"] = encoded("ReceiveStock", stock)
    reading.take(PARKED, "ParkedRecord", 2, **receive)
    reading.take(PARKED, offset=3, value=None, key=b"record/p-2/000000000000")
    assert [subject for subject, _ in reading.entries] == ["p-1", "p-1", f"{NO_ORDER}m-7", "p-2"]


def test_a_changelog_of_parked_records_without_its_beginning_is_noted_once() -> None:
    reading = Reading().take(PARKED, "ParkedRecord", 3, **parked())
    assert reading.evidence.cleaned == {"payment"}
    later = Reading().take(PARKED, "ParkedRecord", 0, **parked()).take(PARKED, "ParkedRecord", 3, **parked())
    assert later.evidence.cleaned == set()


def test_what_became_of_a_dead_letter_is_noted_and_what_lies_behind_the_cut_is_not() -> None:
    fields = {"how": "redriven", "operation_id": "op", "requested_by": "ann", "reason": "", "at": 1}
    mark = {"fields": fields, "key": b"mark/payments.commands/1/7/2/p-1"}
    reading = Reading().take(PARKED, "Resolution", 4, **mark)
    assert reading.evidence.resolved == {("payment", Position(*SOURCE), 2): "redriven"}
    behind = Reading().take(PARKED, "Resolution", 5, **mark).take(PARKED, "ParkedRecord", 5, **parked())
    assert (behind.evidence.resolved, behind.entries, behind.evidence.cleaned) == ({}, [], set())
    others = Reading().take(PARKED, value=b"\0\0nonsense", key=b"record/p-1/000000000003")
    others.take(PARKED, "ParkedRecord", **parked(key=b"done/x")).take(PARKED, "ParkedRecord", **parked(key=None))
    others.take(PARKED, value=None, key=b"mark/payments.commands/1/7/2/p-1")
    assert (others.entries, others.evidence.resolved, len(others.violations)) == ([], {}, 1)


def test_pauses_of_commands_that_were_asked_for_are_noted() -> None:
    who = {"operation_id": "op", "requested_by": "ann", "reason": "", "at": 1}
    reading = Reading()
    for offset, scope in ((3, "command"), (4, "step"), (5, "command")):
        reading.take(CONTROL, "PauseWork", offset, fields={**who, "scope": scope, "name": f"N{offset}"})
    reading.take(CONTROL, "ResumeWork", 4, fields={**who, "scope": "command", "name": "N"})
    assert reading.evidence.paused_commands == {("payment", "N3")}


def test_a_dead_letter_is_noted_with_its_place() -> None:
    reading = Reading().take("payment.dead-letter", value=b"?", headers={"ce_id": b"m-9"})
    [letter] = reading.evidence.letters
    assert (letter.position, letter.service, letter.message_id) == (
        Position("payment.dead-letter", 2, 3), "payment", "m-9"
    )  # fmt: skip


# -- the provider, and small values -----------------------------------------------------------------------------------


def booking(order_id: str, **more: Any) -> Booking:
    fields: dict[str, Any] = {"kind": "charge", "key": "k", "amount": 5, "currency": "EUR", "status": "captured"}
    return Booking(**fields | {"order_id": order_id, "entry_id": "e", "charge_key": None, "at": 6} | more)


def test_captures_and_refunds_are_counted_and_each_entry_is_laid_down_in_order() -> None:
    reading = Reading()
    refund = booking("o-1", kind="refund", status="refunded")
    bookings = [booking("o-1"), refund, refund._replace(amount=0), booking("o-1", status="declined")]
    reading.loader.take_bookings(bookings)
    counted = reading.loader.findings.counted
    assert (counted["captures"], counted["refunds"]) == (1, 1)
    assert reading.entries == [
        ("o-1", (BOOKING, "", 0, number, 6, tuple(each))) for number, each in enumerate(bookings)
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ("", "")),
        (b"/services/payment", ("/services/payment", "payment")),
        (b"/cli", ("/cli", "")),
        (b"\xff", ("\ufffd", "")),
    ],
)
def test_who_wrote_a_record_is_what_its_header_says(source: bytes | None, expected: tuple[str, str]) -> None:
    assert _writer(source) == expected


def test_small_values_are_read_as_the_services_read_them() -> None:
    assert (_id(None), _id(b""), _id(b"m-1"), _short("a.b.C"), _short("C")) == ("", "", "m-1", "C", "C")
    assert _time_of(object()) == 0
    assert _time_of(WrittenRecord(("a", 0, 0), "", {}, None, {}, time=8)) == 8
