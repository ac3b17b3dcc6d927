"""A paused order: what comes is noted, nothing leaves, and its deadline stands still."""

from __future__ import annotations

import pytest

from contracts import ProcessPayment, RefundPayment
from ensemble import Message
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
    Play,
    failed,
)

PAUSING = StepPolicy(deadline_s=10, resends=1, on_exhaustion="pause")
PAUSE_AT_THE_END = SagaPolicies(steps=dict.fromkeys(NAMES, PAUSING), undos=dict.fromkeys(NAMES, PAUSING))


def test_says_who_paused_it_since_when_and_why() -> None:
    play = Play(PLACED, PAUSE)
    state = play.state
    assert (state.paused_by, state.paused_reason, state.paused_since) == ("operator anna", "audit", play.now)
    assert (state.status, state.step, state.expected) == (
        "payment_pending",
        "payment",
        ("PaymentConfirmed", "PaymentDeclined"),
    )


def test_an_answer_is_noted_and_its_successor_leaves_at_the_resume() -> None:
    play = Play(PLACED, PAUSE, PAID)
    assert (play.names, play.state.done, play.state.expected) == ([], ("payment",), ())
    assert play.on(RESUME).names == ["FulfilOrder"]


def test_the_deadline_moves_by_the_pause() -> None:
    play = Play(PLACED)
    due_at = play.state.due_at or 0
    paused = play.wait(4).on(PAUSE).state
    assert (paused.due_at, paused.remaining_ms) == (None, due_at - play.now)
    resumed = play.wait(3600).on(RESUME).state
    assert (resumed.due_at, resumed.remaining_ms) == (due_at + play.now - (paused.paused_since or 0), None)


def test_a_deadline_that_was_already_under_way_is_not_judged_while_paused() -> None:
    play = Play(PLACED)
    due_at = play.state.due_at or 0
    play.on(PAUSE).wait(60).on(Deadline(due_at))
    assert (play.sent, play.state.attempt) == ([], 1)


def test_silence_is_not_judged_at_the_resume_but_at_the_deadline_after_it() -> None:
    play = Play(PLACED).wait(30).on(PAUSE, RESUME)
    assert (play.sent, play.state.due_at) == ([], play.now)
    assert play.time_out().names == ["ProcessPayment"]


def test_a_second_pause_or_resume_changes_nothing() -> None:
    play = Play(PLACED, PAUSE)
    paused = play.state
    assert play.wait(5).on(PAUSE.model_copy(update={"requested_by": "ben"})).state == paused
    play.on(RESUME)
    resumed = play.state
    assert play.wait(5).on(RESUME).state == resumed


def test_an_order_paused_before_it_was_placed_waits() -> None:
    play = Play(PAUSE, PLACED)
    assert (play.names, play.state.status, play.state.forget_at) == ([], "payment_pending", None)
    assert play.on(RESUME).names == ["ProcessPayment"]


@pytest.mark.parametrize("turn", [DECLINED, CANCEL, COMPENSATE])
def test_what_turns_it_back_is_noted_and_undone_after_the_resume(turn: Message) -> None:
    play = Play(PLACED, PAUSE, turn)
    assert (play.names, play.state.status) == ([], "payment_pending")
    assert play.on(RESUME).names == ["CancelShipment"]


def test_undos_pause_as_well() -> None:
    play = Play(PLACED, PAID, CANCEL, PAUSE, UNSHIPPED)
    assert (play.names, play.state.undone, play.state.expected) == ([], ("shipment",), ())
    assert play.on(RESUME).names == ["ReleaseStock"]


def test_the_end_waits_too() -> None:
    play = Play(PLACED, PAID, RESERVED, PAUSE, SCHEDULED)
    assert (play.names, play.state.status) == ([], "fulfilled")
    assert play.on(RESUME).names == ["CompleteOrder", "DispatchStock"]


def test_nothing_is_retried_while_paused() -> None:
    assert Play(PLACED, PAUSE, RETRY).sent == []


# -- by policy --------------------------------------------------------------------------------------------------------


def test_a_step_whose_attempts_are_exhausted_pauses_where_its_policy_says_so() -> None:
    play = Play(PLACED, policies=PAUSE_AT_THE_END).time_out(2)
    assert (play.sent, play.state.status, play.state.attempt) == ([], "payment_pending", 2)
    assert (play.state.paused_by, play.state.paused_reason) == ("policy", "payment: no answer after 2 attempts")


def test_the_resume_begins_a_new_round_of_attempts() -> None:
    play = Play(PLACED, policies=PAUSE_AT_THE_END).time_out(2).on(RESUME)
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, play.state.paused_since) == (3, None)
    assert play.time_out().names == ["ProcessPayment"]
    assert play.time_out().state.paused_by == "policy"


def test_commands_of_a_step_that_is_never_given_up_by_itself_stay_valid_as_long_as_anything_may_come() -> None:
    play = Play(PLACED, policies=PAUSE_AT_THE_END)
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert command.expires_at == play.now + 2 * 10_000 + round(POLICIES.stub_s * 1000)


def test_an_undo_whose_attempts_are_exhausted_pauses_too() -> None:
    play = Play(PLACED, CANCEL, policies=PAUSE_AT_THE_END).time_out(2)
    assert (play.state.status, play.state.owed, play.state.paused_by) == ("compensating", (), "policy")
    assert play.on(RESUME).names == ["CancelShipment"]


# -- what the participant did -----------------------------------------------------------------------------------------


def test_a_command_that_its_participant_keeps_pauses_the_order() -> None:
    play = Play(PLACED, failed("ProcessPayment", 1, "pause"))
    assert (play.sent, play.state.paused_by) == ([], "policy")
    assert play.state.paused_reason == "payment: its participant keeps attempt 1"
    assert play.on(PAID, RESUME).names == ["FulfilOrder"]


def test_a_participant_can_turn_the_order_back_at_once() -> None:
    play = Play(PLACED, failed("ProcessPayment", 1, "compensate"))
    assert (play.names, play.state.reason) == (["CancelShipment"], "payment: given up by its participant at attempt 1")


def test_a_participant_that_keeps_an_earlier_attempt_has_kept_the_later_ones_too() -> None:
    play = Play(PLACED).time_out().on(failed("ProcessPayment", 1, "compensate"))
    assert play.state.status == "compensating"


def test_an_undo_that_its_participant_gives_up_is_asked_for_again() -> None:
    play = Play(PLACED, CANCEL, failed("CancelShipment", 1, "compensate"))
    assert (play.sent, play.state.status) == ([], "compensating")
    assert play.time_out().names == ["CancelShipment"]


def test_what_a_participant_did_while_paused_counts_at_the_resume() -> None:
    play = Play(PLACED, PAUSE, failed("ProcessPayment", 1, "compensate"))
    assert play.state.status == "payment_pending"
    assert play.on(RESUME).names == ["CancelShipment"]


# -- paused for all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "name"), [("step", "reservation"), ("command", "FulfilOrder"), ("service", "owner of FulfilOrder")]
)
def test_an_order_pauses_before_it_sends_what_is_paused_for_all(scope: object, name: str) -> None:
    play = Play(PLACED).paused_for_all(scope, name).on(PAID)  # type: ignore[arg-type]  # a scope
    assert (play.sent, play.state.done, play.state.attempt) == ([], ("payment",), 1)
    assert (play.state.paused_by, play.state.paused_reason) == (f"{scope} {name}", "provider down")


def test_it_stays_paused_while_its_step_is_and_goes_on_afterwards() -> None:
    play = Play(PLACED).paused_for_all("step", "reservation").on(PAID)
    paused = play.state
    assert (play.wait(5).on(RESUME).sent, play.state) == ([], paused)
    play.board.paused.clear()
    assert play.on(RESUME).names == ["FulfilOrder"]


def test_a_probe_passes_the_pause_once() -> None:
    play = Play(PLACED).paused_for_all("step", "reservation").on(PAID, PROBE)
    assert play.names == ["FulfilOrder"]
    assert play.time_out().state.paused_by == "step reservation"


def test_a_resend_that_is_paused_for_all_leaves_at_the_resume() -> None:
    play = Play(PLACED).paused_for_all("command", "ProcessPayment").time_out()
    assert (play.sent, play.state.attempt, play.state.paused_by) == ([], 1, "command ProcessPayment")
    (command,) = play.on(PROBE).sent
    assert isinstance(command, ProcessPayment)
    assert command.attempt == 2


def test_the_silence_of_somebody_who_is_paused_is_not_judged() -> None:
    """Its last deadline passes meanwhile: the order is not given up for want of an answer that nobody could give."""
    play = Play(PLACED).time_out().paused_for_all("service", "owner of ProcessPayment").time_out()
    assert (play.state.status, play.state.paused_by) == ("payment_pending", "service owner of ProcessPayment")
    play.board.paused.clear()
    assert play.on(RESUME).names == ["ProcessPayment"]


def test_a_step_that_others_set_going_pauses_as_well() -> None:
    play = Play(PLACED, PAID).paused_for_all("step", "shipment").on(RESERVED)
    assert (play.state.paused_by, play.state.due_at) == ("step shipment", None)
    assert play.on(SCHEDULED, PROBE).names == ["CompleteOrder", "DispatchStock"]


def test_an_undo_pauses_with_its_step() -> None:
    play = Play(PLACED).paused_for_all("step", "payment").on(DECLINED, UNSHIPPED)
    assert play.names == ["CancelOrder"]
    play = Play(PLACED, PAID).paused_for_all("command", "RefundPayment").on(CANCEL, UNSHIPPED, RELEASED)
    assert (play.sent, play.state.paused_by) == ([], "command RefundPayment")
    assert play.on(PROBE).sent == [RefundPayment(order_id="o-1", reason=play.state.reason or "", attempt=1)]
    assert play.on(REFUNDED).names == ["CancelOrder"]


def test_the_end_pauses_with_its_commands() -> None:
    play = Play(PLACED, PAID, RESERVED).paused_for_all("command", "DispatchStock").on(SCHEDULED)
    assert (play.sent, play.state.status, play.state.paused_by) == ([], "fulfilled", "command DispatchStock")
    assert play.on(PROBE).names == ["CompleteOrder", "DispatchStock"]
