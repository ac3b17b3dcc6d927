"""The check from end to end on a recorded cluster: what is read, what is reported, and what cannot be checked."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.recorded_flow.cluster import RecordedCluster
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import asked_for_payment, clean_flow, place, receive
from tests.support.recorded_flow.parking import park
from tests.support.recorded_flow.records import TOPICS
from verifier import Options, Report, verify
from verifier.facts import Booking, Place
from verifier.flow import DEAD_LETTER
from verifier.source import CannotCheck


def report_of(cluster: RecordedCluster, expect_orders: int | None = None, settle_s: float = 0.0) -> Report:
    """Check the cluster, with a provider that holds the flow's bookings."""
    return verify(cluster, lambda: tuple(cluster.flow.bookings), Options(expect_orders, settle_s=settle_s))


def test_a_clean_cluster_is_reported_clean_with_everything_that_was_read() -> None:
    cluster = RecordedCluster(flow=clean_flow())

    report = report_of(cluster, expect_orders=4)

    assert (report.violations, report.problems, report.exit_code) == ((), (), 0)
    assert report.counted is not None
    assert (report.counted.orders, report.counted.captures, report.counted.warehouses) == (4, 3, 1)
    assert report.lags["payment"] == {"payments.commands": 0}
    assert report.cut["inventory.ledger", 0] == cluster.flow.ends.get(("inventory.ledger", 0), 0)
    assert report.read_at == cluster.now()


def test_dead_letters_are_read_first_since_they_name_what_is_kept() -> None:
    cluster = RecordedCluster(flow=clean_flow())

    report_of(cluster)

    first, rest = cluster.reads
    assert first
    assert all(topic.endswith(DEAD_LETTER) for topic in first)
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
    assert report.counted.parked == 1


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


def test_state_that_cannot_be_read_is_a_violation_with_its_place() -> None:
    flow = clean_flow()
    flow.last("OrderState", "o-done").raw_value = b"\0garbage"
    topic, partition, offset = flow.last("OrderState", "o-done").at

    broken, *_ = report_of(RecordedCluster(flow=flow)).violations

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
    report = report_of(RecordedCluster(topics=topics))
    assert report.exit_code == 5
    assert message in report.problems[0]


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
