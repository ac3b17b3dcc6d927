"""Bursts of orders: planned within bounds, and placed once however often the plan is run."""

from __future__ import annotations

from typing import Any

import pytest

from backoffice.order_bursts import OrderBursts
from backoffice.order_placement import AcceptedOrder, NewOrder
from ensemble.operations import Actor, Finished, Intent, Invalid, Position, Resolved, Submitted

ORDER = NewOrder.model_validate({
    "customer_id": "c-1", "lines": [{"sku": "tea", "quantity": 1, "unit_price": 5}], "currency": "EUR",
    "payment_token": "tok_approve", "warehouse_id": "w-1",
})  # fmt: skip
INTENT = Intent(actor=Actor(name="ann", via="cli"), reason="load")


class Placement:
    """Places each order under the id that its identity makes."""

    def __init__(self) -> None:
        self.placed: list[tuple[NewOrder, str]] = []

    def place(self, order: NewOrder, identity: str) -> AcceptedOrder:
        self.placed.append((order, identity))
        position = Position(topic="orders.commands", partition=0, offset=len(self.placed))
        return AcceptedOrder(order_id=f"order-{identity}", message_id=identity, position=position)


def bursts() -> tuple[Any, OrderBursts]:
    placement: Any = Placement()
    return placement, OrderBursts(placement)


@pytest.mark.parametrize("count", [1, 3, 100_000])
def test_a_plan_names_each_order_by_its_number(count: int) -> None:
    plan = bursts()[1].plan(ORDER, count)
    assert (plan.names[0], plan.names[-1], len(plan.items)) == ("000001", f"{count:06}", count)
    assert plan.order == ORDER


@pytest.mark.parametrize("count", [-1, 0, 100_001])
def test_too_few_or_too_many_are_refused(count: int) -> None:
    with pytest.raises(Invalid, match=r"^place 1 to 100,000 orders at once$") as refusal:
        bursts()[1].plan(ORDER, count)
    assert refusal.value.field == "count"


def test_orders_of_one_id_are_refused() -> None:
    with pytest.raises(Invalid, match="several orders cannot have one id") as refusal:
        bursts()[1].plan(ORDER.model_copy(update={"order_id": "o-1"}), 2)
    assert refusal.value.field == "order_id"


def test_a_run_places_each_order_once_under_an_identity_that_follows_from_plan_intent_and_number() -> None:
    placement, of = bursts()
    plan = of.plan(ORDER, 101)
    events = list(of.run(plan, INTENT).events())
    resolved = [event for event in events if isinstance(event, Resolved)]
    assert [(event.name, event.outcome, event.is_good) for event in resolved] == [
        (name, "placed", True) for name in plan.names
    ]
    assert [event.detail for event in resolved] == [f"order-{plan.derived_id(INTENT, name)}" for name in plan.names]
    assert {event.wave for event in events if isinstance(event, Submitted)} == {1, 2}
    assert isinstance(events[-1], Finished)
    assert (events[-1].succeeded, events[-1].failed) == (101, 0)
    before = list(placement.placed)
    list(of.run(plan, INTENT).events())
    assert placement.placed == before * 2
