"""Each rule of the check and of the audit finds something that no other finds, so that none could be left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.audit import AUDITS, AUDITS_OF_ALL
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import TERMS, clean_flow, decide
from tests.support.recorded_flow.parking import ask, command, succeed
from verifier.judgement import CHECKS


def never_charged(flow: RecordedFlow) -> None:
    flow.bookings = [booking for booking in flow.bookings if booking.order_id != "o-done"]


def snapshot_that_disagrees(flow: RecordedFlow) -> None:
    level = {"warehouse_id": "berlin", "sku": "tea", "on_hand": 7}
    flow.write("inventory.warehouse-changelog", "StockLevel", "berlin/stock/tea", level)
    position = {"sequence": flow.sequence, "offset": 0}
    flow.write("inventory.warehouse-changelog", "LedgerPosition", "berlin", position)


def ended_twice(flow: RecordedFlow) -> None:
    flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-done")


def placed_and_swallowed(flow: RecordedFlow) -> None:
    flow.outside("orders.commands", "PlaceOrder", "o-new", **TERMS, order_id="o-new")


def completed_although_undone(flow: RecordedFlow) -> None:
    flow.last("OrderState", "o-done").fields["undone"] = ["payment"]


def backwards(flow: RecordedFlow) -> None:
    flow.state("o-new", "fulfilled")
    flow.state("o-new", "payment_pending")


def decided_and_never_sent(flow: RecordedFlow) -> None:
    decide(flow, "o-done", 0, "ProcessPayment", "RefundPayment")


def correlation_broken(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").set_header("ce_correlationid", "another")


def state_of_garbage(flow: RecordedFlow) -> None:
    flow.write("order.order-changelog", "Order", "o-odd", {}).raw_value = b"garbage"


def never_told(flow: RecordedFlow) -> None:
    flow.dead_letter("payment", command(flow))


def seen_elsewhere(flow: RecordedFlow) -> None:
    for state in flow.all("OrderState", "o-done"):
        state.fields["seen"] = [{**seen, "offset": seen["offset"] + 1} for seen in state.fields["seen"]]


def id_used_twice(flow: RecordedFlow) -> None:
    first, second = list(flow.all("StockDispatched", "o-done"))
    second.set_header("ce_id", first.message_id)


def letter_with_other_bytes(flow: RecordedFlow) -> None:
    next(record for record in flow.records if record.topic() == "order.dead-letter").raw_value = b"altered"


def overtaken(flow: RecordedFlow) -> None:
    first, second = command(flow), command(flow, attempt=2)
    succeed(flow, second)
    succeed(flow, first)


def never_answered(flow: RecordedFlow) -> None:
    ask(flow, "PauseWork", scope="command", name="ProcessPayment")


ALONE: dict[str, Callable[[RecordedFlow], None]] = {
    "money": never_charged,
    "stock": snapshot_that_disagrees,
    "endings": ended_twice,
    "inputs": placed_and_swallowed,
    "order state": completed_although_undone,
    "transitions": backwards,
    "pauses": decided_and_never_sent,
    "traces": correlation_broken,
    "records": state_of_garbage,
    "failures": never_told,
    "ids": id_used_twice,
    "seen": seen_elsewhere,
    "dead letters": letter_with_other_bytes,
    "order per key": overtaken,
    "operations": never_answered,
}


@pytest.mark.parametrize("check", [*CHECKS, *AUDITS, *AUDITS_OF_ALL])
def test_finds_what_no_other_rule_finds(check: str) -> None:
    flow = clean_flow()
    ALONE[check](flow)

    assert {violation.check for violation in flow.violations()} == {check}
