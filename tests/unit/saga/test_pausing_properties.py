"""Whatever comes, and whenever it is paused and resumed, some things always hold."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts import OrderState
from ensemble.messages import Message
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    NAMES,
    PAID,
    PAUSE,
    PLACED,
    PROBE,
    REFUNDED,
    REJECTED,
    RELEASED,
    RESERVED,
    RESUME,
    RETRY,
    SCHEDULED,
    UNSHIPPED,
    OrderSaga,
    failed,
    retry,
    settle,
)
from tests.unit.saga.test_pausing import PAUSE_AT_THE_END

TIME_OUT: Final = None
ANSWERS: Final = {
    "ProcessPayment": (PAID,),
    "FulfilOrder": (RESERVED, SCHEDULED),
    "CancelShipment": (UNSHIPPED,),
    "ReleaseStock": (RELEASED,),
    "RefundPayment": (REFUNDED,),
}
SENT_BY: Final[dict[object, tuple[str, ...]]] = {
    ("step", "payment"): ("ProcessPayment", "RefundPayment"),
    ("step", "shipment"): ("CancelShipment",),
    ("command", "FulfilOrder"): ("FulfilOrder",),
}
INPUTS: Final = [
    *(PLACED, PAID, DECLINED, RESERVED, REJECTED, SCHEDULED, UNSHIPPED, RELEASED, REFUNDED, CANCEL),
    *(failed("ProcessPayment", 1), failed("ProcessPayment", 2), failed("FulfilOrder", 1, "compensate")),
    *(failed("ProcessPayment", 1, "pause"), failed("CancelShipment", 2)),
]
OPERATIONS: Final = [PAUSE, RESUME, PROBE, RETRY, COMPENSATE, settle(*NAMES), retry("payment", 1)]
inputs = st.lists(st.sampled_from([*INPUTS, TIME_OUT, TIME_OUT, TIME_OUT]), max_size=20)
anything = st.lists(st.sampled_from([*INPUTS, *OPERATIONS, PAUSE, RESUME, TIME_OUT, TIME_OUT]), max_size=30)
boards = st.sets(st.sampled_from(list(SENT_BY)), max_size=2)


def tell(order_saga: OrderSaga, *story: Message | None) -> OrderSaga:
    for what in story:
        if what is not None:
            order_saga.on(what)
        elif order_saga.state.due_at is not None:
            order_saga.time_out()
        else:
            order_saga.sent = []  # nothing is due, so nothing happens
    return order_saga


def without_times(state: OrderState) -> OrderState:
    return state.model_copy(update={"due_at": None, "expires_at": None, "forget_at": None})


@given(anything, boards, st.booleans())
def test_no_command_leaves_while_paused(story: list[Message | None], board: set[object], by_policy: bool) -> None:
    order_saga = OrderSaga(PLACED, policies=PAUSE_AT_THE_END) if by_policy else OrderSaga(PLACED)
    for place in board:
        order_saga.pause_for_all(*place)  # type: ignore[misc]  # a scope and a name
    for what in story:
        before = order_saga.state
        tell(order_saga, what)
        if order_saga.state.paused_since is not None:
            assert order_saga.sent == []
            assert order_saga.state.due_at is None
        if before.paused_since is not None and what not in {RESUME, PROBE}:
            assert (order_saga.sent, order_saga.state.status, order_saga.state.paused_since) == (
                [],
                before.status,
                before.paused_since,
            )


@given(anything, boards)
def test_what_is_paused_for_all_never_leaves(story: list[Message | None], board: set[object]) -> None:
    forbidden = {name for place in board for name in SENT_BY[place]}
    order_saga = OrderSaga()
    for place in board:
        order_saga.pause_for_all(*place)  # type: ignore[misc]  # a scope and a name
    tell(order_saga, PLACED, *(what for what in story if what is not PROBE))
    assert forbidden.isdisjoint(order_saga.all_names)


@given(inputs, inputs)
def test_nothing_that_comes_while_paused_is_lost(before: list[Message | None], meanwhile: list[Message | None]) -> None:
    order_saga = tell(OrderSaga(PLACED), *before)
    if order_saga.state.status in {"completed", "cancelled"}:
        return
    tell(order_saga, PAUSE, *meanwhile)
    came = set(map(type, filter(None, meanwhile)))
    for name, success, undone in (
        ("payment", PAID, REFUNDED),
        ("reservation", RESERVED, RELEASED),
        ("shipment", SCHEDULED, UNSHIPPED),
    ):
        assert type(success) not in came or name in order_saga.state.done
        assert type(undone) not in came or name in order_saga.state.undone
    assert type(DECLINED) not in came or "payment" in {*order_saga.state.failed, *order_saga.state.done}
    assert type(CANCEL) not in came or order_saga.state.cancel_requested


@given(inputs, st.integers(min_value=0, max_value=20), st.integers(min_value=0, max_value=86_400))
def test_a_pause_at_any_moment_ends_as_without_it(story: list[Message | None], moment: int, seconds: int) -> None:
    """Commands included: the very same ones leave, in the same order."""
    story = [what for what in story if what != failed("ProcessPayment", 1, "pause")]
    without, paused = tell(OrderSaga(PLACED), *story), tell(OrderSaga(PLACED), *story[:moment], PAUSE)
    tell(paused.wait(seconds), RESUME, *story[moment:])
    assert without_times(paused.state) == without_times(without.state)
    assert paused.all_names == without.all_names


@given(inputs, st.integers(min_value=0, max_value=20), st.integers(min_value=0, max_value=86_400))
def test_a_deadline_is_as_far_away_after_a_pause_as_before(
    story: list[Message | None], moment: int, seconds: int
) -> None:
    order_saga = tell(OrderSaga(PLACED), *story[:moment], PAUSE)
    remaining_ms = order_saga.state.remaining_ms
    tell(order_saga.wait(seconds), RESUME)
    if remaining_ms is not None:
        assert order_saga.state.due_at == order_saga.now + remaining_ms


@given(anything, boards)
def test_each_twice_is_as_once(story: list[Message | None], board: set[object]) -> None:
    once, twice = OrderSaga(PLACED), OrderSaga(PLACED)
    for place in board:
        once.pause_for_all(*place)  # type: ignore[misc]  # a scope and a name
        twice.pause_for_all(*place)  # type: ignore[misc]  # as above
    for what in story:
        trigger = retry(once.state.step or "", once.state.attempt) if what is RETRY else what
        tell(once, trigger)
        tell(twice, trigger)
        if is_idempotent(trigger, twice):
            twice.now -= 1
            twice.on(trigger)  # type: ignore[arg-type]  # no deadline
            assert twice.sent == []
    assert without_times(once.state) == without_times(twice.state)


def is_idempotent(what: Message | None, order_saga: OrderSaga) -> bool:
    """Asking to cancel asks for what is owed again; a deadline has its own time; a probe passes once."""
    is_asking_again = what is CANCEL and order_saga.state.status == "compensating"
    is_resuming_again = what in {RESUME, PROBE} and order_saga.state.paused_since is not None
    is_whichever = what is not None and what == retry("")
    return what is not TIME_OUT and not is_asking_again and not is_resuming_again and not is_whichever


@given(anything, boards)
def test_every_order_ends_once_it_is_resumed_and_answered(story: list[Message | None], board: set[object]) -> None:
    order_saga = OrderSaga(PLACED, policies=PAUSE_AT_THE_END)
    for place in board:
        order_saga.pause_for_all(*place)  # type: ignore[misc]  # a scope and a name
    tell(order_saga, *story)
    order_saga.pauses.paused.clear()
    for _ in range(40):
        if order_saga.state.status in {"completed", "cancelled", "compensation_failed"}:
            break
        if order_saga.state.paused_since is not None:
            tell(order_saga, RESUME)
        elif order_saga.sent:
            tell(order_saga, *ANSWERS[type(order_saga.sent[0]).__name__])
        else:
            tell(order_saga, TIME_OUT)
    assert order_saga.state.status in {"completed", "cancelled", "compensation_failed"}


@given(st.permutations([PAID, RESERVED, SCHEDULED]), st.integers(min_value=0, max_value=3))
def test_an_order_completes_whatever_came_while_it_was_paused(story: list[Message], moment: int) -> None:
    order_saga = OrderSaga(PLACED, *story[:moment], PAUSE, *story[moment:], RESUME)
    assert order_saga.state.status == "completed"
    assert order_saga.names == (["CompleteOrder", "DispatchStock"] if moment < 3 else [])
    assert len(order_saga.all_names) == len(set(order_saga.all_names))
