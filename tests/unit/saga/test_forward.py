"""The order saga on its way: in order, early, late, twice, unanswered."""

from __future__ import annotations

import pytest

from contracts import FulfilOrder, ProcessPayment
from ensemble.saga import Deadline
from tests.support.order_saga_driver import (
    CANCEL,
    PAID,
    PLACED,
    REFUNDED,
    RESERVED,
    SCHEDULED,
    OrderSaga,
    failed,
)


def test_asks_for_the_payment_when_an_order_is_placed() -> None:
    order_saga = OrderSaga(PLACED)
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert (command.amount, command.attempt) == (900, 1)
    assert (order_saga.state.status, order_saga.state.step) == ("payment_pending", "payment")
    assert order_saga.state.expected == ("PaymentConfirmed", "PaymentDeclined")
    assert order_saga.state.due_at == order_saga.now + 10_000


def test_commands_expire_a_margin_after_their_step_was_given_up() -> None:
    order_saga = OrderSaga(PLACED)
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert command.expires_at == order_saga.now + 2 * 10_000 + 60_000


def test_fulfils_what_is_paid() -> None:
    order_saga = OrderSaga(PLACED, PAID)
    assert order_saga.names == ["FulfilOrder"]
    assert (order_saga.state.status, order_saga.state.step) == ("fulfilled", "reservation")


def test_waits_for_the_shipment_without_a_command_of_its_own() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED)
    assert order_saga.names == []
    assert (order_saga.state.status, order_saga.state.step, order_saga.state.expected) == (
        "fulfilled",
        "shipment",
        ("ShipmentScheduled",),
    )


def test_completes_when_all_steps_are_done() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED, SCHEDULED)
    assert order_saga.names == ["CompleteOrder", "DispatchStock"]
    assert (order_saga.state.status, order_saga.state.step, order_saga.state.due_at) == ("completed", None, None)
    assert order_saga.state.forget_at == order_saga.now + 7 * 86_400_000


@pytest.mark.parametrize("place", [0, 1, 2])
def test_counts_an_early_shipment_wherever_it_comes(place: int) -> None:
    messages = [PLACED, PAID, RESERVED]
    messages.insert(place, SCHEDULED)
    order_saga = OrderSaga(*messages)
    assert order_saga.all_names == ["ProcessPayment", "FulfilOrder", "CompleteOrder", "DispatchStock"]
    assert order_saga.state.status == "completed"


def test_skips_steps_that_were_done_before_the_order_was_known() -> None:
    order_saga = OrderSaga(PAID, PLACED)
    assert order_saga.all_names == ["FulfilOrder"]
    assert order_saga.state.status == "fulfilled"


def test_waits_for_the_order_of_an_early_event() -> None:
    order_saga = OrderSaga(SCHEDULED)
    assert (order_saga.state.status, order_saga.state.expected, order_saga.state.due_at) == (
        "placeholder",
        ("OrderPlaced",),
        None,
    )
    assert order_saga.state.forget_at == order_saga.now + 3_600_000


def test_a_placeholder_is_kept_no_longer_for_a_second_event() -> None:
    order_saga = OrderSaga(SCHEDULED)
    first = order_saga.state.forget_at
    assert order_saga.on(PAID).state.forget_at == first


def test_an_order_that_was_placed_is_not_forgotten() -> None:
    assert OrderSaga(SCHEDULED, PLACED).state.forget_at is None


@pytest.mark.parametrize("again", [PLACED, PAID])
def test_ignores_what_comes_twice(again: object) -> None:
    order_saga = OrderSaga(PLACED, PAID)
    before = order_saga.state
    order_saga.on(PLACED if again is PLACED else PAID)
    assert order_saga.sent == []
    assert order_saga.state == before


def test_sends_again_as_a_new_attempt_when_nothing_came() -> None:
    order_saga = OrderSaga(PLACED).time_out()
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, order_saga.state.attempt) == (2, 2)
    assert command.expires_at == order_saga.now + 10_000 + 60_000
    assert order_saga.state.due_at == order_saga.now + 10_000


def test_nudges_inventory_when_the_shipment_does_not_come() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED).time_out()
    (command,) = order_saga.sent
    assert isinstance(command, FulfilOrder)
    assert (command.attempt, order_saga.state.step) == (2, "shipment")


def test_goes_on_when_the_answer_to_an_earlier_attempt_comes() -> None:
    assert OrderSaga(PLACED).time_out().on(PAID).names == ["FulfilOrder"]


def test_ignores_a_deadline_that_was_replaced() -> None:
    order_saga = OrderSaga(PLACED)
    old = order_saga.state.due_at or 0
    order_saga.on(PAID, Deadline(old))
    assert order_saga.sent == []
    assert order_saga.state.attempt == 1


def test_waits_out_the_deadline_when_a_command_failed_but_resends_are_left() -> None:
    order_saga = OrderSaga(PLACED, failed("ProcessPayment", 1))
    assert order_saga.sent == []
    assert order_saga.time_out().names == ["ProcessPayment"]


def test_ignores_that_a_command_of_an_old_attempt_or_a_finished_step_failed() -> None:
    order_saga = OrderSaga(PLACED).time_out().on(failed("ProcessPayment", 1))
    assert order_saga.state.status == "payment_pending"
    order_saga.on(PAID, failed("ProcessPayment", 2))
    assert (order_saga.state.status, order_saga.sent) == ("fulfilled", [])


def test_changes_nothing_after_the_end() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED, SCHEDULED)
    ended = order_saga.state
    for late in (PLACED, PAID, CANCEL, REFUNDED, failed("CompleteOrder", 0), Deadline(order_saga.now + 1)):
        order_saga.on(late)
        assert (order_saga.state, order_saga.sent) == (ended, [])
