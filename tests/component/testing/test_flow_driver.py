"""What the driver of a whole flow promises, on the order flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import (
    AttemptCharge,
    FulfilOrder,
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    OrderState,
    PaymentConfirmed,
    ProcessPayment,
    RequestCancellation,
    ShipmentScheduled,
)
from contracts.state import Payment
from ensemble.engine.routes import Limits
from ensemble.errors import ConfigurationError, UnreadableState
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.settings import CRASH_POINTS
from ensemble.system_messages.operations import OperationDone
from ensemble.testing import FlowError, FlowTestDriver, ServiceTestDriver
from services.inventory.domain import Warehouse
from services.order.service import order_service
from tests.support.json_flow import Confirm, json_service
from tests.support.order_flow import OrderFlow
from tests.support.order_messages import order_placed, place_order
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Script
from tests.support.scripted_service.service import scripted_service

PAID = PaymentConfirmed(order_id="o-1", amount=1, currency="EUR")
SERVICES = ("order", "payment", "inventory", "shipping", "orchestrator")


@pytest.fixture
def flow() -> OrderFlow:
    return OrderFlow(stock={"bolt": 10})


def names(flow: FlowTestDriver) -> list[str]:
    return [type(message).__name__ for message in flow.messages()]


# -- running -----------------------------------------------------------------------------------------------------


def test_feeds_each_services_outputs_to_the_others_until_nothing_is_left(flow: OrderFlow) -> None:
    flow.publish(place_order())
    flow.run()
    assert flow.messages(OrderCompleted) == [OrderCompleted(order_id="o-1")]
    assert flow.status() == "completed"
    assert flow.aggregate(Warehouse, "w-1").stock["bolt"].on_hand == 8
    assert flow.step() is None


def test_a_step_is_one_batch_of_one_service(flow: OrderFlow) -> None:
    flow.run()
    flow.publish(place_order())
    assert (flow.step(), names(flow)[-1]) == ("order", "OrderPlaced")


def test_the_order_of_batches_is_the_same_for_the_same_seed() -> None:
    def logged(seed: int | None) -> list[StoredRecord]:
        flow = OrderFlow(stock={"bolt": 10}, seed=seed)
        flow.publish(*(place_order(order_id=f"o-{number}") for number in range(5)))
        flow.run()
        assert len(flow.messages(OrderCompleted)) == 5
        return flow.log

    assert logged(None) == logged(None)
    assert logged(7) == logged(7)
    assert logged(7) != logged(8)


def test_tells_which_services_never_come_to_rest(flow: OrderFlow) -> None:
    flow.publish(place_order())
    with pytest.raises(FlowError, match=r"still busy after 2 batches: .*orchestrator"):
        flow.run(limit=2)


# -- time --------------------------------------------------------------------------------------------------------


def test_turns_the_clock_to_each_due_time_on_the_way(flow: OrderFlow) -> None:
    flow.stop("payment")
    flow.publish(place_order())
    flow.advance(19.9)
    assert [command.attempt for command in flow.messages(ProcessPayment)] == [1]
    flow.advance(20.2)
    assert [command.attempt for command in flow.messages(ProcessPayment)] == [1, 2, 3]


def test_skips_the_time_until_a_condition_is_true(flow: OrderFlow) -> None:
    flow.stop("payment")
    flow.publish(place_order(shipping_speed="express"))
    began = flow.clock.now()
    flow.run_until(lambda: flow.status() == "compensating")
    assert flow.clock.now() - began == 80_000


def test_says_so_when_a_condition_does_not_come_true(flow: OrderFlow) -> None:
    flow.stop("payment")
    flow.hold("orders.events")
    with pytest.raises(FlowError, match=r"not true within 5 s.*; payment is down; orders.events is held"):
        flow.run_until(lambda: flow.status() == "completed", within_s=5)


def test_lists_the_timers_of_all_services(flow: OrderFlow) -> None:
    flow.stop("payment")
    flow.publish(place_order())
    flow.run()
    ((service, timer),) = flow.timers
    assert (service, timer.key, timer.name, timer.due_at) == (
        "orchestrator",
        "o-1",
        "deadline",
        flow.clock.now() + 20_000,
    )


def test_a_deadline_waits_until_its_answer_is_read(flow: OrderFlow) -> None:
    flow.publish(place_order())
    flow.hold("payments.events")
    flow.run()
    flow.advance(60)
    assert len(flow.messages(ProcessPayment)) == 1
    flow.release("payments.events")
    flow.run()
    assert flow.status() == "completed"
    assert len(flow.messages(ProcessPayment)) == 1


# -- harm --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_point_changes_nothing_that_counts(point: str) -> None:
    # given
    flow = OrderFlow(stock={"bolt": 10})
    for service in SERVICES:
        flow.crash(service, at=point)

    # when
    flow.publish(place_order())
    flow.run()

    # then
    assert flow.deaths == [(service, point) for service in SERVICES]
    assert (flow.messages(OrderCompleted), flow.dead_letters) == ([OrderCompleted(order_id="o-1")], [])
    assert flow.gateway.captured == {"o-1:charge": 500}
    assert flow.verify(expect_orders=1).violations == ()


def test_before_its_commit_a_crash_leaves_nothing_but_offsets_that_are_used_up(flow: OrderFlow) -> None:
    flow.crash("order", at="after-flush")
    flow.publish(place_order())
    assert (flow.step(), flow.messages(OrderPlaced)) == ("order", [])
    flow.run()
    placed, completed = flow.records("orders.events")
    assert (placed.at_offset, completed.at_offset) == (1, 2)
    assert names(flow).count("OrderPlaced") == 1


def test_after_its_commit_a_crash_repeats_nothing(flow: OrderFlow) -> None:
    flow.crash("order", at="after-commit")
    flow.publish(place_order())
    flow.step()
    assert len(flow.messages(OrderPlaced)) == 1
    flow.run()
    assert len(flow.messages(OrderPlaced)) == 1


def test_a_crash_can_wait_for_its_nth_time(flow: OrderFlow) -> None:
    flow.crash("payment", at="in-batch", nth=2)
    flow.publish(place_order())
    flow.run()
    assert flow.deaths == [("payment", "in-batch")]
    assert len(flow.gateway.calls) == 2


def test_a_service_that_is_down_finds_all_that_came_meanwhile(flow: OrderFlow) -> None:
    flow.stop("inventory")
    flow.publish(place_order())
    flow.run()
    assert (flow.status(), len(flow.messages(FulfilOrder))) == ("fulfilled", 1)
    flow.start("inventory")
    flow.run()
    assert flow.status() == "completed"


@pytest.mark.parametrize("kind", [OrderPlaced, ProcessPayment, AttemptCharge, PaymentConfirmed, ShipmentScheduled])
def test_a_message_that_comes_twice_counts_once(flow: OrderFlow, kind: type) -> None:
    flow.publish(place_order(shipping_speed="express"))
    while not flow.messages(kind):
        flow.step()
    flow.duplicate(kind)
    flow.run()
    assert (len(flow.messages(OrderCompleted)), flow.dead_letters) == (1, [])
    assert flow.gateway.captured == {"o-1:charge": 500}


def test_what_an_outsider_sends_twice_is_dropped(flow: OrderFlow) -> None:
    flow.publish(place_order(), message_id="m-1")
    flow.publish(place_order(), message_id="m-1")
    flow.run()
    assert len(flow.messages(OrderPlaced)) == 1


def test_what_a_topic_held_back_is_overtaken(flow: OrderFlow) -> None:
    flow.hold("orders.events")
    flow.publish(order_placed(), RequestCancellation(order_id="o-1", reason="changed my mind"))
    flow.run()
    assert flow.status() == "placeholder"
    flow.release("orders.events")
    flow.run()
    assert (flow.status(), flow.gateway.calls) == ("cancelled", [])


def test_what_is_not_read_yet_can_be_reversed(flow: OrderFlow) -> None:
    flow.publish(place_order(), place_order(customer_id="c-2"))
    flow.reverse("orders.commands")
    flow.run()
    assert [event.customer_id for event in flow.messages(OrderPlaced)] == ["c-2"]
    assert len(flow.dead_letters) == 1


def test_a_message_is_written_where_the_catalogue_that_has_it_says(tmp_path: Path) -> None:
    flow = FlowTestDriver([json_service("counter"), scripted_service("shop", tmp_path)])
    flow.publish(Confirm(order_id="o-1"), script("a", "tell x"))
    assert [(record.topic(), record.key()) for record in flow.log] == [
        ("counter.commands", b"o-1"),
        ("shop.commands", b"a"),
    ]


# -- what came of it ---------------------------------------------------------------------------------------------


def test_tells_the_story_of_one_order(flow: OrderFlow) -> None:
    flow.publish(place_order(), place_order(order_id="o-2"))
    flow.run()
    assert [str(line) for line in flow.story("o-1")] == [
        "/outside sends PlaceOrder on orders.commands",
        "order emits OrderPlaced on orders.events",
        "orchestrator sends ProcessPayment on payments.commands",
        "payment sends AttemptCharge on payments.commands",
        "payment emits PaymentConfirmed on payments.events",
        "orchestrator sends FulfilOrder on inventory.commands",
        "inventory emits StockReserved on inventory.ledger",
        "inventory emits ReservationConfirmed on inventory.events",
        "inventory sends ScheduleShipment on shipping.commands",
        "shipping emits ShipmentScheduled on shipping.events",
        "orchestrator sends CompleteOrder on orders.commands",
        "orchestrator sends DispatchStock on inventory.commands",
        "order emits OrderCompleted on orders.events",
        "inventory emits StockDispatched on inventory.ledger",
    ]


def test_a_message_without_a_trace_is_told_by_its_key(flow: OrderFlow) -> None:
    # given events of two orders that an outsider has written without headers
    for order_id in ("o-1", "o-2"):
        flow.write("orders.events", order_id.encode(), encoder_for(OrderPlaced)(order_placed(order_id=order_id)))

    # when the first one's story is asked for before anything came of it
    story = [line.message for line in flow.story("o-1")]

    # then its event is all
    assert story == [order_placed(order_id="o-1")]


def test_stories_of_two_shops_that_number_alike_are_two(flow: OrderFlow) -> None:
    flow.publish(place_order(), message_id="1", source="/east")
    flow.publish(place_order(order_id="o-2"), message_id="1", source="/west")
    flow.run()
    stories = [{str(getattr(line.message, "order_id", "")) for line in flow.story(key)} for key in ("o-1", "o-2")]
    assert stories == [{"o-1"}, {"o-2"}]


def test_redrives_what_was_given_up(flow: OrderFlow) -> None:
    # given an order whose charge fails for longer than its retries last
    flow.gateway.available = False
    flow.publish(place_order())
    flow.run_until(lambda: flow.dead_letters)
    (letter,) = flow.dead_letters
    assert flow.service("payment").parked("o-1") is not None

    # when the provider is back and the letter is redriven
    flow.gateway.available = True
    flow.redrive(letter)
    flow.run()

    # then it is charged, and the order goes on, at once: no time has passed in which it could be sent again
    assert flow.service("payment").parked("o-1") is None
    assert flow.gateway.captured == {"o-1:charge": 500}
    assert flow.status() == "completed"


def test_discards_what_was_given_up(flow: OrderFlow) -> None:
    flow.gateway.available = False
    flow.publish(place_order())
    flow.run_until(lambda: flow.dead_letters)
    flow.discard(flow.dead_letters[0])
    flow.run()
    [answer] = flow.service("payment").answers(OperationDone)
    assert (answer.operation, answer.outcome) == ("DiscardRecord", "done")


def test_pauses_a_service_and_lets_it_go_on(flow: OrderFlow) -> None:
    flow.pause("payment", "service", "payment")
    flow.publish(place_order())
    flow.run()
    assert flow.gateway.calls == []
    flow.resume("payment", "service", "payment")
    flow.run()
    assert flow.status() == "completed"


def test_bytes_that_nobody_can_read_become_a_dead_letter(flow: OrderFlow) -> None:
    flow.write("orders.commands", b"o-1", b"?")
    flow.publish(place_order())
    flow.run()
    assert (len(flow.dead_letters), flow.status()) == (1, "completed")


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (lambda flow: flow.crash("order", at="lunch"), "no point 'lunch' to crash at; points are after-poll, in-batch"),
        (lambda flow: flow.stop("ordr"), "no service 'ordr' in this flow; it has order, payment, inventory"),
        (lambda flow: flow.duplicate(OrderCancelled), "no OrderCancelled was written yet"),
        (lambda flow: flow.state(StoredRecord, "o-1"), "StoredRecord is kept by no service of this flow"),
        (lambda flow: flow.hold("lunch"), "no topic 'lunch' here"),
        (lambda flow: flow.write("lunch", b"k", b"v"), "no topic 'lunch' here"),
        (lambda flow: flow.release("lunch"), "no topic 'lunch' here"),
        (lambda flow: flow.records("lunch"), "no topic 'lunch' here"),
        (lambda flow: flow.messages(Script), "Script: in no catalogue of the services under test"),
        (lambda flow: flow.pause("payment", "step", "lunch"), "no step 'lunch' in what is under test; it has payment"),
        (lambda flow: flow.pause("payment", "command", "Lunch"), "no command 'Lunch' in what is under test"),
        (lambda flow: flow.pause("payment", "service", "lunch"), "no service 'lunch' in what is under test"),
        (lambda flow: flow.crash("order", at="in-batch", nth=0), "order cannot die the 0th time that it reaches in-ba"),
        (lambda flow: FlowTestDriver([order_service()], limits={"ordr": Limits()}), "no service ordr in this flow"),
        (lambda flow: FlowTestDriver([order_service()], clocks={"ordr": flow.clock}), "no service ordr in this flow"),
        (lambda flow: FlowTestDriver([order_service(), order_service()]), "two services are called order"),
        (lambda flow: FlowTestDriver([]), "a flow needs a service"),
        (lambda flow: FlowTestDriver([3]), "3 is no service"),  # type: ignore[list-item]  # the mistake
        (lambda flow: FlowTestDriver(3), "3 is no service"),  # type: ignore[arg-type]  # likewise
        (lambda flow: ServiceTestDriver(order_service), "is no service; call it"),  # type: ignore[arg-type]  # likewise
        (lambda flow: ServiceTestDriver(order_service()).receive(PAID), "order does not read payments.events"),
        (lambda flow: ServiceTestDriver(order_service()).advance(-1), "time moves on"),
        (lambda flow: flow.advance(-1), "time moves on"),
        (lambda flow: flow.advance(float("nan")), "time moves on"),
        (lambda flow: flow.run_until(bool, within_s=-1), "time moves on"),
    ],
)
def test_says_what_is_wrong_with_a_call(flow: OrderFlow, act: Callable[[OrderFlow], object], problem: str) -> None:
    with pytest.raises((FlowError, ConfigurationError), match=problem):
        act(flow)


def test_a_record_of_another_topic_is_no_dead_letter(flow: OrderFlow) -> None:
    flow.publish(place_order())
    flow.run()
    [placed] = flow.records("orders.events")[:1]
    with pytest.raises(FlowError, match=r"a record of orders\.events is no dead letter of this flow"):
        flow.redrive(placed)


def test_no_time_at_all_may_pass(flow: OrderFlow) -> None:
    """What is due already runs then."""
    before = flow.clock.now()
    flow.advance(0)
    assert flow.clock.now() == before


def test_raises_what_made_a_partition_stop(flow: OrderFlow) -> None:
    flow.publish(place_order())
    flow.run()
    partition = flow.service("payment").process.partition_of(b"o-1")
    flow.topics.append(("payment.payment-changelog", b"\0\0\0\0\0?", b"o-1", [], partition))
    flow.stop("payment")
    flow.start("payment")
    with pytest.raises(UnreadableState, match=r"payment\.payment-changelog, key 'o-1'"):
        flow.state(Payment, "o-1")
    flow.duplicate(ProcessPayment)
    with pytest.raises(UnreadableState, match=r"payment\.payment-changelog"):
        flow.run()


def test_the_state_of_an_order_is_known_by_its_type(flow: OrderFlow) -> None:
    flow.publish(place_order())
    flow.run()
    assert flow.state(OrderState, "o-2") is None
    order = flow.state(OrderState, "o-1")
    assert order is not None
    assert order.order_id == "o-1"
