"""Pausing a saga: a flag beside its status, and a deadline that stands still. Pure, as all of the engine.

While a saga is paused, what comes is noted and no command leaves. The time left until its deadline is kept, so resumed
it waits as long as it would have. Pausing what is paused, or resuming what is not, changes nothing.
"""

from __future__ import annotations

from typing import Final, TypeVar

from ensemble.saga.state import SagaState
from ensemble.saga.table import COMPENSATING

BY_POLICY: Final = "policy"
PAUSE_FIELDS: Final = ("paused_since", "paused_by", "paused_reason")

S = TypeVar("S", bound=SagaState)


def pause(state: S, by: str, reason: str, now: int) -> S:
    """The state, paused. Without a deadline, the next attempt is due as soon as it is resumed."""
    if state.paused_since is not None:
        return state
    left = None if state.due_at is None else max(0, state.due_at - now)
    pause = dict(zip(PAUSE_FIELDS, (now, by, reason), strict=True))
    return state.model_copy(update={**pause, "due_at": None, "remaining_ms": left})


def resume(state: S, now: int) -> S:
    """The state, its deadline as far away as when it was paused."""
    if state.paused_since is None:
        return state
    due_at = None if state.remaining_ms is None else now + state.remaining_ms
    return state.model_copy(update={**dict.fromkeys(PAUSE_FIELDS), "due_at": due_at, "remaining_ms": None})


def stop_waiting_if_answered(state: S) -> S:
    """A paused state after something was noted: what is answered is awaited no longer."""
    answered = (state.undone, state.settled) if state.status == COMPENSATING else (state.done, state.failed)
    if not any(state.step in names for names in answered):
        return state
    return state.model_copy(update={"expected": (), "remaining_ms": None})


def restart_attempt_count(state: S) -> S:
    """The next attempt is due, and the policy's resends count from there."""
    return state.model_copy(update={"attempts_before": state.attempt, "exhausted": "", "due_at": None})
