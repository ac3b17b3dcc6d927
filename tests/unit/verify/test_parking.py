"""What waits parked is neither lost nor handled twice: what is right is not blamed, what is wrong is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.verify.judgement import count
from cli.verify.progress import open_orders
from tests.support.recorded_flow.orders import UNDO, clean_story, told_of
from tests.support.recorded_flow.parking import (
    ORDER,
    answer,
    answer_again,
    ask,
    command,
    free,
    given_up,
    park,
    park_behind,
    resolve,
    succeed,
)
from tests.support.recorded_flow.story import Story


def waits(story: Story) -> None:
    park(story, command(story))


def waits_behind_another(story: Story) -> None:
    park(story, command(story))
    park_behind(story, command(story, attempt=2))


def given_up_and_waits(story: Story) -> None:
    record = command(story)
    given_up(story, record)
    park(story, record, status="dead_lettered")


def redriven_and_done(story: Story) -> None:
    given_up_and_waits(story)
    record = story.last("ProcessPayment", ORDER)
    resolve(story, record, "redriven")
    succeed(story, record)
    free(story, record)


def redriven_and_given_up_again(story: Story) -> None:
    given_up_and_waits(story)
    record = story.last("ProcessPayment", ORDER)
    resolve(story, record, "redriven")
    letter = given_up(story, record)
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def discarded(story: Story) -> None:
    given_up_and_waits(story)
    record = story.last("ProcessPayment", ORDER)
    resolve(story, record, "discarded")
    free(story, record)


def sent_again_while_it_waited(story: Story) -> None:
    """The later one took its place, and was handled."""
    record = command(story)
    park(story, record)
    later = command(story, attempt=2)
    park(story, later)
    succeed(story, later)
    free(story, later)


def sent_anew_while_it_waited(story: Story) -> None:
    """By a person: its attempts count from the first again."""
    record = command(story)
    park(story, record)
    later = command(story, attempt=1)
    park(story, record, newer=later)
    succeed(story, later)
    free(story, record)


def sent_again_in_one_batch(story: Story) -> None:
    """Only the later one was ever seen to wait."""
    command(story)
    later = command(story, attempt=2)
    park(story, later)
    succeed(story, later)
    free(story, later)


def newer_attempt_in_its_place(story: Story) -> None:
    """What was given up is the older one; what waits, and is redriven and given up again, the newer one."""
    given_up_and_waits(story)
    older, newer = story.last("ProcessPayment", ORDER), command(story, attempt=2)
    park(story, older, status="dead_lettered", newer=newer)
    told_of(story, "payment", newer, "payment_pending")
    resolve(story, older, "redriven")
    letter = given_up(story, newer)
    letter.set_header("__streams.errors.offset", str(older.offset()))
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def swallowed_by_the_attempt_under_way(story: Story) -> None:
    """The earlier one was called when the later one came; its answer holds for both."""
    older = command(story)
    park(story, older, "in_flight")
    park(story, older, "in_flight", newer=command(story, attempt=2))
    succeed(story, older)
    free(story, older)


def moved_to_the_front(story: Story) -> None:
    """A later attempt took the place of one that waited before the charge."""
    first = command(story)
    succeed(story, first)
    charge = story.last("AttemptCharge", ORDER)
    second, third = command(story, attempt=2), command(story, attempt=3)
    park(story, second, "paused", newer=third)
    for cause in (third, charge):
        answer_again(story, cause)
    free(story, second)


def sent_again_while_paused(story: Story) -> None:
    """The pause ended in the batch that had all of them: none was seen to wait."""
    carried_out(story)
    command(story)
    succeed(story, command(story, attempt=2))


def undone_while_it_waited(story: Story) -> None:
    record = command(story)
    park(story, record)
    undo = story.by("orchestrator", "payments.commands", "RefundPayment", record, order_id=ORDER, **UNDO)
    refunded = story.by("payment", "payments.events", "PaymentRefunded", undo, order_id=ORDER, amount=0)
    story.state(ORDER, "compensating", refunded)
    free(story, record)


def paused_by_policy(story: Story) -> None:
    """No dead letter, but its sender knows."""
    record = command(story)
    told_of(story, "payment", record, "payment_pending")
    park(story, record, status="paused")


def carried_out(story: Story) -> None:
    ask(story, "PauseWork", scope="command", name="ProcessPayment")
    answer(story)


def not_read_yet(story: Story) -> None:
    story.unread("payment", ask(story, "PauseWork", scope="command", name="ProcessPayment"))


@pytest.mark.parametrize(
    "happens",
    [
        waits,
        waits_behind_another,
        given_up_and_waits,
        redriven_and_done,
        redriven_and_given_up_again,
        discarded,
        sent_again_while_it_waited,
        sent_anew_while_it_waited,
        sent_again_in_one_batch,
        newer_attempt_in_its_place,
        sent_again_while_paused,
        swallowed_by_the_attempt_under_way,
        moved_to_the_front,
        undone_while_it_waited,
        paused_by_policy,
        carried_out,
        not_read_yet,
    ],
)
def test_says_nothing(happens: Callable[[Story], None]) -> None:
    # given a clean story, and something that is right as well
    story = clean_story()
    happens(story)

    # when it is judged
    # then nothing is wrong
    assert story.violations() == []


def vanished(story: Story) -> None:
    """It waited once, and has left nothing."""
    record = command(story)
    park(story, record)
    free(story, record)


def never_parked(story: Story) -> None:
    """A resend is no excuse for a command that never waited."""
    command(story)
    succeed(story, command(story, attempt=2))


def let_go(story: Story) -> None:
    given_up_and_waits(story)
    free(story, story.last("ProcessPayment", ORDER))


def handled_while_it_waits(story: Story) -> None:
    waits(story)
    succeed(story, story.last("ProcessPayment", ORDER))


def handled_although_discarded(story: Story) -> None:
    discarded(story)
    succeed(story, story.last("ProcessPayment", ORDER))


def redriven_without_effect(story: Story) -> None:
    given_up_and_waits(story)
    record = story.last("ProcessPayment", ORDER)
    resolve(story, record, "redriven")
    free(story, record)


def redriven_by_nobody(story: Story) -> None:
    given_up_and_waits(story)
    letter = given_up(story, story.last("ProcessPayment", ORDER))
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def sender_not_told(story: Story) -> None:
    given_up_and_waits(story)
    story.drop(story.last("CommandFailed", ORDER))


def sender_told_for_nothing(story: Story) -> None:
    record = command(story)
    succeed(story, record)
    told_of(story, "payment", record, "payment_pending")


def overtaken(story: Story) -> None:
    first, second = command(story), command(story, attempt=2)
    succeed(story, second)
    succeed(story, first)


def never_answered(story: Story) -> None:
    ask(story, "PauseWork", scope="command", name="ProcessPayment")


@pytest.mark.parametrize(
    ("plant", "check", "words"),
    [
        (vanished, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (never_parked, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (let_go, "inputs", "it waits no longer, and nobody has decided so"),
        (handled_while_it_waits, "inputs", "waits parked at payment, and yet AttemptCharge"),
        (handled_although_discarded, "inputs", "is a dead letter of payment, and yet AttemptCharge"),
        (redriven_without_effect, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (redriven_by_nobody, "dead letters", "was redriven 1 times, which nobody has asked for"),
        (sender_not_told, "dead letters", "gave it up 1 times, and told its sender 0 times"),
        (sender_told_for_nothing, "dead letters", "but payment has not given it up"),
        (overtaken, "order per key", "that lies behind it took effect"),
        (never_answered, "operations", "payment has read it, and has not answered"),
    ],
)
def test_finds(plant: Callable[[Story], None], check: str, words: str) -> None:
    # given a clean story with one mistake
    story = clean_story()
    plant(story)

    # when it is judged
    # then the check finds it
    assert words in story.found(check)


def test_an_order_whose_key_is_parked_says_so() -> None:
    # given an order whose charge was given up, and waits
    story = clean_story()
    given_up_and_waits(story)

    # when it is looked at
    (order,) = open_orders(story.snapshot())

    # then it is open, and says what holds it up
    assert order.waits_for == "PaymentConfirmed; payment has ProcessPayment parked (dead_lettered)"
    assert count(story.snapshot()).parked == 1
