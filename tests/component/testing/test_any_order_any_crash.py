"""Whatever the order of batches, and wherever a service dies: each order ends as its kind has to, and money agrees."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ensemble.settings import CRASH_POINTS
from tests.support.order_flow import OrderFlow
from tests.support.order_messages import lines, place_order

KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "paid": ({}, "completed"),
    "express": ({"shipping_speed": "express"}, "completed"),
    "declined": ({"payment_token": "tok_declined"}, "cancelled"),
    "fails-once": ({"payment_token": "tok_fail_once"}, "completed"),
    "too-many": ({"lines": lines(bolt=500)}, "cancelled"),
}
SERVICES = ("order", "payment", "inventory", "shipping", "orchestrator")
CRASHES = st.lists(st.tuples(st.sampled_from(SERVICES), st.sampled_from(CRASH_POINTS), st.integers(1, 4)), max_size=4)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), crashes=CRASHES)
def test_the_business_result_is_the_same(seed: int, crashes: list[tuple[str, str, int]]) -> None:
    # given
    flow = OrderFlow(stock={"bolt": 100}, seed=seed)
    for service, point, nth in crashes:
        flow.crash(service, at=point, nth=nth)

    # when
    for name, (terms, _) in KINDS.items():
        flow.publish(place_order(order_id=name, **terms))
    flow.run_until(lambda: all(flow.status(name) in {"completed", "cancelled"} for name in KINDS), within_s=300)

    # then
    assert {name: flow.status(name) for name in KINDS} == {name: end for name, (_, end) in KINDS.items()}
    assert set(flow.gateway.captured) == {f"{name}:charge" for name, (_, end) in KINDS.items() if end == "completed"}
    assert flow.verify(expect_orders=len(KINDS)).violations == ()
