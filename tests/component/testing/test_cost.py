"""What a batch costs depends on its own records, not on how long the log is by then."""

from __future__ import annotations

import sys
from typing import Any

from ensemble.testing import ServiceTestDriver
from services.order.service import order_service
from tests.support.order_messages import place_order


def test_a_long_log_makes_no_batch_costlier() -> None:
    # given
    driver = ServiceTestDriver(order_service())
    early = [calls_of(driver, number) for number in range(100)]

    # when
    for number in range(100, 1_400):
        driver.receive(place_order(order_id=f"o-{number}"))

    # then
    late = [calls_of(driver, number) for number in range(1_400, 1_500)]
    assert sum(late) < 1.1 * sum(early)


def calls_of(driver: ServiceTestDriver, number: int) -> int:
    """Return how many functions are called to handle a command: unlike a time, this is the same on a busy machine."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        driver.receive(place_order(order_id=f"o-{number}"))
    finally:
        sys.setprofile(None)
    return calls
