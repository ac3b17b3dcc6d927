"""What a message says about a saga's steps, noted in its state. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from ensemble.messages.message import Command, Message
from ensemble.saga.state import Names, SagaState
from ensemble.saga.table import COMPENSATING, COMPENSATION_FAILED, Saga, Step, Undo

REASON_LIMIT: Final = 500

S = TypeVar("S", bound=SagaState)
C = TypeVar("C", bound=Command)


class _Failure(Protocol):
    """The fields of `Saga.exhausted_on`."""

    command: str
    command_attempt: int


@dataclass(frozen=True)
class Deadline:
    """The time `due_at` has come. One that is older than the state's own is ignored."""

    due_at: int


@dataclass(frozen=True)
class Happening(Generic[S, C]):
    """A trigger, read by the saga's table."""

    saga: Saga[S, C]
    trigger: Message | Deadline

    def is_a(self, kind: type[Message] | None) -> bool:
        return type(self.trigger) is kind

    def is_operation(self, name: str) -> bool:
        """Whether it is the command of that name in `Saga.operated_by`."""
        operations = self.saga.operated_by
        return operations is not None and self.is_a(getattr(operations, name))

    def asks_again(self, state: S) -> bool:
        """Whether a person wants what is under way, and no later attempt of it, to be sent again."""
        if not self.is_operation("retry"):
            return False
        wanted = cast("Any", self.trigger)
        return wanted.step in {"", state.step} and (not wanted.step or wanted.after_attempt == state.attempt)

    def noted(self, state: S) -> S:
        """The state with what the trigger says."""
        return state.model_copy(update=self._facts(state))

    def _facts(self, state: S) -> dict[str, Any]:
        steps, asked = self.saga.steps, self.is_a(self.saga.cancelled_by)
        turned = self.is_operation("compensate")
        undos = [step for step in steps if isinstance(step.undo, Undo) and self.is_a(step.undo.until)]
        refused = [step for step in steps if self.is_a(step.fails_on) and step.name not in state.done]
        done = [step for step in steps if self.is_a(step.succeeds_on)]
        started = [step for step in steps if any(map(self.is_a, step.may_start_on))]
        undone, settled = with_steps(state.undone, undos), (*state.settled, *self._settled(state))
        again = state.owed if asked else self._owed_again(state)
        return {
            "begun": with_steps(state.begun, [*started, *done]),
            "done": with_steps(state.done, done),
            "failed": with_steps(state.failed, refused),
            "undone": undone,
            "settled": settled,
            "owed": tuple(name for name in state.owed if name not in {*undone, *settled, *again}),
            "exhausted": self._disposition(state) or state.exhausted,
            "cancel_requested": state.cancel_requested or asked,
            "compensation_requested": state.compensation_requested or turned,
            "reason": state.reason or (self._words() if undos or refused or asked or turned else None),
        }

    def _words(self) -> str:
        """The trigger as a reason: its type, and the reason that it gives itself."""
        given = getattr(self.trigger, "reason", "")
        return ": ".join(filter(None, (type(self.trigger).__name__, given)))[:REASON_LIMIT]

    def _settled(self, state: S) -> Names:
        wanted: Collection[str] = cast("Any", self.trigger).steps if self.is_operation("settle") else ()
        return tuple(name for name in state.owed if name in wanted)

    def _owed_again(self, state: S) -> Names:
        """What a person wants to be tried once more, now that nothing else is under way."""
        if not self.is_operation("retry") or state.status != COMPENSATION_FAILED or state.paused_since is not None:
            return ()
        wanted = cast("Any", self.trigger)
        is_stale = wanted.step and wanted.after_attempt != state.attempt  # it is about an attempt before the debt
        return () if is_stale else tuple(name for name in state.owed if wanted.step in {"", name})

    def _disposition(self, state: S) -> str:
        """How the participant gave up what is under way. Only the last word, or one that ends all attempts, counts."""
        if not self.is_a(self.saga.exhausted_on) or state.step is None:
            return ""
        failure = cast("_Failure", self.trigger)
        disposition: str = getattr(failure, "disposition", "dead_letter")
        is_counted = state.attempts_before < failure.command_attempt <= state.attempt
        is_meant = is_counted and (failure.command_attempt == state.attempt or disposition in _FINAL)
        build = self._sent(state, failure.command_attempt)
        is_ours = build is not None and type(build(state)).__name__ == failure.command
        return disposition if is_meant and is_ours else ""

    def _sent(self, state: S, attempt: int) -> Callable[[S], C] | None:
        """What an attempt of the step under way, or of its undo, has sent."""
        step = next(step for step in self.saga.steps if step.name == state.step)
        if state.status == COMPENSATING:
            return step.undo.command if isinstance(step.undo, Undo) else None
        return step.send if attempt == 1 else step.again


_FINAL: Final = {"pause", "compensate"}


def with_steps(names: Names, steps: Iterable[Step[S, C]]) -> Names:
    """The names, and those of the steps that are not among them."""
    return (*names, *(step.name for step in steps if step.name not in names))


def steps_to_undo(saga: Saga[S, C], state: SagaState) -> list[Step[S, C]]:
    """The steps to take back, the latest first."""
    return [step for step in reversed(saga.steps) if _is_to_undo(step, state)]


def names_to_undo(saga: Saga[S, C], state: SagaState) -> Names:
    """The steps that would be undone if the saga turned back now, in that order; without those already owed."""
    return tuple(step.name for step in steps_to_undo(saga, state) if isinstance(step.undo, Undo))


def _is_to_undo(step: Step[S, C], state: SagaState) -> bool:
    """Whether the step may have happened, and neither was refused nor is undone, owed or settled."""
    if step.name in state.failed and step.name not in state.done:
        return False
    return step.name in state.begun and step.name not in (*state.undone, *state.owed, *state.settled)
