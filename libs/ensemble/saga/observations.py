"""What a message says about a saga's steps, noted in its state. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from ensemble.messages.message import Command, Message
from ensemble.saga.state import Names, SagaProgress
from ensemble.saga.table import COMPENSATING, COMPENSATION_FAILED, Saga, Step, Undo

REASON_LIMIT: Final = 500
_ENDS_ALL_ATTEMPTS: Final = {"pause", "compensate"}
"""Dispositions of a participant that will process no attempt of the step."""

S = TypeVar("S", bound=SagaProgress)
C = TypeVar("C", bound=Command)
Changes = Mapping[str, Any]
"""Fields of a state that change, with their new values."""


class _Failure(Protocol):
    """The fields of `Saga.exhausted_on`."""

    command: str
    command_attempt: int


@dataclass(frozen=True)
class Deadline:
    """The time `due_at` has come. A deadline older than the state's own is ignored."""

    due_at: int


class Trigger(Generic[S, C]):
    """A message or a deadline, read by the saga's table."""

    __slots__ = ("input", "kind", "operation", "saga")

    def __init__(self, saga: Saga[S, C], trigger: Message | Deadline) -> None:
        self.saga, self.input, self.kind = saga, trigger, type(trigger)
        self.operation = saga.operations.get(self.kind)
        """The name in `Saga.operated_by` of the command that the trigger is, if it is one of them."""

    def is_retry_of(self, state: S) -> bool:
        """Return whether an operator wants the attempt under way, and no later one, to be sent again."""
        if self.operation != "retry":
            return False
        retry = cast("Any", self.input)
        return retry.step in {"", state.step} and (not retry.step or retry.after_attempt == state.attempt)

    def observe(self, state: S) -> S:
        """Return the state with what the trigger says."""
        saga, kind, changes = self.saga, self.kind, dict[str, Any]()
        if begun := saga.steps_begun.get(kind):
            changes["begun"] = add_steps(state.begun, begun)
        if (answered := saga.answered_steps.get(kind)) is not None:
            changes |= self._observe_answer(state, answered)
        if kind is saga.exhausted_on:
            changes |= self._observe_exhaustion(state)
        elif kind is saga.cancelled_by:
            changes |= self._observe_cancellation(state)
        elif self.operation is not None:
            changes |= self._observe_operation(state)
        return state.model_copy(update=changes) if changes else state

    # -- answers --------------------------------------------------------------------------------------------------

    def _observe_answer(self, state: S, step: Step[S, C]) -> Changes:
        """Return what the trigger says of the step, whose success, refusal or undo it is."""
        if self.kind is step.succeeds_on:
            return {"done": add_steps(state.done, (step,))}
        return self._observe_refusal(state, step) if self.kind is step.fails_on else self._observe_undo(state, step)

    def _observe_refusal(self, state: S, step: Step[S, C]) -> Changes:
        """Return a refusal, unless the step has succeeded: at worst that costs an undo of nothing."""
        if step.name in state.done:
            return {}
        return {"failed": add_steps(state.failed, (step,)), "reason": self._reason(state)}

    def _observe_undo(self, state: S, step: Step[S, C]) -> Changes:
        owed = _without(state.owed, (step.name,))
        return {"undone": add_steps(state.undone, (step,)), "owed": owed, "reason": self._reason(state)}

    def _observe_exhaustion(self, state: S) -> Changes:
        """Return how the participant gave up. Only its last answer, or one that ends all attempts, counts."""
        if state.step is None:
            return {}
        failure = cast("_Failure", self.input)
        disposition: str = getattr(failure, "disposition", "dead_letter")
        is_counted = state.attempts_before < failure.command_attempt <= state.attempt
        is_final = failure.command_attempt == state.attempt or disposition in _ENDS_ALL_ATTEMPTS
        is_own = is_counted and is_final and self._has_sent(state, failure)
        return {"exhausted": disposition} if is_own else {}

    def _has_sent(self, state: S, failure: _Failure) -> bool:
        """Return whether that attempt of the step under way, or of its undo, sent a command of the failed type."""
        build = self._builder_of(state, failure.command_attempt)
        return build is not None and type(build(state)).__name__ == failure.command

    def _builder_of(self, state: S, attempt: int) -> Callable[[S], C] | None:
        step = next(step for step in self.saga.steps if step.name == state.step)
        if state.status == COMPENSATING:
            return step.undo.command if isinstance(step.undo, Undo) else None
        return step.send if attempt == 1 else step.again

    # -- interventions --------------------------------------------------------------------------------------------

    def _observe_cancellation(self, state: S) -> Changes:
        """Return the request; undos that were given up are asked for once more."""
        return {"cancel_requested": True, "owed": (), "reason": self._reason(state)}

    def _observe_operation(self, state: S) -> Changes:
        match self.operation:
            case "compensate":
                return {"compensation_requested": True, "reason": self._reason(state)}
            case "settle":
                return self._observe_settlement(state)
            case "retry":
                return {"owed": _without(state.owed, self._owed_steps_to_retry(state))}
        return {}

    def _observe_settlement(self, state: S) -> Changes:
        settled = tuple(name for name in state.owed if name in cast("Any", self.input).steps)
        return {"settled": (*state.settled, *settled), "owed": _without(state.owed, settled)}

    def _owed_steps_to_retry(self, state: S) -> Names:
        """Return the owed steps to undo once more, now that nothing else is under way."""
        if state.status != COMPENSATION_FAILED or state.is_paused:
            return ()
        retry = cast("Any", self.input)
        is_stale = retry.step and retry.after_attempt != state.attempt  # about an attempt before the debt
        return () if is_stale else tuple(name for name in state.owed if retry.step in {"", name})

    def _reason(self, state: S) -> str:
        """Return the reason of the turn back: the first one, or the trigger's type with the reason that it gives."""
        own_reason = getattr(self.input, "reason", "")
        return state.reason or ": ".join(filter(None, (self.kind.__name__, own_reason)))[:REASON_LIMIT]


def add_steps(names: Names, steps: Iterable[Step[S, C]]) -> Names:
    """Return the names, and those of the steps that are not among them."""
    return (*names, *[step.name for step in steps if step.name not in names])


def steps_to_undo(saga: Saga[S, C], state: SagaProgress) -> list[Step[S, C]]:
    """Return the steps to undo, the latest first."""
    return [step for step in reversed(saga.steps) if _has_to_be_undone(step, state)]


def names_to_undo(saga: Saga[S, C], state: SagaProgress) -> Names:
    """Return the steps that a turn back would undo now, in that order; without those already owed."""
    return tuple(step.name for step in steps_to_undo(saga, state) if isinstance(step.undo, Undo))


def _has_to_be_undone(step: Step[S, C], state: SagaProgress) -> bool:
    """Return whether the step may have happened, and was neither refused nor is undone, owed or settled."""
    if step.name in state.failed and step.name not in state.done:
        return False
    return step.name in state.begun and step.name not in (*state.undone, *state.owed, *state.settled)


def _without(names: Names, others: Names) -> Names:
    return tuple(name for name in names if name not in others)
