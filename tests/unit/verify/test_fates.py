"""Every command that was sent has a fate; one that has none is found, whatever its type and its order's course."""

from __future__ import annotations

import pytest

from tests.chaos.audit.failures import COMMANDS
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import ANY_FIELDS, clean_flow, place
from tests.support.recorded_flow.records import WrittenRecord
from verifier.flow import DUTIES, KEY_OF, LEDGER, MESSAGE_TOPICS, TYPES_OF

ORDERS = ("o-done", "o-fast", "o-declined", "o-undone")
NOT_OF_AN_ORDER = {"ReceiveStock"}
ANSWERED_BY_WHAT_WAS = {
    *(("PlaceOrder", order_id) for order_id in ORDERS),
    *(("DispatchStock", order_id) for order_id in ("o-done", "o-fast")),
    ("AttemptCharge", "o-undone"),
    ("InitiatePackaging", "o-fast"),
}
"""An order that is placed again, a charge after the refund, and what has happened already: all of it needs nothing."""


def topic_of(kind: str) -> str:
    return next(topic for topic, types in TYPES_OF.items() if kind in types)


def lose(flow: RecordedFlow, command: WrittenRecord) -> None:
    """Drop all that follows from the command, as if its reader had swallowed it."""
    own_id = command.headers_now["ce_id"]
    flow.drop(*[record for record in flow.records if record.headers_now.get("ce_causationid") == own_id])


def test_every_type_is_known_to_have_readers_or_none() -> None:
    """Who adds a message to the flow says in `verifier.flow` what follows from it."""
    read_by_nobody = {"OrderCompleted", "OrderCancelled", "OrderPaused", "OrderResumed", "OrderCompensationFailed"}
    types = {kind for topic in MESSAGE_TOPICS for kind in TYPES_OF[topic]}
    assert types == {*DUTIES, *read_by_nobody, *TYPES_OF[LEDGER]}


def test_every_command_has_a_reader_that_owes_it_something() -> None:
    assert set(DUTIES) >= COMMANDS
    assert all(DUTIES[kind] for kind in COMMANDS)


@pytest.mark.parametrize("order_id", ORDERS)
@pytest.mark.parametrize("kind", sorted(COMMANDS - NOT_OF_AN_ORDER))
def test_finds_a_lost_command_of_every_type_in_orders_of_every_course(kind: str, order_id: str) -> None:
    # given an order that has ended, and one more command about it, of which nothing is to be seen
    flow, topic = clean_flow(), topic_of(kind)
    fields = {**ANY_FIELDS, "order_id": order_id}
    speed = "express" if order_id == "o-fast" else "standard"
    command = flow.outside(topic, kind, fields[KEY_OF[topic]], **{**fields, "shipping_speed": speed})

    # then its reader is told of, unless what was before answers it
    subject = f"{kind} {topic}[{command.partition()}]@{command.offset()} "
    found = [line for line in flow.violation_lines("inputs").splitlines() if line.startswith(subject)]
    assert bool(found) != ((kind, order_id) in ANSWERED_BY_WHAT_WAS)


@pytest.mark.parametrize(
    ("kind", "order_id"),
    [
        ("PlaceOrder", "o-done"),
        ("ProcessPayment", "o-done"),
        ("AttemptCharge", "o-declined"),
        ("RefundPayment", "o-undone"),
        ("FulfilOrder", "o-done"),
        ("ReleaseStock", "o-undone"),
        ("DispatchStock", "o-done"),
        ("ScheduleShipment", "o-done"),
        ("CancelShipment", "o-declined"),
        ("CompleteOrder", "o-done"),
        ("CancelOrder", "o-undone"),
    ],
)
def test_finds_the_command_of_an_order_s_course_that_was_swallowed(kind: str, order_id: str) -> None:
    flow = clean_flow()
    command = next(flow.all(kind, order_id))
    lose(flow, command)

    assert f"{kind} {command.topic()}[{command.partition()}]@{command.offset()} " in flow.violation_lines("inputs")


def test_finds_a_lost_charge_of_an_order_that_was_refunded_later() -> None:
    # given a charge of which nothing came, and a refund after it
    flow = clean_flow()
    charge = flow.last("AttemptCharge", "o-undone")
    lose(flow, charge)

    # then the refund is no excuse, for it came later
    assert f"AttemptCharge payments.commands[{charge.partition()}]@{charge.offset()} " in flow.violation_lines("inputs")


def test_finds_a_lost_dispatch_before_one_that_was_carried_out() -> None:
    # given two commands to dispatch, the second of which was carried out
    flow = clean_flow()
    first = flow.last("DispatchStock", "o-done")
    fields = {"order_id": "o-done", "warehouse_id": "berlin"}
    second = flow.by("orchestrator", "inventory.commands", "DispatchStock", flow.last("ShipmentScheduled"), **fields)
    for fact in flow.all("StockDispatched", "o-done"):
        fact.set_header("ce_causationid", second.message_id)

    # then the first is told to be lost
    assert f"@{first.offset()} inventory has read it" in flow.violation_lines("inputs")


@pytest.mark.parametrize("kind", sorted(COMMANDS))
def test_finds_a_command_that_was_decided_and_is_on_no_topic(kind: str) -> None:
    # given an order whose state says that it was sent
    flow = clean_flow()
    place(flow, "o-new")
    flow.last("OrderState", "o-new").fields["seen"][0]["decided"] = [kind]

    # then it is told to be missing
    assert f"says that it sent {kind} upon" in flow.violation_lines("pauses")
