"""What is still due of an order, by the saga's table and the declarations of all services."""

from __future__ import annotations

from typing import Any

import pytest

from backoffice.declared_rest import Declarations, Due
from services.app import APP
from tests.support.order_saga_driver import CANCEL, PAID, PLACED, RESERVED, OrderSaga

DECLARED = Declarations.of(APP)


def rest(*triggers: Any, later_ms: int = 0) -> tuple[Due, ...]:
    saga = OrderSaga(*triggers)
    return DECLARED.rest_of(saga.state.model_dump(), saga.now + later_ms)


def names(dues: tuple[Due, ...]) -> list[tuple[str, str, str]]:
    return [(due.message, due.source, due.target) for due in dues]


def test_an_order_that_was_placed_has_all_of_its_steps_before_it() -> None:
    assert names(rest(PLACED)) == [
        ("PaymentConfirmed or PaymentDeclined", "payment", "orchestrator"),
        ("FulfilOrder", "orchestrator", "inventory"),
        ("ReservationConfirmed or ReservationRejected", "inventory", "orchestrator"),
        ("ScheduleShipment", "inventory", "shipping"),
        ("ShipmentScheduled", "shipping", "orchestrator"),
        ("CompleteOrder", "orchestrator", "order"),
        ("DispatchStock", "orchestrator", "inventory"),
    ]


def test_what_one_player_tells_another_is_due_as_choreography() -> None:
    assert [due.control for due in rest(PLACED, PAID) if due.message == "ScheduleShipment"] == ["choreographed"]


def test_the_answer_that_is_awaited_has_the_deadline_and_is_overdue_once_it_has_passed() -> None:
    in_time, late = rest(PLACED, PAID)[0], rest(PLACED, PAID, later_ms=3_600_000)[0]

    assert (in_time.is_next, in_time.is_overdue, in_time.due_at is not None) == (True, False, True)
    assert late.is_overdue
    assert not any(due.due_at for due in rest(PLACED, PAID)[1:])


def test_an_order_that_turns_back_has_its_undos_before_it_the_latest_first() -> None:
    dues = rest(PLACED, PAID, RESERVED, CANCEL)

    assert [due.message for due in dues] == [
        "ShipmentCancelled", "ReleaseStock", "ReservationReleased", "RefundPayment", "PaymentRefunded", "CancelOrder",
    ]  # fmt: skip
    assert all(due.is_undo for due in dues)


def test_nothing_is_due_of_an_order_that_is_unknown_or_cannot_be_read() -> None:
    assert DECLARED.rest_of({}, 0) == ()
    assert DECLARED.rest_of({"order_id": 7, "status": "fulfilled"}, 0) == ()


def test_each_step_has_the_events_that_answer_it_and_each_undo_its_messages() -> None:
    assert DECLARED.step_answers == {
        "payment": {"PaymentConfirmed", "PaymentDeclined"},
        "reservation": {"ReservationConfirmed", "ReservationRejected"},
        "shipment": {"ShipmentScheduled"},
    }
    assert DECLARED.undo_messages == {
        "RefundPayment", "PaymentRefunded", "ReleaseStock", "ReservationReleased", "CancelShipment",
        "ShipmentCancelled", "CancelOrder",
    }  # fmt: skip


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_nothing_is_due_of_an_order_that_has_ended(status: str) -> None:
    state = OrderSaga(PLACED, PAID).state.model_dump()
    assert DECLARED.rest_of(state, 0) != ()
    assert DECLARED.rest_of({**state, "status": status}, 0) == ()


def test_a_paused_order_is_not_overdue() -> None:
    state = OrderSaga(PLACED).state.model_dump()
    assert DECLARED.rest_of(state, state["due_at"] + 1)[0].is_overdue
    assert not DECLARED.rest_of(state, state["due_at"])[0].is_overdue
    assert not DECLARED.rest_of({**state, "paused_since": 1}, state["due_at"] + 1)[0].is_overdue


def test_what_is_due_is_a_document() -> None:
    (due, *_) = rest(PLACED)
    assert {**due.document(), "due_at": None} == {
        "message": "PaymentConfirmed or PaymentDeclined", "from": "payment", "to": "orchestrator", "step": "payment",
        "due_at": None, "overdue": False,
    }  # fmt: skip
    assert due.document()["due_at"] == due.due_at is not None
