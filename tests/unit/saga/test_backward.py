"""The order saga on its way back: what is undone, in which order, and what stays owed."""

from __future__ import annotations

import pytest

from contracts import CancelOrder, RefundPayment
from tests.support.order_saga_driver import (
    CANCEL,
    DECLINED,
    PAID,
    PLACED,
    REFUNDED,
    REJECTED,
    RELEASED,
    RESERVED,
    SCHEDULED,
    UNSHIPPED,
    Play,
    failed,
)


def test_a_declined_order_undoes_only_the_shipment_that_may_have_begun() -> None:
    play = Play(PLACED, DECLINED)
    assert (play.names, play.state.status, play.state.step) == (["CancelShipment"], "compensating", "shipment")
    play.on(UNSHIPPED)
    assert play.sent == [CancelOrder(order_id="o-1", reason="PaymentDeclined: card expired")]
    assert (play.state.status, play.state.undone) == ("cancelled", ("shipment",))


def test_a_shortage_undoes_the_shipment_and_then_the_payment() -> None:
    play = Play(PLACED, PAID, REJECTED, UNSHIPPED)
    assert play.sent == [RefundPayment(order_id="o-1", reason="ReservationRejected: 1 of 2 tea on hand", attempt=1)]
    assert play.on(REFUNDED).names == ["CancelOrder"]


def test_an_express_order_that_is_declined_takes_its_shipment_back() -> None:
    play = Play(PLACED, SCHEDULED, DECLINED, UNSHIPPED)
    assert play.all_names == ["ProcessPayment", "CancelShipment", "CancelOrder"]
    assert play.state.status == "cancelled"


@pytest.mark.parametrize(
    ("so_far", "undos"),
    [
        ([PLACED], ["CancelShipment", "RefundPayment"]),
        ([PLACED, PAID], ["CancelShipment", "ReleaseStock", "RefundPayment"]),
        ([PLACED, PAID, RESERVED], ["CancelShipment", "ReleaseStock", "RefundPayment"]),
    ],
)
def test_a_cancelled_order_undoes_the_step_under_way_as_well(so_far: list[object], undos: list[str]) -> None:
    play = Play(*so_far)  # type: ignore[arg-type]  # a list of events
    play.all_sent.clear()
    play.on(CANCEL, UNSHIPPED, RELEASED, REFUNDED)
    assert play.all_names == [*undos, "CancelOrder"]
    assert play.state.status == "cancelled"


def test_undoes_one_step_at_a_time() -> None:
    play = Play(PLACED, PAID, RESERVED, CANCEL)
    assert (play.names, play.state.expected) == (["CancelShipment"], ("ShipmentCancelled",))
    assert play.state.due_at == play.now + 10_000


def test_a_step_given_up_is_undone_too() -> None:
    play = Play(PLACED, PAID).time_out(2)
    assert play.state.reason == "reservation: no answer after 2 attempts"
    assert play.on(UNSHIPPED).names == ["ReleaseStock"]


def test_gives_up_at_once_when_the_last_attempt_could_not_be_processed() -> None:
    play = Play(PLACED).time_out().on(failed("ProcessPayment", 2))
    assert (play.state.status, play.state.reason) == ("compensating", "payment: no answer after 2 attempts")


def test_a_nudge_that_could_not_be_processed_gives_the_shipment_up() -> None:
    play = Play(PLACED, PAID, RESERVED).time_out().on(failed("FulfilOrder", 2))
    assert play.state.status == "compensating"


def test_a_request_before_the_order_cancels_it_when_it_comes() -> None:
    play = Play(CANCEL, PLACED)
    assert (play.names, play.state.status) == (["CancelShipment"], "compensating")
    assert play.on(UNSHIPPED).sent == [CancelOrder(order_id="o-1", reason="RequestCancellation: changed my mind")]


def test_a_refusal_before_the_order_cancels_it_when_it_comes() -> None:
    play = Play(DECLINED, PLACED, UNSHIPPED)
    assert play.all_names == ["CancelShipment", "CancelOrder"]


def test_counts_the_answer_to_an_undo_that_was_not_sent_yet() -> None:
    play = Play(PLACED, PAID, CANCEL, REFUNDED, UNSHIPPED, RELEASED)
    assert "RefundPayment" not in play.all_names
    assert play.state.status == "cancelled"


def test_a_step_that_its_participant_takes_back_turns_the_order_back() -> None:
    play = Play(PLACED, PAID, RESERVED, UNSHIPPED)
    assert (play.names, play.state.reason) == (["ReleaseStock"], "ShipmentCancelled")


def test_a_late_success_of_a_step_given_up_changes_nothing() -> None:
    play = Play(PLACED).time_out(2).on(PAID, UNSHIPPED, REFUNDED)
    assert play.all_names == ["ProcessPayment"] * 2 + ["CancelShipment", "RefundPayment", "CancelOrder"]


def test_a_success_after_a_refusal_is_undone() -> None:
    play = Play(PLACED, DECLINED, PAID, UNSHIPPED)
    assert play.names == ["RefundPayment"]


def test_a_refusal_after_a_success_changes_nothing() -> None:
    play = Play(PLACED, PAID, DECLINED)
    assert (play.state.status, play.state.failed, play.sent) == ("fulfilled", (), [])


def test_a_late_refusal_makes_the_undo_of_that_step_needless() -> None:
    play = Play(PLACED, PAID).time_out(2).on(REJECTED, UNSHIPPED)
    assert play.names == ["RefundPayment"]


def test_a_late_success_does_not_interrupt_the_undo_under_way() -> None:
    play = Play(PLACED, DECLINED, PAID, UNSHIPPED, RESERVED)
    assert (play.state.step, play.sent) == ("payment", [])
    assert play.on(REFUNDED).names == ["ReleaseStock"]


def test_sends_an_undo_again_when_nothing_came() -> None:
    play = Play(PLACED, DECLINED).time_out()
    assert (play.names, play.state.attempt) == (["CancelShipment"], 2)


def test_an_undo_given_up_stays_owed_while_the_others_go_on() -> None:
    play = Play(PLACED, PAID, REJECTED).time_out(2)
    assert (play.names, play.state.owed) == (["RefundPayment"], ("shipment",))
    play.on(REFUNDED)
    assert (play.state.status, play.state.owed, play.sent) == ("compensation_failed", ("shipment",), [])
    assert (play.state.due_at, play.state.forget_at) == (None, None)
    assert play.state.expected == ("ShipmentCancelled",)


def test_an_undo_whose_last_attempt_could_not_be_processed_is_owed_at_once() -> None:
    play = Play(PLACED, DECLINED, failed("CancelShipment", 1))
    assert (play.state.status, play.sent) == ("compensating", [])
    assert play.time_out().on(failed("CancelShipment", 2)).state.owed == ("shipment",)


def test_what_is_owed_is_settled_when_its_answer_comes_after_all() -> None:
    play = Play(PLACED, DECLINED).time_out(2).on(UNSHIPPED)
    assert (play.state.status, play.state.owed, play.names) == ("cancelled", (), ["CancelOrder"])


def test_what_is_owed_is_asked_for_again_on_request() -> None:
    play = Play(PLACED, DECLINED).time_out(2).on(CANCEL)
    assert (play.state.status, play.state.owed, play.names) == ("compensating", (), ["CancelShipment"])


def test_a_request_while_the_order_is_undone_changes_nothing() -> None:
    play = Play(PLACED, DECLINED, CANCEL)
    assert (play.state.reason, play.sent) == ("PaymentDeclined: card expired", [])


def test_changes_nothing_after_the_end() -> None:
    play = Play(PLACED, DECLINED, UNSHIPPED)
    ended = play.state
    for late in (PLACED, PAID, SCHEDULED, CANCEL, UNSHIPPED, REFUNDED):
        play.on(late)
        assert (play.state, play.sent) == (ended, [])
