"""One answer says which services run, what waits, what failed, and what is held on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import session_on
from ensemble.operations import Status, read_status, status_projections
from ensemble.operations.view import View
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order


@pytest.fixture
def flow() -> Iterator[Any]:
    with capture_logs():
        yield FlowInMemory()


def status_of(flow: Any) -> Status:
    session = session_on(flow)
    with View(flow, status_projections(session)) as view:
        view.sync()
        return read_status(session, view)


def test_services_in_order_run_with_all_partitions_and_nothing_waits(flow: Any) -> None:
    flow.flow.publish(place_order())
    flow.settle()
    status = status_of(flow)
    assert [service.service for service in status.services] == list(session_on(flow).application.services)
    assert {(s.state, s.reason, s.behind, s.partitions, s.assigned) for s in status.services} == {
        ("running", "", 0, 4, 4)
    }
    assert (status.incidents, status.pauses, status.cluster.brokers) == ((), (), 1)


def test_a_service_that_is_down_says_since_when_what_it_has_not_read_waits(flow: Any) -> None:
    flow.settle()
    flow.stopped = {"order"}
    flow.flow.publish(place_order())
    [order, *_] = status_of(flow).services
    assert (order.state, order.instances, order.behind) == ("stopped", (), 1)
    assert order.next_unread is not None
    assert order.next_unread.topic == "orders.commands"
    assert order.unread_since is not None


def test_what_failed_and_what_is_held_is_counted_for_its_service(flow: Any) -> None:
    flow.gateway.available = False
    flow.flow.publish(place_order())
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.settle()
    flow.flow.pause("shipping", "service", "shipping", "stocktaking")
    status = status_of(flow)
    by_name = {service.service: service for service in status.services}
    payment, shipping = by_name["payment"], by_name["shipping"]
    assert (payment.dead_letters, payment.parked_keys, payment.parked_records) == (1, 1, 1)
    assert shipping.state == "paused"
    assert shipping.reason.endswith("stocktaking")
    assert [pause.name for pause in status.pauses] == ["shipping"]
    assert by_name["order"].dead_letters == 0
