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
    Play,
    retry,
    settle,
)


def owing() -> Play:
    """An order whose refund was given up."""
    return Play(PLACED, PAID, CANCEL, UNSHIPPED, RELEASED).time_out(2)


def test_a_retry_sends_at_once_and_counts_anew() -> None:
    play = Play(PLACED).time_out().on(RETRY)
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, command.expires_at) == (3, play.now + 2 * 10_000 + 60_000)
    assert play.time_out().names == ["ProcessPayment"]
    assert play.time_out().names == ["CancelShipment"]


def test_a_retry_of_the_attempt_that_was_seen_holds_once() -> None:
    play = Play(PLACED, retry("payment", 1))
    assert play.names == ["ProcessPayment"]
    assert play.on(retry("payment", 1)).sent == []


def test_a_retry_of_another_step_changes_nothing() -> None:
    play = Play(PLACED, PAID)
    before = play.state
    assert play.on(retry("payment", 1)).state == before
    assert play.sent == []


def test_a_retry_of_an_attempt_before_the_debt_is_stale() -> None:
    play = owing()
    assert play.on(retry("payment", 1)).sent == []
    assert play.state.owed == ("payment",)


def test_what_is_owed_is_tried_again_on_request() -> None:
    play = owing()
    assert (play.state.status, play.state.owed) == ("compensation_failed", ("payment",))
    assert play.on(retry("payment")).names == ["RefundPayment"]
    assert play.on(retry("payment")).sent == []
    assert play.on(REFUNDED).names == ["CancelOrder"]


def test_an_operator_turns_an_order_back() -> None:
    play = Play(PLACED, PAID, COMPENSATE)
    assert (play.names, play.state.reason) == (["CancelShipment"], "CompensateOrder: fraud")


def test_what_was_settled_by_hand_is_owed_no_longer() -> None:
    play = owing().on(settle("payment"))
    assert (play.names, play.state.status) == (["CancelOrder"], "cancelled")
    assert (play.state.owed, play.state.settled) == ((), ("payment",))


def test_only_what_is_owed_can_be_settled() -> None:
    play = Play(PLACED, PAID, settle("payment"))
    assert play.state.settled == ()
    assert play.on(CANCEL, UNSHIPPED, RELEASED).names == ["RefundPayment"]


def test_an_order_ends_when_all_is_settled() -> None:
    partly = Play(PLACED, PAID, CANCEL).time_out(6).on(settle("payment", "shipment"))
    assert (partly.names, partly.state.status, partly.state.owed) == ([], "compensation_failed", ("reservation",))
    assert partly.on(settle("reservation")).names == ["CancelOrder"]


@pytest.mark.parametrize(
    ("play", "steps"),
    [
        (Play(PLACED), ("shipment", "payment")),
        (Play(PLACED, PAID, RESERVED), ("shipment", "reservation", "payment")),
        (Play(PLACED, DECLINED), ("shipment",)),
        (Play(PLACED, PAID, CANCEL, UNSHIPPED), ("reservation", "payment")),
    ],
)
def test_says_what_would_be_undone(play: Play, steps: tuple[str, ...]) -> None:
    assert names_to_undo(ORDER_FULFILMENT, play.state) == steps


def test_a_state_of_a_newer_version_is_refused_with_words() -> None:
    state = Play(PLACED).state.model_copy(update={"version": 2})
    with pytest.raises(UnknownSaga, match="a newer release has moved this saga to version 2, this one knows version 1"):
        advance(ORDER_FULFILMENT, state, PAID, now=1, policies=POLICIES)


def test_a_state_of_an_older_version_goes_on_where_the_table_says_so() -> None:
    second = replace(ORDER_FULFILMENT, version=2)
    decision = advance(second, Play(PLACED).state, PAID, now=1, policies=POLICIES)
    assert (decision.state.version, decision.state.step) == (2, "reservation")
    with pytest.raises(UnknownSaga, match="of version 1, this release goes on from version 2"):
        advance(replace(second, oldest_supported_version=2), Play(PLACED).state, PAID, now=1, policies=POLICIES)


def test_a_state_at_a_step_that_is_gone_is_refused_with_words() -> None:
    shorter = replace(ORDER_FULFILMENT, version=2, steps=ORDER_FULFILMENT.steps[:2])
    with pytest.raises(UnknownSaga, match="version 2 has no step shipment"):
        advance(shorter, Play(PLACED, SCHEDULED).state, PAID, now=1, policies=POLICIES)


def test_a_state_of_another_saga_is_refused_with_words() -> None:
    other = OrderState(order_id="o-1", saga="returns", version=1, status="payment_pending")
    with pytest.raises(UnknownSaga, match="belongs to 'returns'"):
        advance(ORDER_FULFILMENT, other, PAID, now=1, policies=POLICIES)
