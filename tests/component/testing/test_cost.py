"""What a batch costs depends on its own records, not on how long the log is by then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ensemble.testing import ServiceTestDriver
from services.order.service import order_service
from tests.support.order_flow import OrderFlow
from tests.support.order_messages import order_placed, place_order


def test_a_long_log_makes_no_batch_costlier() -> None:
    # given
    driver = ServiceTestDriver(order_service())

    def receive(number: int) -> None:
        driver.receive(place_order(order_id=f"o-{number}"))

    # when
    early = calls_of(receive, range(100))
    for number in range(100, 1_400):
        receive(number)

    # then
    assert calls_of(receive, range(1_400, 1_500)) < 1.1 * early


def test_many_orders_make_none_of_a_flow_costlier() -> None:
    # given
    flow = OrderFlow(stock={"bolt": 1_000_000})

    def play(number: int) -> None:
        flow.publish(order_placed(order_id=f"o-{number}"))
        flow.run_until(lambda: flow.status(f"o-{number}") == "completed", within_s=60)

    # when
    play(0)
    early = calls_of(play, range(1, 6))
    for number in range(6, 60):
        play(number)

    # then
    assert calls_of(play, range(60, 65)) < 1.1 * early


def calls_of(play: Callable[[int], None], numbers: range) -> int:
    """Return how many functions are called: unlike a time, this is the same on a busy machine."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        for number in numbers:
            play(number)
    finally:
        sys.setprofile(None)
    return calls
