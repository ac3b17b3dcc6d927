"""One record, the audit trail, parked keys and incidents: each answered from narrow reads or from a view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import session_on
from ensemble.operations import (
    AuditFilter,
    DeadLetterFilter,
    Invalid,
    NotFound,
    ParkedKeyFilter,
    Session,
    find_dead_letters,
    find_parked_keys,
    get_record,
    list_audit,
    list_incidents,
    list_parked_keys,
    parse_position,
    summarize_parked_key,
)
from ensemble.operations.failures import FailuresProjection
from ensemble.operations.view import View
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order


@pytest.fixture
def flow() -> Iterator[Any]:
    with capture_logs():
        yield FlowInMemory()


@pytest.fixture
def session(flow: Any) -> Session:
    return session_on(flow)


def fail_charges(flow: Any, *orders: str) -> None:
    """Have payment give up the charges of these orders."""
    flow.gateway.available = False
    for order_id in orders:
        flow.flow.publish(place_order(order_id=order_id))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.settle()


def test_a_record_is_read_alone_with_its_fields_and_headers(flow: Any, session: Session) -> None:
    flow.flow.publish(place_order(order_id="o-1"))
    flow.settle()
    [placed] = [r for r in flow.read(flow.places(["orders.events"])) if b"OrderPlaced" in r.headers["ce_type"]]
    before = flow.records_read
    record = get_record(session, parse_position(f"orders.events/{placed.partition}/{placed.offset}"))
    assert flow.records_read == before + 1
    assert (record.type, record.key, record.sender, record.fields["order_id"]) == ("OrderPlaced", "o-1", "order", "o-1")
    assert {header.name: header.value for header in record.headers}["ce_id"] == record.message_id


def test_bytes_of_another_kind_are_shown_as_they_are(flow: Any, session: Session) -> None:
    flow.flow.write("orders.events", b"o-1", b"\xffno", [("note", b"\xfe"), ("empty", None)])
    [partition] = [p for t, p in flow.places(["orders.events"]) if flow.ends([(t, p)])[t, p]]
    record = get_record(session, parse_position(f"orders.events/{partition}/0"))
    assert (record.type, record.bytes, record.size) == ("(unreadable)", "ff6e6f", 3)
    assert (record.problem or "").startswith("3 bytes are too short for a record")
    assert [(header.name, header.value, header.hex) for header in record.headers] == [
        ("note", None, "fe"),
        ("empty", None, None),
    ]


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ("kitchen/0/0", "no topic 'kitchen'"),
        ("orders.events/9/0", "orders.events has partitions 0 to 3"),
        ("orders.events/0/7", r"no record at orders.events/0/7: orders.events\[0\] is empty"),
    ],
)
def test_where_no_record_is_the_positions_that_there_are_are_named(
    session: Session, position: str, message: str
) -> None:
    with pytest.raises(NotFound, match=message):
        get_record(session, parse_position(position))


@pytest.mark.parametrize(
    "text",
    [
        "orders.events",
        "orders.events/0",
        "orders.events/0/x",
        "/0/1",
        "a/-1/0",
        "a/1/²",
        f"a/0/{10**30}",
        f"a/{'9' * 5_000}/0",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no position of a record"):
        parse_position(text)


def test_the_audit_trail_is_filtered_by_actor_target_service_and_time(flow: Any, session: Session) -> None:
    flow.settle()
    flow.flow.pause("payment", "command", "AttemptCharge", "provider down")
    flow.flow.pause("shipping", "service", "shipping", "stocktaking")
    payment, shipping = sorted(list_audit(session, AuditFilter(), 10), key=lambda entry: entry.service)
    assert (payment.target, payment.reason, payment.answered) == ("command AttemptCharge", "provider down", 4)
    for which, entries in (
        (AuditFilter(target="Charge"), (payment,)),
        (AuditFilter(service="shipping"), (shipping,)),
        (AuditFilter(requested_by="nobody"), ()),
        (AuditFilter(since=10**15), ()),
    ):
        assert list_audit(session, which, 10) == entries
    with pytest.raises(NotFound, match="no service 'kitchen'"):
        list_audit(session, AuditFilter(service="kitchen"), 10)


def test_parked_keys_of_a_view_are_those_of_the_services_own_records(flow: Any, session: Session) -> None:
    fail_charges(flow, "o-1", "o-2")
    which = ParkedKeyFilter(service="payment")
    rows, expected = list_parked_keys(session, which), list(map(summarize_parked_key, find_parked_keys(session, which)))
    assert rows == expected
    assert [row.key for row in list_parked_keys(session, ParkedKeyFilter(key="o-2"))] == ["o-2"]


def test_what_is_selected_for_a_redrive_is_read_at_its_places_once_a_view_is_kept(flow: Any, session: Session) -> None:
    fail_charges(flow, *(f"o-{number}" for number in range(5)))
    with View(flow, [FailuresProjection(session.decoder)]) as view:
        view.sync()
        before = flow.records_read
        [letter] = find_dead_letters(session, DeadLetterFilter(key="o-3"), view)
        assert flow.records_read == before + 1
    assert (letter.key, letter.fate.status, letter.entry.fields["order_id"]) == ("o-3", "parked", "o-3")


def test_a_session_with_a_view_of_its_own_asks_it(flow: Any, session: Session) -> None:
    fail_charges(flow, "o-1")
    opened: list[str] = []

    def open_view(projections: Any, what: str) -> View:
        opened.append(what)
        view = View(flow, projections)
        view.sync()
        return view

    kept = replace(session, open_view=open_view)
    assert [row.key for row in list_parked_keys(kept, ParkedKeyFilter())] == ["o-1"]
    assert list_incidents(kept, None, open_only=False) == ()
    assert opened == ["parked keys", "incidents"]
