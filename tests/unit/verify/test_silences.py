"""Why an input may have no message that follows from it: each rule where it just holds, and where it just does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.order_case import COMMANDS, case, evidence, message, parked, seen, state_note
from verifier.case import Case
from verifier.checks.fates import _is_copied, is_put_aside, was_sent_again
from verifier.checks.silences import SILENCES, same_terms
from verifier.facts import DeadLetter, Message, Position
from verifier.flow import ORDER_CHANGELOG, ORDER_EVENTS, SHIPMENT_CHANGELOG, TERMS
from verifier.runtime_formats import MOST_SEEN
from verifier.storage import KEPT

TERM: dict[str, Any] = dict.fromkeys(TERMS, "x")
EXPRESS: dict[str, Any] = TERM | {"shipping_speed": "express"}
PLACED = message("OrderPlaced", 2, topic=ORDER_EVENTS, fields=TERM)
FAST = PLACED._replace(fields=EXPRESS)
PLACE = message("PlaceOrder", 5, topic="orders.commands", fields=TERM)
CHARGE = message("AttemptCharge", 5)


def silent(rule: str, of: Case, about: Message) -> bool:
    return SILENCES[rule](of, about)


def kept(changelog: str) -> Any:
    return KEPT, changelog, 0, 0, 0, None


def full(at: int) -> Any:
    """Return a state that has seen as much as it remembers; its seventeenth message was seen at this time."""
    return state_note(status="fulfilled", seen=[seen(f"s-{n}", at if n == 16 else 1) for n in range(MOST_SEEN)])


DELETED = (*state_note()[:4], 1_005, None)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (case(PLACE, notes=(state_note(status="fulfilled", seen=[seen("m-5", 1)]),)), True),
        (case(PLACE, notes=(state_note(status="fulfilled", seen=[seen("m-4", 1)]),)), False),
        (case(PLACE, notes=(full(1_005),)), True),
        (case(PLACE, notes=(full(1_004),)), False),
        (case(PLACE, notes=(full(1_004), full(1_005))), True),
        (case(PLACE, notes=(full(1_005), full(1_004))), True),
        (case(PLACE, notes=(DELETED,)), True),
        (case(PLACE, notes=((*DELETED[:4], 1_004, None),)), False),
        (case(PLACE), False),
    ],
)
def test_what_is_noted_or_may_have_been_forgotten_needs_no_message(of: Case, *, expected: bool) -> None:
    assert silent("noted", of, PLACE) is expected


@pytest.mark.parametrize("name", TERMS)
def test_two_messages_place_the_same_order_if_all_terms_are_the_same(name: str) -> None:
    assert same_terms(PLACED, PLACE)
    assert not same_terms(PLACED, PLACE._replace(fields={**TERM, name: "y"}))


COMPLETE, COMPLETED = message("CompleteOrder", 4), message("OrderCompleted", 6, topic=ORDER_EVENTS)
CANCEL, CANCELLED = message("CancelOrder", 4), message("OrderCancelled", 6, topic=ORDER_EVENTS)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((PLACED,), True),
        ((PLACED._replace(fields={}),), False),
        ((PLACED._replace(fields={}), PLACED), True),
        ((), False),
        ((COMPLETE, COMPLETED), True),
        ((CANCEL, CANCELLED), True),
        ((COMPLETE._replace(offset=5), COMPLETED), False),
        ((CANCEL._replace(offset=5), CANCEL, CANCELLED), True),
        ((CANCEL,), False),
        ((COMPLETED,), False),
    ],
)
def test_an_order_may_have_been_placed_or_ended_before(messages: tuple[Message, ...], *, expected: bool) -> None:
    assert silent("placed_before", case(*messages), PLACE) is expected


SCHEDULED, GONE = message("ShipmentScheduled", 6), message("ShipmentCancelled", 6)


@pytest.mark.parametrize(
    ("of", "about", "expected"),
    [
        (case(PLACED, notes=(kept(SHIPMENT_CHANGELOG),)), PLACED, True),
        (case(PLACED), PLACED, False),
        (case(PLACED, notes=(kept(ORDER_CHANGELOG),)), PLACED, False),
        (case(FAST, notes=(kept(SHIPMENT_CHANGELOG),)), FAST, False),
        (case(FAST, SCHEDULED, notes=(kept(SHIPMENT_CHANGELOG),)), FAST, True),
        (case(FAST, GONE, notes=(kept(SHIPMENT_CHANGELOG),)), FAST, True),
        (case(FAST, notes=(kept(SHIPMENT_CHANGELOG),)), FAST._replace(offset=7), True),
    ],
)
def test_an_express_order_is_planned_and_of_another_shipping_knows(of: Case, about: Message, *, expected: bool) -> None:
    assert silent("shipment_known", of, about) is expected


def test_the_order_service_knows_what_its_changelog_has() -> None:
    assert silent("order_known", case(notes=(kept(ORDER_CHANGELOG),)), PLACED)
    assert not silent("order_known", case(notes=(kept(SHIPMENT_CHANGELOG),)), PLACED)
    assert not silent("packing_begun", case(notes=(kept(SHIPMENT_CHANGELOG),)), PLACED)


REFUND = message("RefundPayment", 4)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((REFUND, message("PaymentRefunded", 6, causation_id="m-4")), True),
        ((REFUND._replace(offset=5), message("PaymentRefunded", 6, causation_id="m-4")), False),
        ((REFUND, message("PaymentRefunded", 6, causation_id="m-3")), False),
        ((REFUND, message("PaymentConfirmed", 6, causation_id="m-4")), False),
        ((REFUND,), False),
        ((message("ReleaseStock", 4), message("PaymentRefunded", 6, causation_id="m-4")), False),
    ],
)
def test_an_earlier_command_may_have_had_the_effect_that_ends_this_one(
    messages: tuple[Message, ...], *, expected: bool
) -> None:
    assert silent("refunded_before", case(*messages), CHARGE) is expected


# -- what waits, is given up, or came twice ---------------------------------------------------------------------------


def test_a_copy_is_the_same_message_of_the_same_sender_in_the_same_partition() -> None:
    copied: set[tuple[object, ...]] = set()
    assert not _is_copied(PLACE, copied)
    assert _is_copied(PLACE._replace(offset=9, time=9), copied)
    for other in ({"topic": "x"}, {"partition": 1}, {"key": b"x"}, {"source": "x"}, {"message_id": "x"}):
        assert not _is_copied(PLACE._replace(**other), copied)


LATER, EARLIER = CHARGE._replace(offset=7, message_id="m-7"), CHARGE._replace(offset=3, message_id="m-3")
ANSWER = message("PaymentConfirmed", 8, causation_id="m-3", service="payment")


@pytest.mark.parametrize(
    ("messages", "waited", "expected"),
    [
        ((CHARGE, LATER), True, True),
        ((CHARGE, LATER), False, False),
        ((CHARGE, LATER._replace(partition=1)), True, False),
        ((CHARGE,), True, False),
        ((EARLIER, CHARGE), True, False),
        ((EARLIER, CHARGE, ANSWER), True, True),
        ((EARLIER, CHARGE, ANSWER._replace(service="order")), True, False),
    ],
)
def test_an_attempt_may_have_been_replaced_or_answered_with_another(
    messages: tuple[Message, ...], *, waited: bool, expected: bool
) -> None:
    notes = (parked("payment", 1),) if waited else ()
    assert was_sent_again(case(*messages, notes=notes), CHARGE, "payment") is expected
    assert not was_sent_again(case(*messages, notes=notes), PLACE, "payment")


def test_what_a_reader_has_yet_to_read_or_has_given_up_is_put_aside() -> None:
    assert not is_put_aside(case(CHARGE), CHARGE)
    assert is_put_aside(case(CHARGE), CHARGE._replace(offset=9))
    given_up = evidence()
    given_up.add_letter(DeadLetter(Position("shipping.dead-letter", 0, 0), "shipping", Position(COMMANDS, 0, 5)))
    assert is_put_aside(case(CHARGE, of=given_up), CHARGE)
    assert not is_put_aside(case(CHARGE, of=given_up), CHARGE._replace(offset=6))
