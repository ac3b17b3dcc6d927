"""What a batch costs depends on its own records, not on how long the log is by then."""

from __future__ import annotations

import time
from statistics import median

from ensemble.testing import ServiceTestDriver
from services.order.service import order_service
from tests.support.order_messages import place_order


def test_a_long_log_makes_no_batch_slower() -> None:
    # given
    driver, costs = ServiceTestDriver(order_service()), list[int]()

    # when
    for number in range(1_500):
        began = time.process_time_ns()
        driver.receive(place_order(order_id=f"o-{number}"))
        costs.append(time.process_time_ns() - began)

    # then
    assert median(costs[-300:]) < 2 * median(costs[100:400])
