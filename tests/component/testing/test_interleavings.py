"""Every order of a few records: all are met, none twice, and one can be repeated."""

from __future__ import annotations

import pytest

from contracts import OrderPlaced, ProcessPayment, RequestCancellation
from ensemble.testing import FlowError, FlowTestDriver, Interleavings
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from tests.support.order_messages import order_placed, place_order


def race(orders: Interleavings) -> int:
    """Have an order and its cancellation come on two topics, and return how many payments were asked for."""
    flow = FlowTestDriver([orchestrator()], interleavings=orders)
    flow.publish(order_placed(), RequestCancellation(order_id="o-1", reason="changed my mind"))
    flow.run()
    return len(flow.messages(ProcessPayment))


def test_meets_both_orders_of_two_records() -> None:
    orders = Interleavings()
    assert {race(orders) for _ in orders} == {0, 1}
    assert orders.are_complete


def test_repeats_one_order_by_its_choices() -> None:
    orders = Interleavings()
    for payments, choices in [(race(orders), orders.choices) for _ in orders]:
        again = Interleavings(only=choices)
        assert [race(again) for _ in again] == [payments]
        assert not again.are_complete


def test_follows_what_leads_to_the_same_records_once() -> None:
    """Two keys of two partitions, with two records each: handled in six ways, one of which meets nothing new."""
    orders = Interleavings()
    for _ in orders:
        flow = FlowTestDriver([order_service()], interleavings=orders)
        flow.publish(place_order(order_id="a"), place_order(order_id="c"))
        flow.run()
        assert len(flow.messages(OrderPlaced)) == 2
    assert (orders.are_complete, orders.count) == (True, 5)


def test_meets_every_order_though_a_crash_is_ahead() -> None:
    """The first batch dies and leaves no record: the topics are as before, but what follows is not."""

    def meet(orders: Interleavings) -> tuple[str, ...]:
        flow = FlowTestDriver([order_service()], interleavings=orders)
        flow.publish(place_order(order_id="a"), place_order(order_id="c"))
        flow.crash("order", at="after-poll")
        flow.run()
        return tuple(message.order_id for message in flow.messages(OrderPlaced))

    orders = Interleavings()
    met = {meet(orders) for _ in orders}
    assert (orders.are_complete, met) == (True, {("a", "c"), ("c", "a")})


def test_stops_at_its_limit_and_says_that_orders_are_left() -> None:
    orders = Interleavings(limit=1)
    assert len([race(orders) for _ in orders]) == 1
    assert not orders.are_complete


def test_refuses_a_scenario_that_differs_each_time() -> None:
    orders = Interleavings()
    for number in orders:
        flow = FlowTestDriver([order_service()], interleavings=orders)
        if number == 0:
            flow.publish(place_order(), order_placed())
            flow.run()
        else:
            flow.publish(place_order())
            with pytest.raises(FlowError, match="the scenario differs each time"):
                flow.run()
            break
    else:
        pytest.fail("there was one order only")
