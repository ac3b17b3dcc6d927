"""The order's rules: one order for each id, one end for each order."""

from __future__ import annotations

import pytest

from contracts import REASON_LIMIT, CancelOrder, CompleteOrder, Order, OrderCancelled, OrderCompleted
from services.order.domain import (
    Accepted,
    Contradicted,
    Repeated,
    cancel,
    closing_event,
    complete,
    fingerprint,
    place,
    placed_event,
    recognise,
)
from tests.support.order_messages import lines, order_placed, place_order

TERMS_HASH = fingerprint(place_order())


def existing_order(status: str = "placed", terms_hash: str = TERMS_HASH) -> Order:
    return Order(order_id="o-1", status=status, terms_hash=terms_hash)


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": "c-2"},
        {"lines": lines(bolt=3)},
        {"currency": "USD"},
        {"payment_token": "tok_other"},
        {"warehouse_id": "w-2"},
        {"shipping_speed": "express"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_term_makes_another_order(change: dict[str, object]) -> None:
    assert isinstance(place(existing_order(), place_order(**change)), Contradicted)
    assert isinstance(recognise(existing_order(), order_placed(**change)), Contradicted)


def test_the_time_of_placing_is_no_term() -> None:
    assert recognise(existing_order(), order_placed(placed_at=5)) == Repeated()


def test_command_and_event_of_one_order_have_one_fingerprint() -> None:
    assert fingerprint(placed_event(place_order(), now=7)) == TERMS_HASH


def test_a_new_order_is_accepted_until_it_is_read_back() -> None:
    assert place(None, place_order()) == Accepted(existing_order("accepted"))
    assert recognise(existing_order("accepted"), order_placed()) == Accepted(existing_order("placed"))


def test_the_first_on_the_topic_wins_over_what_was_accepted_here() -> None:
    other = order_placed(customer_id="c-2")

    outcome = recognise(existing_order("accepted"), other)

    assert outcome == Accepted(existing_order("placed", fingerprint(other)))


def test_a_contradiction_names_the_order() -> None:
    match place(existing_order(), place_order(currency="USD")):
        case Contradicted(reason):
            assert "order_id: o-1 was placed before on other terms" in reason
        case outcome:
            pytest.fail(f"{outcome}")


def test_a_closed_order_learns_its_terms_and_stays_closed() -> None:
    closed = complete(None, CompleteOrder(order_id="o-1"))

    assert recognise(closed, order_placed()) == Accepted(existing_order("completed"))


def test_an_order_that_was_closed_before_it_was_known_is_not_placed_again() -> None:
    assert place(cancel(None, CancelOrder(order_id="o-1", reason="no stock")), place_order()) == Repeated()


def test_the_first_closing_wins() -> None:
    cancelled = cancel(existing_order(), CancelOrder(order_id="o-1", reason="no stock"))

    assert complete(cancelled, CompleteOrder(order_id="o-1")) == cancelled
    assert closing_event(cancelled) == OrderCancelled(order_id="o-1", reason="no stock")


def test_a_reason_is_told_as_far_as_an_event_holds_it() -> None:
    order = existing_order("cancelled").model_copy(update={"reason": "x" * (REASON_LIMIT + 1)})
    assert closing_event(order) == OrderCancelled(order_id="o-1", reason="x" * REASON_LIMIT)
    assert closing_event(existing_order("cancelled")) == OrderCancelled(order_id="o-1", reason="")


def test_completion_is_told_as_such() -> None:
    completed = complete(existing_order(), CompleteOrder(order_id="o-1"))

    assert completed == existing_order("completed")
    assert closing_event(completed) == OrderCompleted(order_id="o-1")
