"""A paused order: what comes is noted, nothing leaves, and its deadline stands still."""

from __future__ import annotations

import pytest

from contracts import ProcessPayment, RefundPayment
from ensemble.messages import Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga import Deadline
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    NAMES,
    PAID,
    PAUSE,
    PLACED,
    POLICIES,
    PROBE,
    REFUNDED,
    RELEASED,
    RESERVED,
    RESUME,
    RETRY,
    SCHEDULED,
    UNSHIPPED,
    OrderSaga,
    failed,
)

PAUSING = StepPolicy(deadline_s=10, resends=1, on_exhaustion="pause")
PAUSE_AT_THE_END = SagaPolicies(steps=dict.fromkeys(NAMES, PAUSING), undos=dict.fromkeys(NAMES, PAUSING))


def test_says_who_paused_it_since_when_and_why() -> None:
    order_saga = OrderSaga(PLACED, PAUSE)
    state = order_saga.state
    assert (state.paused_by, state.paused_reason, state.paused_since) == ("operator anna", "audit", order_saga.now)
    assert (state.status, state.step, state.expected) == (
        "payment_pending",
        "payment",
        ("PaymentConfirmed", "PaymentDeclined"),
    )


def test_an_answer_is_noted_and_its_successor_leaves_at_the_resume() -> None:
    order_saga = OrderSaga(PLACED, PAUSE, PAID)
    assert (order_saga.names, order_saga.state.done, order_saga.state.expected) == ([], ("payment",), ())
    assert order_saga.on(RESUME).names == ["FulfilOrder"]


def test_the_deadline_moves_by_the_pause() -> None:
    order_saga = OrderSaga(PLACED)
    due_at = order_saga.state.due_at or 0
    paused = order_saga.wait(4).on(PAUSE).state
    assert (paused.due_at, paused.remaining_ms) == (None, due_at - order_saga.now)
    resumed = order_saga.wait(3600).on(RESUME).state
    assert (resumed.due_at, resumed.remaining_ms) == (due_at + order_saga.now - (paused.paused_since or 0), None)


def test_a_deadline_that_was_already_under_way_is_not_judged_while_paused() -> None:
    order_saga = OrderSaga(PLACED)
    due_at = order_saga.state.due_at or 0
    order_saga.on(PAUSE).wait(60).on(Deadline(due_at))
    assert (order_saga.sent, order_saga.state.attempt) == ([], 1)


def test_silence_is_not_judged_at_the_resume_but_at_the_deadline_after_it() -> None:
    order_saga = OrderSaga(PLACED).wait(30).on(PAUSE, RESUME)
    assert (order_saga.sent, order_saga.state.due_at) == ([], order_saga.now)
    assert order_saga.time_out().names == ["ProcessPayment"]


def test_a_second_pause_or_resume_changes_nothing() -> None:
    order_saga = OrderSaga(PLACED, PAUSE)
    paused = order_saga.state
    assert order_saga.wait(5).on(PAUSE.model_copy(update={"requested_by": "ben"})).state == paused
    order_saga.on(RESUME)
    resumed = order_saga.state
    assert order_saga.wait(5).on(RESUME).state == resumed


def test_an_order_paused_before_it_was_placed_waits() -> None:
    order_saga = OrderSaga(PAUSE, PLACED)
    assert (order_saga.names, order_saga.state.status, order_saga.state.forget_at) == ([], "payment_pending", None)
    assert order_saga.on(RESUME).names == ["ProcessPayment"]


@pytest.mark.parametrize("turn", [DECLINED, CANCEL, COMPENSATE])
def test_what_turns_it_back_is_noted_and_undone_after_the_resume(turn: Message) -> None:
    order_saga = OrderSaga(PLACED, PAUSE, turn)
    assert (order_saga.names, order_saga.state.status) == ([], "payment_pending")
    assert order_saga.on(RESUME).names == ["CancelShipment"]


def test_undos_pause_as_well() -> None:
    order_saga = OrderSaga(PLACED, PAID, CANCEL, PAUSE, UNSHIPPED)
    assert (order_saga.names, order_saga.state.undone, order_saga.state.expected) == ([], ("shipment",), ())
    assert order_saga.on(RESUME).names == ["ReleaseStock"]


def test_the_end_waits_too() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED, PAUSE, SCHEDULED)
    assert (order_saga.names, order_saga.state.status) == ([], "fulfilled")
    assert order_saga.on(RESUME).names == ["CompleteOrder", "DispatchStock"]


def test_nothing_is_retried_while_paused() -> None:
    assert OrderSaga(PLACED, PAUSE, RETRY).sent == []


# -- by policy --------------------------------------------------------------------------------------------------------


def test_a_step_whose_attempts_are_exhausted_pauses_where_its_policy_says_so() -> None:
    order_saga = OrderSaga(PLACED, policies=PAUSE_AT_THE_END).time_out(2)
    assert (order_saga.sent, order_saga.state.status, order_saga.state.attempt) == ([], "payment_pending", 2)
    assert (order_saga.state.paused_by, order_saga.state.paused_reason) == (
        "policy",
        "payment: no answer after 2 attempts",
    )


def test_the_resume_begins_a_new_round_of_attempts() -> None:
    order_saga = OrderSaga(PLACED, policies=PAUSE_AT_THE_END).time_out(2).on(RESUME)
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, order_saga.state.paused_since) == (3, None)
    assert order_saga.time_out().names == ["ProcessPayment"]
    assert order_saga.time_out().state.paused_by == "policy"


def test_commands_of_a_step_that_is_never_given_up_by_itself_stay_valid_as_long_as_anything_may_come() -> None:
    order_saga = OrderSaga(PLACED, policies=PAUSE_AT_THE_END)
    (command,) = order_saga.sent
    assert isinstance(command, ProcessPayment)
    assert command.expires_at == order_saga.now + 2 * 10_000 + round(POLICIES.stub_s * 1000)


def test_an_undo_whose_attempts_are_exhausted_pauses_too() -> None:
    order_saga = OrderSaga(PLACED, CANCEL, policies=PAUSE_AT_THE_END).time_out(2)
    assert (order_saga.state.status, order_saga.state.owed, order_saga.state.paused_by) == (
        "compensating",
        (),
        "policy",
    )
    assert order_saga.on(RESUME).names == ["CancelShipment"]


# -- what the participant did -----------------------------------------------------------------------------------------


def test_a_command_that_its_participant_keeps_pauses_the_order() -> None:
    order_saga = OrderSaga(PLACED, failed("ProcessPayment", 1, "pause"))
    assert (order_saga.sent, order_saga.state.paused_by) == ([], "policy")
    assert order_saga.state.paused_reason == "payment: its participant keeps attempt 1"
    assert order_saga.on(PAID, RESUME).names == ["FulfilOrder"]


def test_a_participant_can_turn_the_order_back_at_once() -> None:
    order_saga = OrderSaga(PLACED, failed("ProcessPayment", 1, "compensate"))
    assert (order_saga.names, order_saga.state.reason) == (
        ["CancelShipment"],
        "payment: given up by its participant at attempt 1",
    )


def test_a_participant_that_keeps_an_earlier_attempt_has_kept_the_later_ones_too() -> None:
    order_saga = OrderSaga(PLACED).time_out().on(failed("ProcessPayment", 1, "compensate"))
    assert order_saga.state.status == "compensating"


def test_an_undo_that_its_participant_gives_up_is_asked_for_again() -> None:
    order_saga = OrderSaga(PLACED, CANCEL, failed("CancelShipment", 1, "compensate"))
    assert (order_saga.sent, order_saga.state.status) == ([], "compensating")
    assert order_saga.time_out().names == ["CancelShipment"]


def test_what_a_participant_did_while_paused_counts_at_the_resume() -> None:
    order_saga = OrderSaga(PLACED, PAUSE, failed("ProcessPayment", 1, "compensate"))
    assert order_saga.state.status == "payment_pending"
    assert order_saga.on(RESUME).names == ["CancelShipment"]


# -- paused for all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "name"), [("step", "reservation"), ("command", "FulfilOrder"), ("service", "owner of FulfilOrder")]
)
def test_an_order_pauses_before_it_sends_what_is_paused_for_all(scope: object, name: str) -> None:
    order_saga = OrderSaga(PLACED).pause_for_all(scope, name).on(PAID)  # type: ignore[arg-type]  # a scope
    assert (order_saga.sent, order_saga.state.done, order_saga.state.attempt) == ([], ("payment",), 1)
    assert (order_saga.state.paused_by, order_saga.state.paused_reason) == (f"{scope} {name}", "provider down")


def test_it_stays_paused_while_its_step_is_and_goes_on_afterwards() -> None:
    order_saga = OrderSaga(PLACED).pause_for_all("step", "reservation").on(PAID)
    paused = order_saga.state
    assert (order_saga.wait(5).on(RESUME).sent, order_saga.state) == ([], paused)
    order_saga.pauses.paused.clear()
    assert order_saga.on(RESUME).names == ["FulfilOrder"]


def test_a_probe_passes_the_pause_once() -> None:
    order_saga = OrderSaga(PLACED).pause_for_all("step", "reservation").on(PAID, PROBE)
    assert order_saga.names == ["FulfilOrder"]
    assert order_saga.time_out().state.paused_by == "step reservation"


def test_a_resend_that_is_paused_for_all_leaves_at_the_resume() -> None:
    order_saga = OrderSaga(PLACED).pause_for_all("command", "ProcessPayment").time_out()
    assert (order_saga.sent, order_saga.state.attempt, order_saga.state.paused_by) == ([], 1, "command ProcessPayment")
    (command,) = order_saga.on(PROBE).sent
    assert isinstance(command, ProcessPayment)
    assert command.attempt == 2


def test_the_silence_of_somebody_who_is_paused_is_not_judged() -> None:
    """Its last deadline passes meanwhile: the order is not given up for want of an answer that nobody could give."""
    order_saga = OrderSaga(PLACED).time_out().pause_for_all("service", "owner of ProcessPayment").time_out()
    assert (order_saga.state.status, order_saga.state.paused_by) == (
        "payment_pending",
        "service owner of ProcessPayment",
    )
    order_saga.pauses.paused.clear()
    assert order_saga.on(RESUME).names == ["ProcessPayment"]


def test_a_step_that_others_set_going_pauses_as_well() -> None:
    order_saga = OrderSaga(PLACED, PAID).pause_for_all("step", "shipment").on(RESERVED)
    assert (order_saga.state.paused_by, order_saga.state.due_at) == ("step shipment", None)
    assert order_saga.on(SCHEDULED, PROBE).names == ["CompleteOrder", "DispatchStock"]


def test_an_undo_pauses_with_its_step() -> None:
    order_saga = OrderSaga(PLACED).pause_for_all("step", "payment").on(DECLINED, UNSHIPPED)
    assert order_saga.names == ["CancelOrder"]
    order_saga = OrderSaga(PLACED, PAID).pause_for_all("command", "RefundPayment").on(CANCEL, UNSHIPPED, RELEASED)
    assert (order_saga.sent, order_saga.state.paused_by) == ([], "command RefundPayment")
    assert order_saga.on(PROBE).sent == [RefundPayment(order_id="o-1", reason=order_saga.state.reason or "", attempt=1)]
    assert order_saga.on(REFUNDED).names == ["CancelOrder"]


def test_the_end_pauses_with_its_commands() -> None:
    order_saga = OrderSaga(PLACED, PAID, RESERVED).pause_for_all("command", "DispatchStock").on(SCHEDULED)
    assert (order_saga.sent, order_saga.state.status, order_saga.state.paused_by) == (
        [],
        "fulfilled",
        "command DispatchStock",
    )
    assert order_saga.on(PROBE).names == ["CompleteOrder", "DispatchStock"]
