"""The order saga on its way back: what is undone, in which order, and what stays owed."""

from __future__ import annotations

import pytest

from contracts import CancelOrder, RefundPayment
from ensemble.saga.observations import REASON_LIMIT
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
    OrderSaga,
    failed,
)


def test_a_declined_order_undoes_only_the_shipment_that_may_have_begun() -> None:
    order_saga = OrderSaga(PLACED, DECLINED)
    assert (order_saga.names, order_saga.state.status, order_saga.state.step) == (
        ["CancelShipment"],
        "compensating",
        "shipment",
    )
    order_saga.on(UNSHIPPED)
    assert order_saga.sent == [CancelOrder(order_id="o-1", reason="PaymentDeclined: card expired")]
    assert (order_saga.state.status, order_saga.state.undone) == ("cancelled", ("shipment",))


def test_the_reason_of_a_turn_back_is_cut_to_what_contracts_allow() -> None:
    order_saga = OrderSaga(PLACED, DECLINED.model_copy(update={"reason": "x" * 5000}))
    assert order_saga.state.reason == f"PaymentDeclined: {'x' * 5000}"[:REASON_LIMIT]


def test_a_shortage_undoes_the_shipment_and_then_the_payment() -> None:
    order_saga = OrderSaga(PLACED, PAID, REJECTED, UNSHIPPED)
    assert order_saga.sent == [
        RefundPayment(order_id="o-1", reason="ReservationRejected: 1 of 2 tea on hand", attempt=1)
    ]
    assert order_saga.on(REFUNDED).names == ["CancelOrder"]


def test_an_express_order_that_is_declined_takes_its_shipment_back() -> None:
    order_saga = OrderSaga(PLACED, SCHEDULED, DECLINED, UNSHIPPED)
    assert order_saga.all_names == ["ProcessPayment", "CancelShipment", "CancelOrder"]
    assert order_saga.state.status == "cancelled"


@pytest.mark.parametrize(
    ("so_far", "undos"),
    [
        ([PLACED], ["CancelShipment", "RefundPayment"]),
        ([PLACED, PAID], ["CancelShipment", "ReleaseStock", "RefundPayment"]),
        ([PLACED, PAID, RESERVED], ["CancelShipment", "ReleaseStock", "RefundPayment"]),
    ],
)
def test_a_cancelled_order_undoes_the_step_under_way_as_well(so_far: list[object], undos: list[str]) -> None:
    order_saga = OrderSaga(*so_far)  # type: ignore[arg-type]  # a list of events
    order_saga.all_sent.clear()
    order_saga.on(CANCEL, UNSHIPPED, RELEASED, REFUNDED)
    assert order_saga.all_names == [*undos, "CancelOrder"]
    assert order_saga.state.status == "cancelled"


def test_undoes_one_step_at_a_time() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED, CANCEL)
    assert (order_saga.names, order_saga.state.expected) == (["CancelShipment"], ("ShipmentCancelled",))
    assert order_saga.state.due_at == order_saga.now + 10_000


def test_a_step_given_up_is_undone_too() -> None:
    order_saga = OrderSaga(PLACED, PAID).time_out(2)
    assert order_saga.state.reason == "reservation: no answer after 2 attempts"
    assert order_saga.on(UNSHIPPED).names == ["ReleaseStock"]


def test_gives_up_at_once_when_the_last_attempt_could_not_be_processed() -> None:
    order_saga = OrderSaga(PLACED).time_out().on(failed("ProcessPayment", 2))
    assert (order_saga.state.status, order_saga.state.reason) == ("compensating", "payment: no answer after 2 attempts")


def test_a_nudge_that_could_not_be_processed_gives_the_shipment_up() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED).time_out().on(failed("FulfilOrder", 2))
    assert order_saga.state.status == "compensating"


def test_a_request_before_the_order_cancels_it_when_it_comes() -> None:
    order_saga = OrderSaga(CANCEL, PLACED)
    assert (order_saga.names, order_saga.state.status) == (["CancelShipment"], "compensating")
    assert order_saga.on(UNSHIPPED).sent == [CancelOrder(order_id="o-1", reason="RequestCancellation: changed my mind")]


def test_a_refusal_before_the_order_cancels_it_when_it_comes() -> None:
    order_saga = OrderSaga(DECLINED, PLACED, UNSHIPPED)
    assert order_saga.all_names == ["CancelShipment", "CancelOrder"]


def test_counts_the_answer_to_an_undo_that_was_not_sent_yet() -> None:
    order_saga = OrderSaga(PLACED, PAID, CANCEL, REFUNDED, UNSHIPPED, RELEASED)
    assert "RefundPayment" not in order_saga.all_names
    assert order_saga.state.status == "cancelled"


def test_a_step_that_its_participant_takes_back_turns_the_order_back() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED, UNSHIPPED)
    assert (order_saga.names, order_saga.state.reason) == (["ReleaseStock"], "ShipmentCancelled")


def test_a_late_success_of_a_step_given_up_changes_nothing() -> None:
    order_saga = OrderSaga(PLACED).time_out(2).on(PAID, UNSHIPPED, REFUNDED)
    assert order_saga.all_names == ["ProcessPayment"] * 2 + ["CancelShipment", "RefundPayment", "CancelOrder"]


def test_a_success_after_a_refusal_is_undone() -> None:
    order_saga = OrderSaga(PLACED, DECLINED, PAID, UNSHIPPED)
    assert order_saga.names == ["RefundPayment"]


def test_a_refusal_after_a_success_changes_nothing() -> None:
    order_saga = OrderSaga(PLACED, PAID, DECLINED)
    assert (order_saga.state.status, order_saga.state.failed, order_saga.sent) == ("fulfilled", (), [])


def test_a_late_refusal_makes_the_undo_of_that_step_needless() -> None:
    order_saga = OrderSaga(PLACED, PAID).time_out(2).on(REJECTED, UNSHIPPED)
    assert order_saga.names == ["RefundPayment"]


def test_a_late_success_does_not_interrupt_the_undo_under_way() -> None:
    order_saga = OrderSaga(PLACED, DECLINED, PAID, UNSHIPPED, RESERVED)
    assert (order_saga.state.step, order_saga.sent) == ("payment", [])
    assert order_saga.on(REFUNDED).names == ["ReleaseStock"]


def test_sends_an_undo_again_when_nothing_came() -> None:
    order_saga = OrderSaga(PLACED, DECLINED).time_out()
    assert (order_saga.names, order_saga.state.attempt) == (["CancelShipment"], 2)


def test_an_undo_given_up_stays_owed_while_the_others_go_on() -> None:
    order_saga = OrderSaga(PLACED, PAID, REJECTED).time_out(2)
    assert (order_saga.names, order_saga.state.owed) == (["RefundPayment"], ("shipment",))
    order_saga.on(REFUNDED)
    assert (order_saga.state.status, order_saga.state.owed, order_saga.sent) == (
        "compensation_failed",
        ("shipment",),
        [],
    )
    assert (order_saga.state.due_at, order_saga.state.forget_at) == (None, None)
    assert order_saga.state.expected == ("ShipmentCancelled",)


def test_an_undo_whose_last_attempt_could_not_be_processed_is_owed_at_once() -> None:
    order_saga = OrderSaga(PLACED, DECLINED, failed("CancelShipment", 1))
    assert (order_saga.state.status, order_saga.sent) == ("compensating", [])
    assert order_saga.time_out().on(failed("CancelShipment", 2)).state.owed == ("shipment",)


def test_what_is_owed_is_settled_when_its_answer_comes_after_all() -> None:
    order_saga = OrderSaga(PLACED, DECLINED).time_out(2).on(UNSHIPPED)
    assert (order_saga.state.status, order_saga.state.owed, order_saga.names) == ("cancelled", (), ["CancelOrder"])


def test_what_is_owed_is_asked_for_again_on_request() -> None:
    order_saga = OrderSaga(PLACED, DECLINED).time_out(2).on(CANCEL)
    assert (order_saga.state.status, order_saga.state.owed, order_saga.names) == (
        "compensating",
        (),
        ["CancelShipment"],
    )


def test_a_request_while_the_order_is_undone_changes_nothing() -> None:
    order_saga = OrderSaga(PLACED, DECLINED, CANCEL)
    assert (order_saga.state.reason, order_saga.sent) == ("PaymentDeclined: card expired", [])


def test_changes_nothing_after_the_end() -> None:
    order_saga = OrderSaga(PLACED, DECLINED, UNSHIPPED)
    ended = order_saga.state
    for late in (PLACED, PAID, SCHEDULED, CANCEL, UNSHIPPED, REFUNDED):
        order_saga.on(late)
        assert (order_saga.state, order_saga.sent) == (ended, [])
