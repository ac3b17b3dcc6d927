"""Few orders of the flow in memory, for commands that list, show and act."""

from __future__ import annotations

from typing import Any

from ensemble.command_line.publishing import publish
from tests.support.order_messages import place_order


def place_few_orders(flow: Any) -> None:
    """Have one order completed, one's reservation awaited, one's charge wait parked, and one refused."""
    publish(flow, place_order())
    flow.settle()
    publish(flow, place_order(customer_id="c-2"))
    flow.stopped = {"inventory"}
    publish(flow, place_order(order_id="o-2", customer_id="c-2"))
    flow.settle()
    flow.gateway.available = False
    publish(flow, place_order(order_id="o-3"))
    flow.settle()
