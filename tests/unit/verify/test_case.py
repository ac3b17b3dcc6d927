"""What is known of one order, and of all: each lookup that the rules share, with what lies just beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import SCHEMAS
from ensemble.messages import GenericDecoder
from tests.support.order_case import COMMANDS, DECODER, case, evidence, message, parked, seen, state_note
from verifier.case import Case, Decoders, has_forgotten
from verifier.checks.fates import duties_of, is_put_aside, was_sent_again
from verifier.checks.silences import SILENCES, same_terms
from verifier.facts import Booking, DeadLetter, Message, Position, State
from verifier.flow import ORDER_CHANGELOG, ORDER_STATE, SHIPMENT_CHANGELOG
from verifier.placement import partition_of
from verifier.runtime_formats import STATE_HEAD
from verifier.storage import BOOKING, KEPT, NO_ORDER, STATE

# -- messages -----------------------------------------------------------------------------------------------------


def test_messages_are_found_by_type_and_cause_and_those_of_no_order_have_no_type() -> None:
    cause, effect = message("ProcessPayment", 1), message("PaymentConfirmed", 2, causation_id="m-1", service="payment")
    failure = message("CommandFailed", 3, causation_id="m-1", service="payment")
    others = message("PaymentConfirmed", 4, causation_id="m-1", service="order")
    stranger = message("PaymentConfirmed", 5, order_id="", message_id="m-1")
    of = case(cause, effect, failure, others, stranger)
    assert of.effects_of(cause, "payment") == [effect]
    assert of.of_type("PaymentConfirmed") == [effect, others]
    assert of.of_type("ReleaseStock") == []
    assert of.by_id["m-1"] == [cause, stranger]
    assert "" not in of.caused
    assert (of.order_id, case(subject=f"{NO_ORDER}x").order_id) == ("o-1", "")


def test_the_order_that_counts_is_the_first_event_that_the_orchestrator_has_not_given_up() -> None:
    elsewhere = message("OrderPlaced", 0)
    first, second = (message("OrderPlaced", n, topic="orders.events") for n in (1, 2))
    assert case(elsewhere, first, second).placed == first
    given_up = evidence()
    given_up.add_letter(DeadLetter(Position("orchestrator.dead-letter", 0, 0), "orchestrator", first.position))
    assert case(elsewhere, first, second, of=given_up).placed == second
    assert case(elsewhere).placed is None


@pytest.mark.parametrize("kind", ["OrderCompleted", "OrderCancelled"])
def test_an_end_counts_that_lies_before_the_cut(kind: str) -> None:
    def end_of(of: Case) -> Message | None:
        return of.completed if kind == "OrderCompleted" else of.cancelled

    before, at = (message(kind, n, topic="orders.events") for n in (8, 9))
    assert end_of(case(before, at)) == before
    assert end_of(case(at)) is None


# -- completeness -------------------------------------------------------------------------------------------------


def test_an_order_began_with_the_earliest_of_its_messages_states_and_bookings() -> None:
    booked = (BOOKING, "", 0, 0, 0, ("charge", "k", "o-1", 900, "EUR", "captured", "ch-1", None, 800))
    saw = state_note(seen=[seen("m", 900), seen("n", 1)])
    assert case(message("PlaceOrder", 3)).began == 1_003
    assert case(message("PlaceOrder", 3), message("OrderPlaced", 1), notes=(saw,)).began == 900
    assert case(message("PlaceOrder", 3), notes=(saw, booked)).began == 800
    assert case(message("PlaceOrder", 3), notes=(state_note(status="completed"),)).began == 0, "reduced long ago"
    assert case().began == 0


def test_an_order_is_whole_that_began_no_earlier_than_all_that_is_left() -> None:
    cut = {"firsts": {(COMMANDS, 0): 5}, "first_times": {(COMMANDS, 0): 1_000}}
    for time, is_whole in ((5_999, False), (6_000, True)):
        assert case(message("PlaceOrder", time=time), of=evidence(**cut)).is_whole is is_whole
    for time in (1, -1):
        whole = case(message("PlaceOrder", time=time))
        assert (whole.is_whole, whole.has_all_requests) == (True, True), "nothing is cut, whatever a clock says"


def test_requests_are_all_there_where_neither_they_nor_anything_else_is_cut() -> None:
    place = ("orchestrator.commands", 0)
    cut = evidence(firsts={place: 5}, first_times={place: 1_000})
    for time, has_all in ((5_999, False), (6_000, True)):
        of = case(message("PlaceOrder", time=time), of=cut)
        assert (of.is_whole, of.has_all_requests) == (True, has_all)
    others = evidence(firsts={(COMMANDS, 0): 5}, first_times={(COMMANDS, 0): 1_000})
    assert not case(message("PlaceOrder", time=1), of=others).has_all_requests


def test_a_topic_is_complete_since_its_first_record_and_the_skew_of_clocks_and_else_since_it_was_read() -> None:
    topics = {"partitions": {"inventory.commands": 2, COMMANDS: 1}}
    of = evidence(firsts={("inventory.commands", 1): 3}, first_times={("inventory.commands", 1): 100}, **topics)
    assert of.complete_since("o-1") == 5_100, "a warehouse may be on any partition"
    two = {(COMMANDS, 0): 7_000, ("inventory.commands", 1): 100}
    assert evidence(firsts=dict.fromkeys(two, 3), first_times=two, **topics).complete_since("o-1") == 12_000
    own = partition_of(b"o-1", 2)
    for partition, since in ((own, 5_100), (1 - own, 0)):
        place = ("orders.events", partition)
        elsewhere = evidence(firsts={place: 3}, first_times={place: 100}, partitions={"orders.events": 2})
        assert elsewhere.complete_since("o-1") == since, "an order lies on the partition of its key"
    unknown = evidence(firsts={(COMMANDS, 0): 3}, **topics)
    assert unknown.complete_since("o-1") == 15_000
    assert evidence(firsts={(COMMANDS, 0): 0, ("payment.dead-letter", 0): 7}, **topics).cut_topics == []
    requests = evidence(firsts={("orchestrator.commands", 0): 3}, first_times={("orchestrator.commands", 0): 1})
    assert (requests.complete_since("o-1"), requests.complete_since("o-1", with_requests=True)) == (0, 5_001)


def test_a_record_is_in_the_cut_and_read_up_to_the_offset_before() -> None:
    of = evidence(cut={(COMMANDS, 0): 5}, committed={"payment": {(COMMANDS, 0): 5}})
    for offset, is_known in ((4, True), (5, False)):
        assert of.in_cut(message("ProcessPayment", offset)) is is_known
        assert of.was_read("payment", message("ProcessPayment", offset)) is is_known
    assert not of.was_read("order", message("ProcessPayment", 0))
    assert not of.in_cut(message("ProcessPayment", 0, partition=1))


# -- state --------------------------------------------------------------------------------------------------------


def test_the_latest_state_counts_and_a_deleted_or_unreadable_one_is_none() -> None:
    first, second = state_note(1, status="fulfilled"), state_note(2, status="completed", settled=("payment",))
    of = case(notes=(first, second))
    assert of.state is not None
    assert (of.state.status, of.state.offset, of.state.time, of.state.names("settled")) == (
        "completed", 2, 5_002, ("payment",),
    )  # fmt: skip
    deleted = case(notes=(first, (STATE, ORDER_STATE, 0, 3, 0, None)))
    assert (deleted.state, deleted.unreadable) == (None, {})
    assert [each.status for each in deleted.states] == ["fulfilled", ""]
    garbage = case(notes=((STATE, ORDER_STATE, 0, 4, 0, b"?"),))
    assert garbage.state is None
    assert list(garbage.unreadable) == [Position(ORDER_STATE, 0, 4)]
    assert case().state is None


def test_what_was_seen_is_read_from_earlier_states_only_where_the_latest_has_forgotten() -> None:
    first, second = (state_note(n, status="fulfilled", seen=[seen(f"m-{n}", n)]) for n in (1, 2))
    full = state_note(3, status="fulfilled", seen=[seen(f"s-{n}", n) for n in range(32)])
    head = GenericDecoder([SCHEMAS], STATE_HEAD)
    for notes, noted in (((first, second), {"m-2"}), ((first, (STATE, ORDER_STATE, 0, 3, 0, None)), {"m-1"})):
        assert Case(evidence(), Decoders(DECODER, head), ("o-1", [], list(notes))).noted.keys() == noted
    assert "m-1" in Case(evidence(), Decoders(DECODER, head), ("o-1", [], [first, full])).noted


def test_other_changelogs_say_the_latest_that_they_have_of_an_order() -> None:
    bytes_of = [state_note(n, status=status)[5] for n, status in enumerate(("fulfilled", "completed"))]
    notes = [(KEPT, ORDER_CHANGELOG, 0, n, 0, value) for n, value in enumerate(bytes_of)]
    of = case(notes=(*notes, (KEPT, SHIPMENT_CHANGELOG, 0, 0, 0, bytes_of[0])))
    assert of.kept_in(ORDER_CHANGELOG)["status"] == "completed"
    assert of.kept_in(SHIPMENT_CHANGELOG)["status"] == "fulfilled"
    assert [of.is_kept_in(name) for name in (ORDER_CHANGELOG, "other")] == [True, False]
    assert of.kept_in("other") == {}


def test_a_debt_was_settled_as_the_state_says_or_without_one_as_a_command_says() -> None:
    command = message("SettleOrder", 1, fields={"steps": ["payment"]})
    assert case(notes=(state_note(status="compensation_failed", settled=("payment",)),)).was_settled("payment") is True
    others = message("SettleOrder", 2, fields={"steps": ["shipment"]})
    assert case(command, others).was_settled("payment") is True
    assert case(command, notes=(state_note(status="compensation_failed"),)).was_settled("payment") is False
    assert [case(command).was_settled(step) for step in ("payment", "shipment")] == [True, False]
    cut = evidence(firsts={("orchestrator.commands", 0): 5}, first_times={("orchestrator.commands", 0): 1_000})
    assert case(command, of=cut).was_settled("shipment") is True, "the command may have been removed"


@pytest.mark.parametrize(
    ("count", "status", "expected"), [(31, "fulfilled", False), (32, "fulfilled", True), (1, "", True)]
)
def test_a_state_has_forgotten_what_a_full_memory_or_a_deletion_left_out(
    count: int, status: str, *, expected: bool
) -> None:
    states = [State(number, 0, {"seen": [{}] * size, "status": has}) for number, (size, has) in
              enumerate([(1, "fulfilled"), (count, status)])]  # fmt: skip
    assert has_forgotten(states) is expected


# -- what waits, or was given up ----------------------------------------------------------------------------------


def test_what_waits_has_waited_and_waits_no_longer_once_its_place_is_free() -> None:
    first, second = message("ProcessPayment", 1), message("AttemptCharge", 2)
    of = case(first, second, notes=(parked("payment", 1), parked("payment", 2, 1), parked("payment", None)))
    assert [of.waits("payment", each) for each in (first, second)] == [False, True]
    assert [of.was_ever_parked("payment", each) for each in (first, second)] == [True, True]
    assert [of.waits("order", second), of.was_ever_parked("order", second)] == [False, False]
    assert (of.parked_at, case(first).parked_at) == (["payment"], [])
    assert case(first).waits("payment", first) is False


def test_a_message_waits_under_its_id_in_the_place_of_an_older_attempt() -> None:
    newer = message("ProcessPayment", 5)
    of = case(newer, notes=(parked("payment", 1, message_id="m-5"),))
    assert of.waits("payment", newer) is True
    assert of.waits("payment", message("ProcessPayment", 6)) is False


def test_what_was_freed_without_having_been_seen_may_have_been_any_message() -> None:
    one = message("ProcessPayment", 1)
    emptied = case(one, notes=(parked("payment", None),))
    assert [emptied.may_have_waited(service, one) for service in ("payment", "order")] == [True, False]
    assert (emptied.was_ever_parked("payment", one), emptied.may_have_been_held("payment", one)) == (False, False)
    seen = case(one, notes=(parked("payment", 1), parked("payment", None)))
    assert (seen.may_have_waited("payment", one), seen.may_have_waited("payment", message("x", 2))) == (True, False)


def test_a_changelog_without_its_beginning_or_a_pause_may_have_held_anything() -> None:
    one = message("ProcessPayment", 1)
    cleaned = case(one, of=evidence(cleaned={"payment"}))
    assert [cleaned.was_ever_parked(each, one) for each in ("payment", "order")] == [True, False]
    assert [cleaned.may_have_been_held(each, one) for each in ("payment", "order")] == [True, False]
    paused = case(one, of=evidence(paused_commands={("payment", "ProcessPayment")}))
    assert [paused.may_have_been_held(each, one) for each in ("payment", "order")] == [True, False]
    assert paused.may_have_been_held("payment", message("AttemptCharge", 2)) is False
    other = case(one, message("AttemptCharge", 2), notes=(parked("payment", 2), parked("payment", None)))
    assert [other.may_have_been_held(each, one) for each in ("payment", "order")] == [True, False]


def test_of_several_dead_letters_of_a_message_the_most_often_redriven_one_counts() -> None:
    of, place = evidence(), message("ProcessPayment", 1)
    assert of.letter_of("payment", place) is None
    letters = [
        DeadLetter(Position("payment.dead-letter", 0, n), "payment", place.position, generation)
        for n, generation in enumerate((0, 2, 1))
    ]
    for letter in letters:
        of.add_letter(letter)
    assert of.letter_of("payment", place) == letters[1]
    assert of.letter_of("order", place) is None
    of.resolved["payment", place.position, 2] = "redriven"
    assert [of.fate_of(letter) for letter in letters] == ["", "redriven", ""]
    assert of.fate_of(letters[1]._replace(source=None)) == ""


def test_a_dead_letter_of_an_older_attempt_is_that_of_the_newer_one_of_commands_that_are_sent_again() -> None:
    of = evidence()
    of.add_letter(DeadLetter(Position("payment.dead-letter", 0, 0), "payment", Position(COMMANDS, 0, 1), 0, "m-5"))
    assert of.letter_of("payment", message("ProcessPayment", 5)) is not None
    assert of.letter_of("payment", message("CompleteOrder", 5)) is None


def test_what_another_process_has_found_is_added_and_dead_letters_are_left_behind() -> None:
    found: dict[str, Any] = {"first_times": {(COMMANDS, 0): 3}, "paused_commands": {("order", "x")}}
    one, other = evidence(), evidence(cleaned={"order"}, **found)
    other.add_letter(DeadLetter(Position("order.dead-letter", 0, 0), "order", None))
    other.resolved["order", Position(COMMANDS, 0, 1), 0] = "closed"
    other.warehouses["w-1"].sequence = 4
    lean = other.without_letters()
    assert (lean.letters, dict(lean.warehouses), lean.letter_of("order", message("x"))) == ([], {}, None)
    assert (len(other.letters), lean.cleaned) == (1, {"order"})
    one.merge(lean)
    assert (one.first_times, one.resolved) == (other.first_times, other.resolved)
    assert (one.cleaned, one.paused_commands) == ({"order"}, {("order", "x")})


# -- silences -----------------------------------------------------------------------------------------------------


def test_a_message_is_noted_or_may_have_been_before_a_memory_was_full_or_a_state_deleted() -> None:
    noted = SILENCES["noted"]
    saw = state_note(status="fulfilled", seen=[seen("m-1", 1)])
    of = case(notes=(saw,))
    assert [noted(of, message("x", offset)) for offset in (1, 2)] == [True, False]
    deleted = case(notes=(saw, (STATE, ORDER_STATE, 0, 3, 1_005, None)))
    assert [noted(deleted, message("x", offset)) for offset in (5, 6)] == [True, False]
    many = [seen(f"s-{n}", 1_000 + n) for n in range(32)]
    full = case(notes=(state_note(status="fulfilled", seen=many),))
    assert [noted(full, message("x", offset)) for offset in (16, 17)] == [True, False]


def test_an_order_was_placed_before_by_the_same_terms_or_had_ended_before() -> None:
    placed_before = SILENCES["placed_before"]
    terms = dict.fromkeys(("customer_id", "lines", "currency", "payment_token", "warehouse_id", "shipping_speed"), "x")
    request = message("PlaceOrder", 3, fields=terms)
    assert placed_before(case(message("OrderPlaced", 1, fields=terms)), request) is True
    for name in terms:
        assert not same_terms(request, message("OrderPlaced", 1, fields=terms | {name: "y"}))
    assert placed_before(case(message("OrderPlaced", 1, fields=terms | {"lines": "y"})), request) is False
    end = message("OrderCancelled", 1, topic="orders.events")
    for kind in ("CompleteOrder", "CancelOrder"):
        for offset, expected in ((2, True), (3, False)):
            assert placed_before(case(end, message(kind, offset)), request) is expected
    completed = end._replace(type="OrderCompleted")
    assert placed_before(case(completed, message("CompleteOrder", 2)), request) is True
    assert placed_before(case(message("CompleteOrder", 2)), request) is False


def test_a_charge_that_an_earlier_refund_ended_is_silent() -> None:
    charge = message("AttemptCharge", 3)
    for offset, effect, expected in ((2, "PaymentRefunded", True), (3, "PaymentRefunded", False), (2, "x", False)):
        refund = message("RefundPayment", offset, message_id="r")
        of = case(refund, message(effect, 8, causation_id="r"))
        assert SILENCES["refunded_before"](of, charge) is expected
    dispatch = message("DispatchStock", 2, message_id="d")
    of = case(dispatch, message("StockDispatched", 8, causation_id="d"))
    assert SILENCES["dispatched_before"](of, message("DispatchStock", 3)) is True
    assert SILENCES["refunded_before"](of, charge) is False


# -- fates --------------------------------------------------------------------------------------------------------


def test_an_unknown_record_is_due_to_every_reader_of_its_topic() -> None:
    assert [duty.reader for duty in duties_of(message("ProcessPayment"))] == ["payment"]
    assert [duty.reader for duty in duties_of(message("Odd", topic="orders.events"))] == [
        "orchestrator", "order", "shipping",
    ]  # fmt: skip
    assert duties_of(message("OrderCompleted", topic="orders.events")) == ()


def test_a_record_is_put_aside_as_a_dead_letter_or_while_a_reader_has_not_come_to_it() -> None:
    assert is_put_aside(case(), message("ProcessPayment", 8)) is False
    assert is_put_aside(case(), message("ProcessPayment", 9)) is True
    of, letter = evidence(), message("ProcessPayment", 8)
    of.add_letter(DeadLetter(Position("shipping.dead-letter", 0, 0), "shipping", letter.position))
    assert is_put_aside(case(of=of), letter) is True


def test_a_later_attempt_or_an_answered_earlier_one_stands_for_a_command_that_was_held() -> None:
    held = (parked("payment", 7, message_id="other"),)
    one = message("ProcessPayment", 3)
    later, earlier = message("ProcessPayment", 4), message("ProcessPayment", 2)
    answer = message("PaymentConfirmed", 6, causation_id="m-2", service="payment")
    for messages, expected in (
        ((one,), False), ((one, later), True), ((one, earlier), False), ((one, earlier, answer), True),
        ((one, later._replace(partition=1)), False), ((one, answer._replace(causation_id="m-3")), False),
        ((one, later._replace(type="AttemptCharge")), False),
    ):  # fmt: skip
        assert was_sent_again(case(*messages, notes=held), one, "payment") is expected
    assert was_sent_again(case(one, later), one, "payment") is False, "nothing of it was held"
    assert was_sent_again(case(one, later, notes=held), one, "order") is False
    complete = message("CompleteOrder", 3)
    assert was_sent_again(case(complete, complete._replace(offset=4), notes=held), complete, "payment") is False


def test_bookings_are_those_of_the_provider() -> None:
    content = ("charge", "k", "o-1", 900, "EUR", "captured", "ch-1", None, 800)
    assert case(notes=((BOOKING, "", 0, 0, 0, content),)).bookings == [Booking(*content)]
