"""The orchestrator as a service in memory: the rows of the source article, and what the state topic says."""

from __future__ import annotations

import pytest

from contracts import (
    CancelOrder,
    CancelShipment,
    Command,
    CompleteOrder,
    DispatchStock,
    Event,
    FulfilOrder,
    OrderPlaced,
    OrderState,
    ProcessPayment,
    RequestCancellation,
)
from ensemble.testing.driver import ServiceTestDriver
from services.orchestrator.service import orchestrator
from tests.support.order_saga_driver import (
    CANCEL,
    DECLINED,
    PAID,
    PLACED,
    RESERVED,
    SCHEDULED,
    UNSHIPPED,
    failed,
)

STATE_TOPIC = "orchestrator.order-state"


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(orchestrator())


def state_of(driver: ServiceTestDriver) -> OrderState:
    state = driver.state(OrderState, "o-1")
    assert state is not None
    return state


def finish(driver: ServiceTestDriver) -> None:
    for event in (PLACED, PAID, RESERVED, SCHEDULED):
        driver.receive(event)
    driver.clear()


def test_handle_sets_payment_pending_and_sends_process_payment(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    (command,) = driver.sent
    assert isinstance(command, ProcessPayment)
    assert (command.order_id, command.amount, command.payment_token) == ("o-1", 900, "tok-approve")
    assert state_of(driver).status == "payment_pending"


def test_on_payment_confirmed_sets_fulfilled_and_sends_fulfil_order(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.receive(PAID)
    (command,) = driver.sent
    assert isinstance(command, FulfilOrder)
    assert (command.warehouse_id, command.lines, command.shipping_speed) == ("berlin", PLACED.lines, "express")
    assert state_of(driver).status == "fulfilled"


def test_completes_the_order_and_has_its_stock_dispatched(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAID, RESERVED)
    driver.clear()
    driver.receive(SCHEDULED)
    assert driver.sent == [CompleteOrder(order_id="o-1"), DispatchStock(order_id="o-1", warehouse_id="berlin")]


def test_undoes_a_declined_order(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, DECLINED)
    driver.clear()
    driver.receive(UNSHIPPED)
    assert driver.sent == [CancelOrder(order_id="o-1", reason="PaymentDeclined: card expired")]
    assert state_of(driver).status == "cancelled"


def test_undoes_an_order_on_request(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.receive(CANCEL)
    assert driver.sent == [CancelShipment(order_id="o-1", reason="RequestCancellation: changed my mind", attempt=1)]


def test_remembers_where_each_message_lies(driver: ServiceTestDriver) -> None:
    driver.receive(SCHEDULED)
    driver.receive(PLACED, message_id="m-placed")
    seen = state_of(driver).seen
    assert [(one.type, one.topic) for one in seen] == [
        ("ShipmentScheduled", "shipping.events"),
        ("OrderPlaced", "orders.events"),
    ]
    assert (seen[1].message_id, state_of(driver).placed_message_id) == ("m-placed", "m-placed")


def test_remembers_the_first_and_the_latest_messages_of_many(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    for number in range(40):
        driver.receive(failed("ProcessPayment", 7), message_id=f"m-{number}")
    seen = state_of(driver).seen
    assert len(seen) == 32
    assert (seen[0].type, seen[15].message_id, seen[16].message_id) == ("OrderPlaced", "m-14", "m-24")
    assert seen[-1].message_id == "m-39"


def test_a_shop_and_a_portal_may_number_their_messages_alike(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, message_id="7")
    driver.receive(CANCEL, message_id="7")
    assert state_of(driver).cancel_requested


def test_drops_a_message_that_it_has_seen(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.receive(PAID, message_id="m-paid")
    before = len(driver.records(STATE_TOPIC))
    driver.receive(PAID, message_id="m-paid")
    assert len(driver.records(STATE_TOPIC)) == before


def test_the_same_order_placed_again_is_noted_and_starts_nothing(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.receive(PLACED.model_copy(update={"placed_at": 2}))
    assert (driver.sent, driver.dead_letters) == ([], [])


OTHER_TERMS = {
    "customer_id": "c-2",
    "lines": (PLACED.lines[0].model_copy(update={"quantity": 3}),),
    "currency": "USD",
    "payment_token": "tok-other",
    "warehouse_id": "paris",
    "shipping_speed": "standard",
}


def test_everything_that_an_order_says_is_a_term_but_its_name_and_its_time() -> None:
    assert OTHER_TERMS.keys() == OrderPlaced.model_fields.keys() - {"order_id", "placed_at"}


@pytest.mark.parametrize("term", OTHER_TERMS)
def test_an_order_placed_again_on_other_terms_is_dead_lettered(driver: ServiceTestDriver, term: str) -> None:
    driver.receive(PLACED)
    before = state_of(driver)
    driver.receive(PLACED.model_copy(update={term: OTHER_TERMS[term]}))
    (letter,) = driver.dead_letters
    assert b"on other terms" in dict(letter.headers())["__streams.errors.message"]
    assert state_of(driver) == before


def test_an_ended_order_leaves_a_stub_that_no_late_order_starts(driver: ServiceTestDriver) -> None:
    """Rule 5: a finished order leaves a stub, so that a late OrderPlaced never starts it again."""
    finish(driver)
    driver.receive(PLACED.model_copy(update={"placed_at": 2}), PAID, CANCEL)
    state = state_of(driver)
    assert (driver.sent, state.status, state.order) == ([], "completed", None)
    assert [one.type for one in state.seen[-3:]] == ["OrderPlaced", "PaymentConfirmed", "RequestCancellation"]


def test_other_terms_are_refused_after_the_end_too(driver: ServiceTestDriver) -> None:
    finish(driver)
    driver.receive(PLACED.model_copy(update={"customer_id": "c-2"}))
    assert len(driver.dead_letters) == 1


@pytest.mark.parametrize("events", [[PLACED], [PLACED, PAID], [PLACED, PAID, RESERVED]])
def test_a_crash_before_the_commit_leaves_nothing(driver: ServiceTestDriver, events: list[Event]) -> None:
    driver.receive(*events[:-1])
    before = driver.state(OrderState, "o-1")
    driver.clear()
    driver.crash(events[-1])
    sent: list[Command] = list(driver.sent)  # type: ignore[arg-type]  # all are of the contracts
    assert (sent, driver.state(OrderState, "o-1")) == ([], before)


def test_one_state_record_a_message(driver: ServiceTestDriver) -> None:
    finish(driver)
    assert len(driver.records(STATE_TOPIC)) == 4


def test_the_name_of_whoever_cancels_takes_little_of_the_orders_state(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, RequestCancellation(order_id="o-1", reason="no", requested_by="x" * 500))
    assert state_of(driver).seen[-1].by == "x" * 200
