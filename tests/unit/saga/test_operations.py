"""What people may do with an order: send again, turn back, settle. And which table goes on with which state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts import OrderState, ProcessPayment
from ensemble.errors import UnknownSaga
from ensemble.saga import advance, names_to_undo
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    PAID,
    PLACED,
    POLICIES,
    REFUNDED,
    RELEASED,
    RESERVED,
    RETRY,
    SCHEDULED,
    UNSHIPPED,
    OrderSaga,
    retry,
    settle,
)


def owing() -> OrderSaga:
    """An order whose refund was given up."""
    return OrderSaga(PLACED, PAID, CANCEL, UNSHIPPED, RELEASED).time_out(2)


def test_a_retry_sends_at_once_and_counts_anew() -> None:
    order_saga = OrderSaga(PLACED).time_out().on(RETRY)
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, command.expires_at) == (3, order_saga.now + 2 * 10_000 + 60_000)
    assert order_saga.time_out().names == ["ProcessPayment"]
    assert order_saga.time_out().names == ["CancelShipment"]


def test_a_retry_of_the_attempt_that_was_seen_holds_once() -> None:
    order_saga = OrderSaga(PLACED, retry("payment", 1))
    assert order_saga.names == ["ProcessPayment"]
    assert order_saga.on(retry("payment", 1)).sent == []


def test_a_retry_of_another_step_changes_nothing() -> None:
    order_saga = OrderSaga(PLACED, PAID)
    before = order_saga.state
    assert order_saga.on(retry("payment", 1)).state == before
    assert order_saga.sent == []


def test_a_retry_of_an_attempt_before_the_debt_is_stale() -> None:
    order_saga = owing()
    assert order_saga.on(retry("payment", 1)).sent == []
    assert order_saga.state.owed == ("payment",)


def test_what_is_owed_is_tried_again_on_request() -> None:
    order_saga = owing()
    assert (order_saga.state.status, order_saga.state.owed) == ("compensation_failed", ("payment",))
    assert order_saga.on(retry("payment")).names == ["RefundPayment"]
    assert order_saga.on(retry("payment")).sent == []
    assert order_saga.on(REFUNDED).names == ["CancelOrder"]


def test_an_operator_turns_an_order_back() -> None:
    order_saga = OrderSaga(PLACED, PAID, COMPENSATE)
    assert (order_saga.names, order_saga.state.reason) == (["CancelShipment"], "CompensateOrder: fraud")


def test_what_was_settled_by_hand_is_owed_no_longer() -> None:
    order_saga = owing().on(settle("payment"))
    assert (order_saga.names, order_saga.state.status) == (["CancelOrder"], "cancelled")
    assert (order_saga.state.owed, order_saga.state.settled) == ((), ("payment",))


def test_only_what_is_owed_can_be_settled() -> None:
    order_saga = OrderSaga(PLACED, PAID, settle("payment"))
    assert order_saga.state.settled == ()
    assert order_saga.on(CANCEL, UNSHIPPED, RELEASED).names == ["RefundPayment"]


def test_an_order_ends_when_all_is_settled() -> None:
    partly = OrderSaga(PLACED, PAID, CANCEL).time_out(6).on(settle("payment", "shipment"))
    assert (partly.names, partly.state.status, partly.state.owed) == ([], "compensation_failed", ("reservation",))
    assert partly.on(settle("reservation")).names == ["CancelOrder"]


@pytest.mark.parametrize(
    ("order_saga", "steps"),
    [
        (OrderSaga(PLACED), ("shipment", "payment")),
        (OrderSaga(PLACED, PAID, RESERVED), ("shipment", "reservation", "payment")),
        (OrderSaga(PLACED, DECLINED), ("shipment",)),
        (OrderSaga(PLACED, PAID, CANCEL, UNSHIPPED), ("reservation", "payment")),
    ],
)
def test_says_what_would_be_undone(order_saga: OrderSaga, steps: tuple[str, ...]) -> None:
    assert names_to_undo(ORDER_FULFILMENT, order_saga.state) == steps


def test_a_state_of_a_newer_version_is_refused_with_words() -> None:
    state = OrderSaga(PLACED).state.model_copy(update={"version": 2})
    with pytest.raises(UnknownSaga, match="a newer release has moved this saga to version 2, this one knows version 1"):
        advance(ORDER_FULFILMENT, state, PAID, now=1, policies=POLICIES)


def test_a_state_of_an_older_version_goes_on_where_the_table_says_so() -> None:
    second = replace(ORDER_FULFILMENT, version=2)
    decision = advance(second, OrderSaga(PLACED).state, PAID, now=1, policies=POLICIES)
    assert (decision.state.version, decision.state.step) == (2, "reservation")
    with pytest.raises(UnknownSaga, match="of version 1, this release goes on from version 2"):
        advance(replace(second, oldest_supported_version=2), OrderSaga(PLACED).state, PAID, now=1, policies=POLICIES)


def test_a_state_at_a_step_that_is_gone_is_refused_with_words() -> None:
    shorter = replace(ORDER_FULFILMENT, version=2, steps=ORDER_FULFILMENT.steps[:2])
    with pytest.raises(UnknownSaga, match="version 2 has no step shipment"):
        advance(shorter, OrderSaga(PLACED, SCHEDULED).state, PAID, now=1, policies=POLICIES)


def test_a_state_of_another_saga_is_refused_with_words() -> None:
    other = OrderState(order_id="o-1", saga="returns", version=1, status="payment_pending")
    with pytest.raises(UnknownSaga, match="belongs to 'returns'"):
        advance(ORDER_FULFILMENT, other, PAID, now=1, policies=POLICIES)
