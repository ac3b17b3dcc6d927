"""What waits parked is neither lost nor handled twice: what is right is not blamed, what is wrong is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import UNDO, clean_flow, told_of, violation_lines_with
from tests.support.recorded_flow.parking import (
    ORDER,
    answer,
    answer_again,
    ask,
    command,
    dead_letter,
    free,
    park,
    park_behind,
    resolve,
    succeed,
)
from tests.support.recorded_flow.records import PARTITIONS, WrittenRecord, encoded
from verifier.runtime_formats import PARKED

REDRIVE = {"parking_key": ORDER, "generation": 0, "headers": [], "redriven_from": "payment.dead-letter/0/0"}


def waits(flow: RecordedFlow) -> None:
    park(flow, command(flow))


def waits_behind_another(flow: RecordedFlow) -> None:
    park(flow, command(flow))
    park_behind(flow, command(flow, attempt=2))


def given_up_and_waits(flow: RecordedFlow) -> None:
    record = command(flow)
    dead_letter(flow, record)
    park(flow, record, status="dead_lettered")


def resolve_given_up(flow: RecordedFlow, resolution: str) -> None:
    given_up_and_waits(flow)
    record = flow.last("ProcessPayment", ORDER)
    resolve(flow, record, resolution)
    free(flow, record)


def undo(flow: RecordedFlow, record: WrittenRecord) -> None:
    refund = flow.by("orchestrator", "payments.commands", "RefundPayment", record, order_id=ORDER, **UNDO)
    refunded = flow.by("payment", "payments.events", "PaymentRefunded", refund, order_id=ORDER, amount=0)
    flow.state(ORDER, "compensating", refunded)
    free(flow, record)


def redriven_and_done(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    record = flow.last("ProcessPayment", ORDER)
    resolve(flow, record, "redriven")
    succeed(flow, record)
    free(flow, record)


def redriven_and_given_up_again(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    record = flow.last("ProcessPayment", ORDER)
    resolve(flow, record, "redriven")
    letter = dead_letter(flow, record)
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def edited_and_given_up_again(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    record = flow.last("ProcessPayment", ORDER)
    edited = encoded("ProcessPayment", {**record.fields, "payment_token": "tok_other"})
    place = dict(zip(("topic", "partition", "offset"), record.at, strict=True))
    ask(flow, "RedriveRecord", **place, **REDRIVE, key=record.raw_key, value=record.value(), edited=edited)
    answer(flow)
    resolve(flow, record, "redriven")
    letter = dead_letter(flow, record)
    letter.raw_value = edited
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def discarded(flow: RecordedFlow) -> None:
    resolve_given_up(flow, "discarded")


def sent_again_while_it_waited(flow: RecordedFlow) -> None:
    """The later one took its place, and was handled."""
    record = command(flow)
    park(flow, record)
    later = command(flow, attempt=2)
    park(flow, later)
    succeed(flow, later)
    free(flow, later)


def sent_anew_while_it_waited(flow: RecordedFlow) -> None:
    """By a person: its attempts count from the first again."""
    record = command(flow)
    park(flow, record)
    later = command(flow, attempt=1)
    park(flow, record, newer=later)
    succeed(flow, later)
    free(flow, record)


def sent_again_in_one_batch(flow: RecordedFlow) -> None:
    """Only the later one was ever seen to wait."""
    command(flow)
    later = command(flow, attempt=2)
    park(flow, later)
    succeed(flow, later)
    free(flow, later)


def told_of_two_attempts_in_one_batch(flow: RecordedFlow) -> None:
    """The later one took the place of the other, which was never seen to wait behind what was given up."""
    given_up_and_waits(flow)
    earlier, later = command(flow, attempt=2), command(flow, attempt=3)
    for attempt in (earlier, later):
        told_of(flow, "payment", attempt, "payment_pending")
    park_behind(flow, later)


def newer_attempt_in_its_place(flow: RecordedFlow) -> None:
    """What was given up is the older one; what waits, and is redriven and given up again, the newer one."""
    given_up_and_waits(flow)
    older, newer = flow.last("ProcessPayment", ORDER), command(flow, attempt=2)
    park(flow, older, status="dead_lettered", newer=newer)
    told_of(flow, "payment", newer, "payment_pending")
    resolve(flow, older, "redriven")
    letter = dead_letter(flow, newer)
    letter.set_header("__streams.errors.offset", str(older.offset()))
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def newer_attempt_given_up_in_its_place(flow: RecordedFlow) -> None:
    """Its dead letter names the older one, and nothing is held back."""
    older = command(flow)
    park(flow, older)
    newer = command(flow, attempt=2)
    park(flow, older, newer=newer)
    flow.dead_letter("payment", newer).set_header("__streams.errors.offset", str(older.offset()))
    told_of(flow, "payment", newer, "payment_pending")
    free(flow, older)


def redriven_and_given_up_for_good(flow: RecordedFlow) -> None:
    """The second dead letter holds nothing back."""
    redriven_and_given_up_again(flow)
    letters = [record for record in flow.records if record.topic() == "payment.dead-letter"]
    letters[-1].set_header("ensemble.disposition", "skip")
    free(flow, flow.last("ProcessPayment", ORDER))


def swallowed_by_the_attempt_under_way(flow: RecordedFlow) -> None:
    """The earlier one was called when the later one came; its answer holds for both."""
    older = command(flow)
    park(flow, older, "in_flight")
    park(flow, older, "in_flight", newer=command(flow, attempt=2))
    succeed(flow, older)
    free(flow, older)


def moved_to_the_front(flow: RecordedFlow) -> None:
    """A later attempt took the place of one that waited before the charge."""
    first = command(flow)
    succeed(flow, first)
    charge = flow.last("AttemptCharge", ORDER)
    second, third = command(flow, attempt=2), command(flow, attempt=3)
    park(flow, second, "paused", newer=third)
    for cause in (third, charge):
        answer_again(flow, cause)
    free(flow, second)


def sent_again_while_paused(flow: RecordedFlow) -> None:
    """The pause ended in the batch that had all of them: none was seen to wait."""
    carried_out(flow)
    command(flow)
    succeed(flow, command(flow, attempt=2))


def undone_while_it_waited(flow: RecordedFlow) -> None:
    record = command(flow)
    park(flow, record)
    undo(flow, record)


def undone_in_the_batch_that_parked_it(flow: RecordedFlow) -> None:
    """Never seen to wait; its place in the queue was emptied."""
    undo(flow, command(flow))


def closed_by_an_undo(flow: RecordedFlow) -> None:
    resolve_given_up(flow, "closed")


def redriven_long_after_it_was_skipped(flow: RecordedFlow) -> None:
    """It held nothing back, so the later one went first."""
    first, second = command(flow), command(flow, attempt=2)
    flow.dead_letter("payment", first)
    succeed(flow, second)
    told_of(flow, "payment", first, "payment_pending")
    resolve(flow, first, "redriven")
    succeed(flow, first)


def receipt_given_up(flow: RecordedFlow) -> None:
    """Nobody waits for its answer."""
    fields = {"warehouse_id": "berlin", "sku": "tea", "quantity": 1}
    flow.dead_letter("inventory", flow.outside("inventory.commands", "ReceiveStock", "berlin", **fields))


def paused_by_policy(flow: RecordedFlow) -> None:
    """No dead letter, but its sender knows."""
    record = command(flow)
    told_of(flow, "payment", record, "payment_pending")
    park(flow, record, status="paused")


def carried_out(flow: RecordedFlow) -> None:
    ask(flow, "PauseWork", scope="command", name="ProcessPayment")
    answer(flow)


def not_read_yet(flow: RecordedFlow) -> None:
    flow.unread("payment", ask(flow, "PauseWork", scope="command", name="ProcessPayment"))


@pytest.mark.parametrize(
    "happens",
    [
        waits,
        waits_behind_another,
        given_up_and_waits,
        redriven_and_done,
        redriven_and_given_up_again,
        redriven_and_given_up_for_good,
        newer_attempt_given_up_in_its_place,
        edited_and_given_up_again,
        discarded,
        sent_again_while_it_waited,
        sent_anew_while_it_waited,
        sent_again_in_one_batch,
        told_of_two_attempts_in_one_batch,
        newer_attempt_in_its_place,
        sent_again_while_paused,
        swallowed_by_the_attempt_under_way,
        moved_to_the_front,
        undone_while_it_waited,
        undone_in_the_batch_that_parked_it,
        closed_by_an_undo,
        redriven_long_after_it_was_skipped,
        receipt_given_up,
        paused_by_policy,
        carried_out,
        not_read_yet,
    ],
)
def test_says_nothing(happens: Callable[[RecordedFlow], None]) -> None:
    # given a clean story, and something that is right as well
    flow = clean_flow()
    happens(flow)

    # when it is judged
    # then nothing is wrong
    assert flow.violations() == []


def vanished(flow: RecordedFlow) -> None:
    """It waited once, and has left nothing."""
    record = command(flow)
    park(flow, record)
    free(flow, record)


def never_parked(flow: RecordedFlow) -> None:
    """A resend is no excuse for a command that never waited."""
    command(flow)
    succeed(flow, command(flow, attempt=2))


def let_go(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    free(flow, flow.last("ProcessPayment", ORDER))


def handled_while_it_waits(flow: RecordedFlow) -> None:
    waits(flow)
    succeed(flow, flow.last("ProcessPayment", ORDER))


def handled_although_discarded(flow: RecordedFlow) -> None:
    discarded(flow)
    succeed(flow, flow.last("ProcessPayment", ORDER))


def redriven_without_effect(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    record = flow.last("ProcessPayment", ORDER)
    resolve(flow, record, "redriven")
    free(flow, record)


def edited_before_it_was_redriven(flow: RecordedFlow) -> None:
    edited_and_given_up_again(flow)
    letters = [record for record in flow.records if record.topic() == "payment.dead-letter"]
    letters[0].raw_value = letters[-1].raw_value


def undone_without_a_wait(flow: RecordedFlow) -> None:
    undone_while_it_waited(flow)
    flow.drop(*[record for record in flow.records if record.topic() == f"payment{PARKED}"])


def undo_not_read_yet(flow: RecordedFlow) -> None:
    undone_while_it_waited(flow)
    flow.unread("payment", flow.last("RefundPayment", ORDER))


def redriven_by_nobody(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    letter = dead_letter(flow, flow.last("ProcessPayment", ORDER))
    letter.set_header("ensemble.redriven-from", "payment.dead-letter/0/0")


def sender_not_told(flow: RecordedFlow) -> None:
    given_up_and_waits(flow)
    flow.drop(flow.last("CommandFailed", ORDER))


def sender_told_for_nothing(flow: RecordedFlow) -> None:
    record = command(flow)
    succeed(flow, record)
    told_of(flow, "payment", record, "payment_pending")


def overtaken(flow: RecordedFlow) -> None:
    first, second = command(flow), command(flow, attempt=2)
    succeed(flow, second)
    succeed(flow, first)


def answered_by_another_partition(flow: RecordedFlow) -> None:
    carried_out(flow)
    flow.last("OperationDone").fields["partition"] = 2


def answered_something_else(flow: RecordedFlow) -> None:
    carried_out(flow)
    flow.last("OperationDone").fields["operation_id"] = "op-9"


def never_answered(flow: RecordedFlow) -> None:
    ask(flow, "PauseWork", scope="command", name="ProcessPayment")


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (vanished, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (never_parked, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (let_go, "inputs", "it waits no longer, and nobody has decided so"),
        (handled_while_it_waits, "inputs", "waits parked at payment, and yet AttemptCharge"),
        (handled_although_discarded, "inputs", "is a dead letter of payment, and yet AttemptCharge"),
        (redriven_without_effect, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (edited_before_it_was_redriven, "dead letters", "its value is not that of"),
        (undone_without_a_wait, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (undo_not_read_yet, "inputs", "no AttemptCharge or PaymentConfirmed or PaymentDeclined from it"),
        (redriven_by_nobody, "dead letters", "was redriven 1 times, which nobody has asked for"),
        (sender_not_told, "failures", "gave it up 1 times, and told its sender 0 times"),
        (sender_told_for_nothing, "failures", "but payment has not given it up"),
        (overtaken, "order per key", "that lies behind it took effect"),
        (answered_by_another_partition, "operations", "PauseWork payment.control[1]@0 payment has read it"),
        (answered_something_else, "operations", "PauseWork payment.control[1]@0 payment has read it"),
        (never_answered, "operations", "PauseWork payment.control[1]@0 payment has read it, and has not answered"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], None], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)


@pytest.mark.parametrize("happens", [let_go, redriven_by_nobody, vanished])
def test_what_a_compacted_changelog_no_longer_tells_is_not_blamed(happens: Callable[[RecordedFlow], None]) -> None:
    # given a changelog of parked records whose beginning is gone
    flow = clean_flow()
    flow.ends |= {(f"payment{PARKED}", partition): 5 for partition in range(PARTITIONS)}
    happens(flow)

    # then nobody is blamed for a decision that lay there
    assert flow.violation_lines("dead letters") == ""
    assert "nobody has decided" not in flow.violation_lines("inputs")


def test_an_order_whose_key_is_parked_says_so() -> None:
    # given an order whose charge was given up, and waits
    flow = clean_flow()
    given_up_and_waits(flow)

    # when it is looked at
    report = flow.report()
    (order,) = report.open_orders

    # then it is open, and says what holds it up
    assert order.waits_for == "PaymentConfirmed; something of it is parked at payment"
    assert report.counted is not None
    assert report.counted["records parked"] == 1
