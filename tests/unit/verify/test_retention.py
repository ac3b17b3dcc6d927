"""On a cluster older than its retention, completeness is asked for each order: the innocent stay innocent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import cancel, complete, decline, receive
from tests.support.recorded_flow.records import PARTITIONS
from verifier.facts import Place
from verifier.flow import LEDGER, MESSAGE_TOPICS
from verifier.placement import partition_of

CUT_TOPICS = tuple(topic for topic in MESSAGE_TOPICS if topic != LEDGER)


def flow_of(*order_ids: str) -> RecordedFlow:
    """Record orders that are completed, declined and undone in turn, one after the other."""
    flow = RecordedFlow()
    receive(flow)
    for number, order_id in enumerate(order_ids):
        (complete, decline, cancel)[number % 3](flow, order_id)
    return flow


def same_partition(one: str, other: str) -> bool:
    return partition_of(one.encode(), PARTITIONS) == partition_of(other.encode(), PARTITIONS)


OLD = [f"old-{number}" for number in range(9)]
NEW = [f"new-{number}" for number in range(9)]
NOBODYS = next(name for name in map("none-{}".format, count()) if same_partition(name, "new-6"))
"""The id of an order that nobody has placed, on a partition where others were placed."""
PLACES = [(topic, partition) for topic in CUT_TOPICS for partition in range(4)]


def year_old() -> tuple[RecordedFlow, dict[Place, int]]:
    """Return a flow of which retention has removed what all but the last orders have left, and where that ends."""
    flow = flow_of(*OLD)
    ends = {place: end for place, end in flow.ends.items() if place[0] in CUT_TOPICS}
    for number, order_id in enumerate(NEW):
        (complete, decline, cancel)[number % 3](flow, order_id)
    return flow, ends


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_innocent_orders_stay_innocent_wherever_retention_has_cut(data: st.DataObject) -> None:
    # given a history with orders of each kind, and any beginnings of any partitions gone
    flow = flow_of(*OLD)
    kept_from = {
        place: data.draw(st.integers(0, flow.ends.get(place, 0)), label=str(place))
        for place in data.draw(st.lists(st.sampled_from(PLACES), unique=True, max_size=8))
    }

    # then nobody is blamed for what lay there
    assert flow.violations(kept_from=kept_from) == []


def lost_command(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ReservationConfirmed", "new-6"))


def lost_charge(flow: RecordedFlow) -> None:
    flow.bookings = [booking for booking in flow.bookings if booking.order_id != "new-6"]


def lost_end(flow: RecordedFlow) -> None:
    flow.drop(flow.last("CompleteOrder", "new-6"), flow.last("OrderCompleted", "new-6"))


def lost_goods(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockDispatched", "new-6")))


def reserved_for_nobody(flow: RecordedFlow) -> None:
    flow.facts("StockReserved", flow.last("FulfilOrder", "new-6"), NOBODYS)


def ended_for_nobody(flow: RecordedFlow) -> None:
    command = flow.outside("orders.commands", "CancelOrder", NOBODYS, order_id=NOBODYS, reason="odd")
    flow.by("order", "orders.events", "OrderCancelled", command, order_id=NOBODYS, reason="odd")


def booked_for_nobody(flow: RecordedFlow) -> None:
    flow.book("charge", NOBODYS, "captured")


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (lost_command, "inputs", "no ReservationConfirmed or ReservationRejected from it"),
        (lost_charge, "money", "new-6 is completed: 10.00 EUR is due, but 0.00 EUR is held"),
        (lost_end, "order state", "new-6 is completed, but CompleteOrder was not sent"),
        (lost_goods, "stock", "new-6 is completed, but nothing was dispatched"),
        (reserved_for_nobody, "stock", f"{NOBODYS} stock is reserved for it, but nobody placed it"),
        (ended_for_nobody, "endings", "ends it, but nobody placed it"),
        (booked_for_nobody, "money", f"{NOBODYS} the provider has entries for it, but no message names this order"),
    ],
)
def test_finds_a_guilty_order_that_began_after_what_is_gone(
    plant: Callable[[RecordedFlow], None], check: str, expected: str
) -> None:
    # given a year old cluster, and a fault in an order that began after everything that is gone
    flow, kept_from = year_old()
    plant(flow)

    # then it is found, as if nothing was gone, and it alone
    lines = flow.violation_lines(check, kept_from=kept_from)
    assert expected in lines
    assert "old-" not in "\n".join(map(str, flow.violations(kept_from=kept_from)))


def test_a_year_old_cluster_is_clean_and_says_what_was_not_checked() -> None:
    flow, kept_from = year_old()

    report = flow.report(kept_from=kept_from)

    assert (report.violations, report.exit_code) == ((), 0)
    assert "orders that began before" in report.notes[0]


@pytest.mark.parametrize("order_id", ["old-0", "new-6"])
def test_blames_an_order_with_two_ends_however_old_it_is(order_id: str) -> None:
    """What is there is wrong, whatever is missing."""
    flow = flow_of(*OLD, *NEW)
    closing = flow.last("CompleteOrder", order_id)
    flow.by("order", "orders.events", "OrderCancelled", closing, order_id=order_id, reason="odd")

    lines = flow.violation_lines("endings", kept_from={("payments.commands", 0): 1, ("payments.commands", 1): 1})

    assert f"{order_id} is both completed" in lines
