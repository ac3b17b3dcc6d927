"""The check from end to end on a recorded cluster: what is read, what is reported, and what cannot be checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.recorded_flow.cluster import RecordedCluster
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import asked_for_payment, clean_flow, complete, place, receive
from tests.support.recorded_flow.parking import park
from tests.support.recorded_flow.records import TOPICS, encoded
from verifier import Options, Report, verify
from verifier.facts import Booking, Place
from verifier.flow import FORMAT_OF, WAREHOUSE_CHANGELOG
from verifier.run import refuse_other_formats
from verifier.runtime_formats import DEAD_LETTER
from verifier.source import CannotCheck


def report_of(cluster: RecordedCluster, expect_orders: int | None = None, settle_s: float = 0.0) -> Report:
    """Check the cluster, with a provider that holds the flow's bookings."""
    return verify(cluster, lambda: tuple(cluster.flow.bookings), Options(expect_orders, settle_s=settle_s))


def test_a_clean_cluster_is_reported_clean_with_everything_that_was_read() -> None:
    cluster = RecordedCluster(flow=clean_flow())

    report = report_of(cluster, expect_orders=4)

    assert (report.violations, report.problems, report.exit_code) == ((), (), 0)
    assert report.counted is not None
    assert [report.counted[name] for name in ("orders", "captures", "warehouses")] == [4, 3, 1]
    assert report.cut["inventory.ledger", 0] == cluster.flow.ends.get(("inventory.ledger", 0), 0)
    assert report.read_at == cluster.now()


def test_dead_letters_and_stock_are_read_first_since_they_say_what_to_compare() -> None:
    cluster = RecordedCluster(flow=clean_flow())

    report_of(cluster)

    first, rest = cluster.reads
    assert first
    assert all(topic.endswith((DEAD_LETTER, WAREHOUSE_CHANGELOG)) for topic in first)
    assert not any(topic.endswith(DEAD_LETTER) for topic in rest)


def test_an_open_order_what_it_owes_and_what_is_parked_are_in_the_report() -> None:
    flow = clean_flow()
    request = asked_for_payment(flow, place(flow, "o-new"))
    park(flow, request, "retrying")
    flow.last("OrderState", "o-undone").fields |= {"status": "compensation_failed", "owed": ["payment"]}

    report = report_of(RecordedCluster(flow=flow))

    assert [order.order_id for order in report.open_orders] == ["o-new"]
    assert report.owing == {"o-undone": ("payment",)}
    assert report.counted is not None
    assert report.counted["records parked"] == 1


def test_what_is_wrong_is_a_violation_and_so_are_orders_that_are_missing() -> None:
    flow = clean_flow()
    flow.drop(flow.last("PaymentRefunded", "o-undone"))

    report = report_of(RecordedCluster(flow=flow), expect_orders=9)

    assert report.exit_code == 1
    assert "9 orders were expected, 4 are accepted" in {violation.words for violation in report.violations}
    assert {"inputs", "order state"} <= {violation.check for violation in report.violations}


def test_a_transaction_that_is_still_open_is_not_judged() -> None:
    flow = clean_flow()
    record = flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-done"), order_id="o-odd")
    record.set_header("ce_causationid", "not-read-yet")
    where: Place = record.at[:2]

    assert report_of(RecordedCluster(flow=flow)).exit_code == 1
    assert report_of(RecordedCluster(flow=flow, uncommitted={where: 1})).exit_code == 0


def test_a_state_of_a_transaction_that_is_still_open_is_not_judged() -> None:
    flow = clean_flow()
    backwards = flow.state("o-done", "payment_pending")

    assert report_of(RecordedCluster(flow=flow)).exit_code == 1
    assert report_of(RecordedCluster(flow=flow, uncommitted={backwards.at[:2]: 1})).exit_code == 0


@pytest.mark.parametrize("cut", [5, 20])
def test_state_that_cannot_be_read_is_a_violation_with_its_place(cut: int) -> None:
    flow = clean_flow()
    state = flow.last("OrderState", "o-done")
    state.raw_value = encoded("OrderState", state.fields)[:cut] if cut > 5 else b"\0garbage"
    topic, partition, offset = flow.last("OrderState", "o-done").at

    violations = report_of(RecordedCluster(flow=flow)).violations
    (broken,) = (violation for violation in violations if violation.check == "records")

    assert (broken.check, broken.subject) == ("records", f"{topic}[{partition}]@{offset}")
    assert broken.words.startswith("state that cannot be read: ")


def test_without_a_provider_everything_but_money_is_checked() -> None:
    def read_nothing() -> tuple[Booking, ...]:
        raise CannotCheck("the sandbox is down")

    report = verify(RecordedCluster(flow=clean_flow()), read_nothing, Options())

    assert (report.violations, report.exit_code) == ((), 5)
    assert report.problems == ("money was not checked: the sandbox is down",)


def test_a_cluster_without_an_order_is_not_called_clean_unless_none_is_expected() -> None:
    flow = RecordedFlow()
    receive(flow)

    assert "no order on this cluster" in report_of(RecordedCluster(flow=flow)).problems[0]
    assert report_of(RecordedCluster(flow=flow), expect_orders=0).exit_code == 0


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ((), "this cluster is empty"),
        (TOPICS[1:], f"topics are missing: {TOPICS[0]}; `ensemble topics apply` makes them"),
    ],
)
def test_a_cluster_without_the_flows_topics_cannot_be_checked(topics: tuple[str, ...], message: str) -> None:
    report = report_of(RecordedCluster(RecordedFlow(), topics=topics))
    assert report.exit_code == 5
    assert message in report.problems[0]


def test_topics_of_another_format_are_named_and_not_called_bad() -> None:
    refuse_other_formats(FORMAT_OF)

    with pytest.raises(CannotCheck, match=r"reads Avro only, .*: web\.commands \(json\)"):
        refuse_other_formats({**FORMAT_OF, "web.commands": "json"})


def test_who_waits_for_the_flow_to_settle_waits_no_longer_than_the_limit() -> None:
    """Somebody writes all the time."""
    flow = clean_flow()
    looks: list[Place] = []

    class Busy(RecordedCluster):
        def ends(self, places: Iterable[Place]) -> dict[Place, int]:
            looks.append(("", 0))
            return super().ends(places) | {("", 0): len(looks)}

    assert report_of(Busy(flow=flow), settle_s=0.3).exit_code == 0
    assert len(looks) > 3


def options_of(flow: RecordedFlow, options: Options) -> Report:
    return verify(RecordedCluster(flow), lambda: flow.bookings, options)


def test_what_was_left_out_as_asked_comes_first_and_is_no_clean_result() -> None:
    # given an order that was not charged, and another with an end too many
    flow = clean_flow()
    flow.bookings = [booking for booking in flow.bookings if booking.order_id != "o-done"]
    flow.by("order", "orders.events", "OrderCompleted", flow.last("CompleteOrder", "o-fast"), order_id="o-fast")

    # when money, or all orders but one, or what is older is left out
    without_provider = options_of(flow, Options(provider_url=None))
    without_others = options_of(flow, Options(provider_url=None, orders=frozenset({"o-done"})))
    without_old_ones = options_of(flow, Options(provider_url=None, since=flow.now))

    # then only what was checked is told of, and the exit code says that it was not all
    assert [violation.check for violation in without_provider.violations] == ["endings"]
    assert (without_others.violations, without_others.exit_code) == ((), 5)
    assert (without_old_ones.violations, without_old_ones.exit_code) == ((), 5)
    assert without_provider.problems == ("money was not checked, as asked",)
    assert without_others.problems[0] == "only the orders asked for (1) were checked, and no warehouse"
    assert without_old_ones.problems[0].startswith("orders from before 1970-01-0")


def test_an_order_that_was_placed_since_is_checked_in_full() -> None:
    flow = clean_flow()
    since = flow.now
    for order_id in ("o-first", "o-second"):
        complete(flow, order_id)
    flow.drop(flow.last("ReservationConfirmed", "o-second"), flow.last("ReservationConfirmed", "o-done"))

    report = options_of(flow, Options(since=since))

    assert {violation.check for violation in report.violations} >= {"inputs", "order state"}
    assert not any("o-done" in violation.subject for violation in report.violations)


def test_two_processes_find_what_one_finds() -> None:
    # given orders that are clean, wrong, given up, under way, and stock and failures that each process sees a part of
    flow = clean_flow()
    for number in range(8):
        complete(flow, f"o-{number}")
        flow.drop(flow.last("PaymentConfirmed", f"o-{number}")) if number % 2 else None
    park(flow, asked_for_payment(flow, place(flow, "o-new")), "retrying")
    flow.last("StockDispatched", "o-1").raw_key = None
    flow.last("OrderState", "o-undone").fields |= {"status": "compensation_failed", "owed": ["payment"]}

    # when one process checks them, or two
    one, two = (options_of(flow, Options(expect_orders=9, processes=count)) for count in (1, 2))

    # then both say the same
    assert {violation.check for violation in one.violations} >= {"records", "inputs", "endings"}
    assert sorted(two.violations) == sorted(one.violations)
    assert two.counted == one.counted
    assert (two.messages, two.owing, two.notes) == (one.messages, one.owing, one.notes)
    assert sorted(two.open_orders) == sorted(one.open_orders)


def test_a_process_that_is_ended_is_told_of_and_no_traceback() -> None:
    class Dying(RecordedCluster):
        def __reduce__(self) -> tuple[Any, ...]:
            return os._exit, (9,)

    report = verify(Dying(flow=clean_flow()), lambda: (), Options(provider_url=None, processes=2))

    assert report.exit_code == 5
    assert report.problems == ("a process of the check was ended with exit code 9: is there memory enough?",)
