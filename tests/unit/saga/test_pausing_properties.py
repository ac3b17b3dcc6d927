"""Whatever comes, and whenever it is paused and resumed, some things always hold."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts import OrderState
from ensemble import Message
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
    Play,
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


def tell(play: Play, *story: Message | None) -> Play:
    for what in story:
        if what is not None:
            play.on(what)
        elif play.state.due_at is not None:
            play.time_out()
        else:
            play.sent = []  # nothing is due, so nothing happens
    return play


def without_times(state: OrderState) -> OrderState:
    return state.model_copy(update={"due_at": None, "expires_at": None, "forget_at": None})


@given(anything, boards, st.booleans())
def test_no_command_leaves_while_paused(story: list[Message | None], board: set[object], by_policy: bool) -> None:
    play = Play(PLACED, policies=PAUSE_AT_THE_END) if by_policy else Play(PLACED)
    for place in board:
        play.paused_for_all(*place)  # type: ignore[misc]  # a scope and a name
    for what in story:
        before = play.state
        tell(play, what)
        if play.state.paused_since is not None:
            assert play.sent == []
            assert play.state.due_at is None
        if before.paused_since is not None and what not in {RESUME, PROBE}:
            assert (play.sent, play.state.status, play.state.paused_since) == ([], before.status, before.paused_since)


@given(anything, boards)
def test_what_is_paused_for_all_never_leaves(story: list[Message | None], board: set[object]) -> None:
    forbidden = {name for place in board for name in SENT_BY[place]}
    play = Play()
    for place in board:
        play.paused_for_all(*place)  # type: ignore[misc]  # a scope and a name
    tell(play, PLACED, *(what for what in story if what is not PROBE))
    assert forbidden.isdisjoint(play.all_names)


@given(inputs, inputs)
def test_nothing_that_comes_while_paused_is_lost(before: list[Message | None], meanwhile: list[Message | None]) -> None:
    play = tell(Play(PLACED), *before)
    if play.state.status in {"completed", "cancelled"}:
        return
    tell(play, PAUSE, *meanwhile)
    came = set(map(type, filter(None, meanwhile)))
    for name, success, undone in (
        ("payment", PAID, REFUNDED),
        ("reservation", RESERVED, RELEASED),
        ("shipment", SCHEDULED, UNSHIPPED),
    ):
        assert type(success) not in came or name in play.state.done
        assert type(undone) not in came or name in play.state.undone
    assert type(DECLINED) not in came or "payment" in {*play.state.failed, *play.state.done}
    assert type(CANCEL) not in came or play.state.cancel_requested


@given(inputs, st.integers(min_value=0, max_value=20), st.integers(min_value=0, max_value=86_400))
def test_a_pause_at_any_moment_ends_as_without_it(story: list[Message | None], moment: int, seconds: int) -> None:
    """Commands included: the very same ones leave, in the same order."""
    story = [what for what in story if what != failed("ProcessPayment", 1, "pause")]
    without, paused = tell(Play(PLACED), *story), tell(Play(PLACED), *story[:moment], PAUSE)
    tell(paused.wait(seconds), RESUME, *story[moment:])
    assert without_times(paused.state) == without_times(without.state)
    assert paused.all_names == without.all_names


@given(inputs, st.integers(min_value=0, max_value=20), st.integers(min_value=0, max_value=86_400))
def test_a_deadline_is_as_far_away_after_a_pause_as_before(
    story: list[Message | None], moment: int, seconds: int
) -> None:
    play = tell(Play(PLACED), *story[:moment], PAUSE)
    left = play.state.remaining_ms
    tell(play.wait(seconds), RESUME)
    if left is not None:
        assert play.state.due_at == play.now + left


@given(anything, boards)
def test_each_twice_is_as_once(story: list[Message | None], board: set[object]) -> None:
    once, twice = Play(PLACED), Play(PLACED)
    for place in board:
        once.paused_for_all(*place)  # type: ignore[misc]  # a scope and a name
        twice.paused_for_all(*place)  # type: ignore[misc]  # as above
    for what in story:
        wanted = retry(once.state.step or "", once.state.attempt) if what is RETRY else what
        tell(once, wanted)
        tell(twice, wanted)
        if is_idempotent(wanted, twice):
            twice.now -= 1
            twice.on(wanted)  # type: ignore[arg-type]  # no deadline
            assert twice.sent == []
    assert without_times(once.state) == without_times(twice.state)


def is_idempotent(what: Message | None, play: Play) -> bool:
    """Asking to cancel asks for what is owed again; a deadline has its own time; a probe passes once."""
    is_asking_again = what is CANCEL and play.state.status == "compensating"
    is_resuming_again = what in {RESUME, PROBE} and play.state.paused_since is not None
    is_whichever = what is not None and what == retry("")
    return what is not TIME_OUT and not is_asking_again and not is_resuming_again and not is_whichever


@given(anything, boards)
def test_every_order_ends_once_it_is_resumed_and_answered(story: list[Message | None], board: set[object]) -> None:
    play = Play(PLACED, policies=PAUSE_AT_THE_END)
    for place in board:
        play.paused_for_all(*place)  # type: ignore[misc]  # a scope and a name
    tell(play, *story)
    play.board.paused.clear()
    for _ in range(40):
        if play.state.status in {"completed", "cancelled", "compensation_failed"}:
            break
        if play.state.paused_since is not None:
            tell(play, RESUME)
        elif play.sent:
            tell(play, *ANSWERS[type(play.sent[0]).__name__])
        else:
            tell(play, TIME_OUT)
    assert play.state.status in {"completed", "cancelled", "compensation_failed"}


@given(st.permutations([PAID, RESERVED, SCHEDULED]), st.integers(min_value=0, max_value=3))
def test_an_order_completes_whatever_came_while_it_was_paused(story: list[Message], moment: int) -> None:
    play = Play(PLACED, *story[:moment], PAUSE, *story[moment:], RESUME)
    assert play.state.status == "completed"
    assert play.names == (["CompleteOrder", "DispatchStock"] if moment < 3 else [])
    assert len(play.all_names) == len(set(play.all_names))
