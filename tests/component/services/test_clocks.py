"""Wrong clocks: ahead, behind and jumping, on one machine of the flow. Nothing is declined, forgotten or doubled."""

import pytest

from ensemble.messages import Message
from services.inventory.domain import Warehouse
from tests.support.order_messages import order_placed, place_order, receive_stock
from tests.support.skewed_flow import SERVICES, SkewedFlow

DAY_S = 86_400.0
EACH_MACHINE = pytest.mark.parametrize("name", SERVICES)
EACH_WAY = pytest.mark.parametrize("wrong_by_s", [DAY_S, -DAY_S], ids=["ahead", "behind"])


def publish(flow: SkewedFlow, message: Message, message_id: str) -> None:
    """Publish as an outsider, and let all services handle what follows at once."""
    flow.publish(message, message_id=message_id)
    flow.run()


def stocked(flow: SkewedFlow) -> SkewedFlow:
    publish(flow, receive_stock(quantity=10), "receipt-1")
    return flow


def on_hand(flow: SkewedFlow) -> int:
    return int(flow.aggregate(Warehouse, "w-1").stock["bolt"].on_hand)


@EACH_MACHINE
@EACH_WAY
def test_an_order_is_completed_though_one_machine_is_a_day_off(name: str, wrong_by_s: float) -> None:
    """A command that expires by another machine's clock has not expired."""
    flow = stocked(SkewedFlow({name: wrong_by_s}))
    publish(flow, place_order(), "order-1")
    flow.advance(600)
    assert (flow.status(), flow.dead_letters) == ("completed", [])
    assert (on_hand(flow), list(flow.gateway.captured.values())) == (8, [500])


@EACH_MACHINE
@EACH_WAY
def test_an_order_is_completed_though_one_clock_is_set_on_the_way(name: str, wrong_by_s: float) -> None:
    flow = stocked(SkewedFlow())
    flow.gateway.available = False
    publish(flow, place_order(), "order-1")
    flow.machines[name].wrong_by_s = wrong_by_s
    flow.advance(3)
    flow.gateway.available = True
    flow.machines[name].wrong_by_s = 0
    flow.advance(60)
    assert (flow.status(), flow.dead_letters) == ("completed", [])


@EACH_WAY
def test_a_retry_comes_when_it_is_due_though_the_clock_is_set(wrong_by_s: float) -> None:
    """Set back by a day, a key that waits for five seconds would wait for a day."""
    flow = stocked(SkewedFlow())
    publish(flow, order_placed(payment_token="tok_fail_once"), "order-1")
    assert flow.status() == "payment_pending"
    flow.machines["payment"].wrong_by_s = wrong_by_s
    flow.advance(15)
    assert flow.status() == "completed"


@EACH_WAY
def test_a_saga_waits_for_its_deadline_though_the_clock_is_set(wrong_by_s: float) -> None:
    """Set ahead by a day, all attempts would be used up at once; set back, nothing would be sent again for a day."""
    flow = stocked(SkewedFlow())
    flow.gateway.available = False
    publish(flow, order_placed(), "order-1")
    flow.machines["orchestrator"].wrong_by_s = wrong_by_s
    sent = len(flow.records("payments.commands"))
    flow.advance(15)
    assert flow.status() == "payment_pending"
    flow.gateway.available = True
    flow.advance(60)
    assert (flow.status(), sent > 0) == ("completed", True)


@EACH_WAY
def test_a_repeated_message_is_known_though_the_clock_was_set_in_between(wrong_by_s: float) -> None:
    """Set ahead by more than a day, the window of a day would be empty, and a receipt be booked twice."""
    flow = stocked(SkewedFlow())
    flow.machines["inventory"].wrong_by_s = 2 * wrong_by_s
    publish(flow, receive_stock(quantity=10), "receipt-2")
    flow.machines["inventory"].wrong_by_s = 0
    publish(flow, receive_stock(quantity=10), "receipt-1")
    assert on_hand(flow) == 20


def test_what_comes_before_its_order_is_kept_though_the_clock_is_set() -> None:
    """The orchestrator keeps it for an hour."""
    flow = stocked(SkewedFlow())
    publish(flow, order_placed(shipping_speed="express"), "order-1")
    flow.machines["orchestrator"].wrong_by_s = DAY_S
    flow.advance(60)
    assert flow.status() == "completed"
