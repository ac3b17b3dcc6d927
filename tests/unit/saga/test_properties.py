"""Whatever comes, in whatever order and however often, some things always hold."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts import OrderState
from ensemble import Command
from ensemble.messages import Message
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    NAMES,
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
    retry,
    settle,
)

REPLIES: Final = {
    "ProcessPayment": (
        *(PAID, DECLINED, failed("ProcessPayment", 1), failed("ProcessPayment", 2)),
        failed("ProcessPayment", 1, "compensate"),
    ),
    "FulfilOrder": (RESERVED, REJECTED, SCHEDULED, failed("FulfilOrder", 1), failed("FulfilOrder", 2)),
    "CancelShipment": (UNSHIPPED, failed("CancelShipment", 2)),
    "ReleaseStock": (RELEASED, failed("ReleaseStock", 2)),
    "RefundPayment": (REFUNDED, failed("RefundPayment", 2)),
}
UNDO_OF: Final = {"CancelShipment": "shipment", "ReleaseStock": "reservation", "RefundPayment": "payment"}
FORWARD: Final = {"ProcessPayment", "FulfilOrder"}
UNDER_WAY: Final = {"payment_pending", "fulfilled", "compensating"}
TIME_OUT: Final = None

OPERATIONS: Final = [COMPENSATE, settle("shipment", "payment"), retry("payment", 1), retry("reservation")]
ANYTHING: Final = [PLACED, CANCEL, *OPERATIONS, *(reply for replies in REPLIES.values() for reply in replies)]
anything = st.lists(st.sampled_from([*ANYTHING, TIME_OUT, TIME_OUT, TIME_OUT]), max_size=30)


def tell(order_saga: OrderSaga, what: Message | None) -> None:
    if what is not None:
        order_saga.on(what)
    elif order_saga.state.due_at is not None:
        order_saga.time_out()
    else:
        order_saga.sent = []  # nothing is due, so nothing happens


def check_step(before: OrderState, order_saga: OrderSaga) -> None:
    """What holds for each single decision."""
    after, sent = order_saga.state, order_saga.sent
    if before.status in {"completed", "cancelled"}:
        assert (after, sent) == (before, [])
    assert (after.step is None) == (after.status not in UNDER_WAY)
    assert (after.due_at is None) == (after.step is None)
    assert (after.expected == ()) == (after.status in {"completed", "cancelled"})
    assert (after.forget_at is None) == (after.status in {*UNDER_WAY, "compensation_failed"})
    assert after.step is None or after.step in after.begun
    assert set(after.owed).isdisjoint(after.undone)
    assert_one_step_under_way(sent)
    assert_undoes_only_what_may_have_happened(after, sent)


def assert_one_step_under_way(sent: list[Command]) -> None:
    steps = [command for command in sent if type(command).__name__ in {*FORWARD, *UNDO_OF}]
    assert len(steps) <= 1
    assert not steps or len(sent) == 1


def assert_undoes_only_what_may_have_happened(after: OrderState, sent: list[Command]) -> None:
    for command in sent:
        step = UNDO_OF.get(type(command).__name__)
        assert step is None or step in after.begun
        assert step is None or step not in set(after.failed) - set(after.done)
        assert (type(command).__name__ in FORWARD) <= (after.status in {"payment_pending", "fulfilled"})


def check_end(state: OrderState) -> None:
    may_have_happened = {name for name in state.begun if name not in state.failed or name in state.done}
    if state.status == "completed":
        assert set(state.done) == set(NAMES)
        assert not state.failed
        assert not state.undone
    if state.status == "cancelled":
        assert may_have_happened <= {*state.undone, *state.settled}
    if state.status == "compensation_failed":
        assert state.owed
        assert may_have_happened <= {*state.undone, *state.settled, *state.owed}


@given(st.sampled_from(ANYTHING), anything)
def test_invariants_hold_whatever_comes(first: Message, story: list[Message | None]) -> None:
    order_saga = OrderSaga()
    for what in [first, *story]:
        before = order_saga.state
        tell(order_saga, what)
        check_step(before, order_saga)
        check_end(order_saga.state)


@given(anything)
def test_duplicates_change_nothing(story: list[Message | None]) -> None:
    once, twice = OrderSaga(), OrderSaga()
    for what in story:
        tell(once, what)
        tell(twice, what)
        is_retry = what is CANCEL and once.state.status == "compensating"
        if what is not TIME_OUT and not is_retry:
            twice.now -= 1
            twice.on(what)
            assert twice.sent == []
    assert without_times(once.state) == without_times(twice.state)


def without_times(state: OrderState) -> OrderState:
    return state.model_copy(update={"due_at": None, "expires_at": None, "forget_at": None})


@given(anything, st.data())
def test_every_order_ends_when_participants_answer_in_time(story: list[Message | None], data: st.DataObject) -> None:
    order_saga = OrderSaga(PLACED)
    for what in story:
        tell(order_saga, what)
    for _ in range(40):
        if order_saga.state.status not in UNDER_WAY:
            break
        commands = [type(command).__name__ for command in order_saga.sent]
        tell(order_saga, data.draw(st.sampled_from([TIME_OUT, *REPLIES[commands[0]]])) if commands else TIME_OUT)
    assert order_saga.state.status in {"completed", "cancelled", "compensation_failed"}
    check_end(order_saga.state)


@given(st.permutations([PLACED, PAID, RESERVED, SCHEDULED]))
def test_an_order_completes_in_whatever_order_its_events_come(story: list[Message]) -> None:
    order_saga = OrderSaga(*story)
    assert order_saga.state.status == "completed"
    assert order_saga.names == ["CompleteOrder", "DispatchStock"]
    assert len(order_saga.all_names) == len(set(order_saga.all_names))


@given(anything)
def test_no_command_is_sent_to_an_order_that_was_never_placed(story: list[Message | None]) -> None:
    order_saga = OrderSaga(*(what for what in story if what is not None and what is not PLACED))
    assert order_saga.all_sent == []
    assert order_saga.state.status == "placeholder"


def test_the_story_above_knows_every_answer_of_the_table() -> None:
    assert {type(message) for message in ANYTHING} >= ORDER_FULFILMENT.events()
