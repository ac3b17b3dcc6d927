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
    Play,
    failed,
)


def test_asks_for_the_payment_when_an_order_is_placed() -> None:
    play = Play(PLACED)
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert (command.amount, command.attempt) == (900, 1)
    assert (play.state.status, play.state.step) == ("payment_pending", "payment")
    assert play.state.expected == ("PaymentConfirmed", "PaymentDeclined")
    assert play.state.due_at == play.now + 10_000


def test_commands_expire_a_margin_after_their_step_was_given_up() -> None:
    play = Play(PLACED)
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert command.expires_at == play.now + 2 * 10_000 + 60_000


def test_fulfils_what_is_paid() -> None:
    play = Play(PLACED, PAID)
    assert play.names == ["FulfilOrder"]
    assert (play.state.status, play.state.step) == ("fulfilled", "reservation")


def test_waits_for_the_shipment_without_a_command_of_its_own() -> None:
    play = Play(PLACED, PAID, RESERVED)
    assert play.names == []
    assert (play.state.status, play.state.step, play.state.expected) == (
        "fulfilled",
        "shipment",
        ("ShipmentScheduled",),
    )


def test_completes_when_all_steps_are_done() -> None:
    play = Play(PLACED, PAID, RESERVED, SCHEDULED)
    assert play.names == ["CompleteOrder", "DispatchStock"]
    assert (play.state.status, play.state.step, play.state.due_at) == ("completed", None, None)
    assert play.state.forget_at == play.now + 7 * 86_400_000


@pytest.mark.parametrize("place", [0, 1, 2])
def test_counts_an_early_shipment_wherever_it_comes(place: int) -> None:
    messages = [PLACED, PAID, RESERVED]
    messages.insert(place, SCHEDULED)
    play = Play(*messages)
    assert play.all_names == ["ProcessPayment", "FulfilOrder", "CompleteOrder", "DispatchStock"]
    assert play.state.status == "completed"


def test_skips_steps_that_were_done_before_the_order_was_known() -> None:
    play = Play(PAID, PLACED)
    assert play.all_names == ["FulfilOrder"]
    assert play.state.status == "fulfilled"


def test_waits_for_the_order_of_an_early_event() -> None:
    play = Play(SCHEDULED)
    assert (play.state.status, play.state.expected, play.state.due_at) == ("placeholder", ("OrderPlaced",), None)
    assert play.state.forget_at == play.now + 3_600_000


def test_a_placeholder_is_kept_no_longer_for_a_second_event() -> None:
    play = Play(SCHEDULED)
    first = play.state.forget_at
    assert play.on(PAID).state.forget_at == first


def test_an_order_that_was_placed_is_not_forgotten() -> None:
    assert Play(SCHEDULED, PLACED).state.forget_at is None


@pytest.mark.parametrize("again", [PLACED, PAID])
def test_ignores_what_comes_twice(again: object) -> None:
    play = Play(PLACED, PAID)
    before = play.state
    play.on(PLACED if again is PLACED else PAID)
    assert play.sent == []
    assert play.state == before


def test_sends_again_as_a_new_attempt_when_nothing_came() -> None:
    play = Play(PLACED).time_out()
    (command,) = play.sent
    assert isinstance(command, ProcessPayment)
    assert (command.attempt, play.state.attempt) == (2, 2)
    assert command.expires_at == play.now + 10_000 + 60_000
    assert play.state.due_at == play.now + 10_000


def test_nudges_inventory_when_the_shipment_does_not_come() -> None:
    play = Play(PLACED, PAID, RESERVED).time_out()
    (command,) = play.sent
    assert isinstance(command, FulfilOrder)
    assert (command.attempt, play.state.step) == (2, "shipment")


def test_goes_on_when_the_answer_to_an_earlier_attempt_comes() -> None:
    assert Play(PLACED).time_out().on(PAID).names == ["FulfilOrder"]


def test_ignores_a_deadline_that_was_replaced() -> None:
    play = Play(PLACED)
    old = play.state.due_at or 0
    play.on(PAID, Deadline(old))
    assert play.sent == []
    assert play.state.attempt == 1


def test_waits_out_the_deadline_when_a_command_failed_but_resends_are_left() -> None:
    play = Play(PLACED, failed("ProcessPayment", 1))
    assert play.sent == []
    assert play.time_out().names == ["ProcessPayment"]


def test_ignores_that_a_command_of_an_old_attempt_or_a_finished_step_failed() -> None:
    play = Play(PLACED).time_out().on(failed("ProcessPayment", 1))
    assert play.state.status == "payment_pending"
    play.on(PAID, failed("ProcessPayment", 2))
    assert (play.state.status, play.sent) == ("fulfilled", [])


def test_changes_nothing_after_the_end() -> None:
    play = Play(PLACED, PAID, RESERVED, SCHEDULED)
    ended = play.state
    for late in (PLACED, PAID, CANCEL, REFUNDED, failed("CompleteOrder", 0), Deadline(play.now + 1)):
        play.on(late)
        assert (play.state, play.sent) == (ended, [])
