"""Stock that appears, disappears or is promised twice is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import clean_flow, complete, violation_lines_with


def fact_lost(flow: RecordedFlow) -> None:
    flow.drop(flow.last("StockDispatched", "o-done"))


def fact_written_twice(flow: RecordedFlow) -> None:
    flow.facts("StockReserved", flow.last("FulfilOrder", "o-done"), "o-done")


def more_reserved_than_received(flow: RecordedFlow) -> None:
    flow.last("StockReceived").fields["quantity"] = 1


def more_released_than_reserved(flow: RecordedFlow) -> None:
    flow.facts("StockReleased", flow.last("ReleaseStock", "o-undone"), "o-undone")


def more_dispatched_than_reserved(flow: RecordedFlow) -> None:
    flow.facts("StockDispatched", flow.last("DispatchStock", "o-done"), "o-done")


def reserved_other_than_ordered(flow: RecordedFlow) -> None:
    for kind in ("StockReserved", "StockDispatched"):
        flow.last(kind, "o-done").fields["quantity"] += 1


def one_line_never_reserved(flow: RecordedFlow) -> None:
    for kind in ("StockReserved", "StockDispatched"):
        flow.last(kind, "o-done").fields["order_id"] = "o-fast"


def completed_but_never_dispatched(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockDispatched", "o-undone")), *list(flow.all("StockDispatched", "o-done")))


def cancelled_but_still_reserved(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockReleased", "o-undone")))


def cancelled_but_dispatched(flow: RecordedFlow) -> None:
    for fact in flow.all("StockReleased", "o-undone"):
        fact.type = "StockDispatched"


def more_booked_than_sent(flow: RecordedFlow) -> None:
    flow.last("StockReceived").fields["quantity"] += 5


def other_goods_booked_than_sent(flow: RecordedFlow) -> None:
    flow.last("StockReceived").fields["sku"] = "tea"


def booked_in_another_warehouse_than_sent(flow: RecordedFlow) -> None:
    flow.last("ReceiveStock").fields["warehouse_id"] = "paris"


def reserved_for_nobody(flow: RecordedFlow) -> None:
    flow.facts("StockReserved", flow.last("FulfilOrder", "o-done"), "o-nobody")


def half_dispatched_before_the_command_was_read(flow: RecordedFlow) -> None:
    complete(flow, "o-late")
    flow.drop(flow.last("StockDispatched", "o-late"))
    flow.unread("inventory", flow.last("DispatchStock", "o-late"))


def receipt_booked_twice(flow: RecordedFlow) -> None:
    receipt = flow.last("StockReceived")
    again = {key: receipt.fields[key] for key in ("sku", "quantity", "receipt_id")}
    flow.fact("StockReceived", flow.last("ReceiveStock"), **again)


def snapshot_that_disagrees(flow: RecordedFlow) -> None:
    level = {"warehouse_id": "berlin", "sku": "tea", "on_hand": 7}
    flow.write("inventory.warehouse-changelog", "StockLevel", "berlin/stock/tea", level)
    position = {"sequence": flow.sequence, "offset": 0}
    flow.write("inventory.warehouse-changelog", "LedgerPosition", "berlin", position)


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (fact_lost, "stock", "has sequence 7 after 5"),
        (fact_written_twice, "stock", "was reserved 2 cup, 4 tea"),
        (more_reserved_than_received, "stock", "leaves -1 pieces on hand"),
        (more_released_than_reserved, "stock", "leaves -2 pieces reserved"),
        (
            more_dispatched_than_reserved,
            "stock",
            "o-done is completed, but 2 cup, 4 tea was dispatched of",
        ),
        (reserved_other_than_ordered, "stock", "o-done was reserved 2 cup, 2 tea, ordered 1 cup, 2 tea"),
        (one_line_never_reserved, "stock", "o-done was reserved 2 tea"),
        (completed_but_never_dispatched, "stock", "o-done is completed, but 1 cup, 2 tea is still reserved"),
        (cancelled_but_still_reserved, "stock", "o-undone is cancelled, but 1 cup, 2 tea is still reserved"),
        (cancelled_but_dispatched, "stock", "o-undone is cancelled, but 1 cup, 2 tea was dispatched"),
        (more_booked_than_sent, "stock", "books quantity 105, but ReceiveStock"),
        (other_goods_booked_than_sent, "stock", "books sku tea, but ReceiveStock"),
        (booked_in_another_warehouse_than_sent, "stock", "books warehouse_id berlin, but ReceiveStock"),
        (reserved_for_nobody, "stock", "o-nobody stock is reserved for it, but nobody placed it"),
        (half_dispatched_before_the_command_was_read, "stock", "o-late is completed, but 2 tea was dispatched of"),
        (receipt_booked_twice, "stock", "once more"),
        (
            snapshot_that_disagrees,
            "stock",
            "the ledger says 96 on hand, 0 reserved, 4 dispatched; inventory's own snapshot 7 on hand",
        ),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)


def test_blames_each_fact_that_leaves_less_than_nothing_and_none_that_makes_good() -> None:
    # given one cup for three orders, the last of which gives its cup back
    lines = violation_lines_with(more_reserved_than_received, "stock")

    # then the second and the third reservation are told, the release is not
    assert lines.count("pieces on hand") == 2
    assert "StockReleased" not in lines


def test_what_was_settled_by_hand_may_stay_in_the_warehouse() -> None:
    # given a cancelled order whose goods never came back, as a person has settled
    flow = clean_flow()
    cancelled_but_still_reserved(flow)
    flow.last("OrderState", "o-undone").fields["settled"] = ["reservation"]

    # then its stock is no violation
    assert flow.violation_lines("stock") == ""
