"""Pausing a saga: a flag beside its status, and a deadline that stands still. Pure, like all of the engine.

While a saga is paused, triggers are noted and no command leaves. The time left until its deadline is stored, so that a
resumed saga waits as long as it would have. Pausing a paused saga, or resuming one that is not, changes nothing.
"""

from __future__ import annotations

from typing import Final, TypeVar

from ensemble.saga.state import SagaProgress
from ensemble.saga.table import COMPENSATING

BY_POLICY: Final = "policy"
PAUSE_FIELDS: Final = ("paused_since", "paused_by", "paused_reason")

S = TypeVar("S", bound=SagaProgress)


def pause(state: S, by: str, reason: str, now: int) -> S:
    """Return the state, paused. Without a deadline, the next attempt is due as soon as it is resumed."""
    if state.is_paused:
        return state
    remaining_ms = None if state.due_at is None else max(0, state.due_at - now)
    fields = dict(zip(PAUSE_FIELDS, (now, by, reason), strict=True))
    return state.model_copy(update={**fields, "due_at": None, "remaining_ms": remaining_ms})


def resume(state: S, now: int) -> S:
    """Return the state, its deadline as far away as when it was paused."""
    if not state.is_paused:
        return state
    due_at = None if state.remaining_ms is None else now + state.remaining_ms
    return state.model_copy(update={**dict.fromkeys(PAUSE_FIELDS), "due_at": due_at, "remaining_ms": None})


def stop_waiting_if_answered(state: S) -> S:
    """Return a paused state that awaits nothing and has no deadline, if what was under way is answered."""
    answered = (state.undone, state.settled) if state.status == COMPENSATING else (state.done, state.failed)
    if not any(state.step in names for names in answered):
        return state
    return state.model_copy(update={"expected": (), "remaining_ms": None})


def restart_attempt_count(state: S) -> S:
    """Return the state with the next attempt due, from which the policy's resends count."""
    return state.model_copy(update={"attempts_before": state.attempt, "exhausted": "", "due_at": None})
