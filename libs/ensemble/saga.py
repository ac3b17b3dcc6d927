"""The saga engine: reads a table, a state and what happened, and says what follows. Pure: no ports, no clock.

    decision = advance(ORDER_FULFILMENT, state, event, now=clock.now(), policies=policies)

- Answers may come early, late, twice, or in any order: each is noted, and a step that is done when reached is skipped.
- A deadline that passes means *unknown*: the step is sent again as a new attempt; once given up it is undone as well.
- A refusal, a request to cancel, or a step given up turns the saga back. Every step that may have happened is undone,
  the latest first, one at a time; an undo that is given up stays `owed`, and is settled when its answer comes after
  all. An undo's answer that comes unasked says that the step does not stand: it turns the saga back as well.
- A step's first answer counts, but a success is believed over an earlier refusal: at worst it costs an idle undo.
- `completed` and `cancelled` are final: nothing that comes later changes the state or sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from ensemble.messages import Command, Message
from ensemble.saga_policies import SagaPolicies, StepPolicy
from ensemble.saga_state import Names, SagaState
from ensemble.saga_table import (
    CANCELLED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    IRREVERSIBLE,
    NO_EFFECT,
    PLACEHOLDER,
    Irreversible,
    NoEffect,
    Saga,
    Step,
    Undo,
    answers_of,
)

__all__ = [
    "IRREVERSIBLE",
    "NO_EFFECT",
    "Deadline",
    "Decision",
    "Irreversible",
    "NoEffect",
    "Saga",
    "SagaPolicies",
    "SagaState",
    "Step",
    "StepPolicy",
    "Undo",
    "advance",
]

_REASON_LIMIT: Final = 500

S = TypeVar("S", bound=SagaState)
C = TypeVar("C", bound=Command)


@dataclass(frozen=True)
class Deadline:
    """The time `due_at` has come. One that is older than the state's own is ignored."""

    due_at: int


@dataclass(frozen=True)
class Decision(Generic[S, C]):
    """The state to keep, and the commands to send with it."""

    state: S
    commands: tuple[C, ...] = ()


def advance(  # noqa: PLR0913  pure: all that it depends on is an argument
    saga: Saga[S, C], state: S, trigger: Message | Deadline, *, now: int, policies: SagaPolicies
) -> Decision[S, C]:
    """What follows from `trigger`. A saga that nobody has heard of is a state with status `placeholder`."""
    if state.status in {COMPLETED, CANCELLED}:
        return Decision(state)
    return _Turn(saga, trigger, now, policies).take(state)


@dataclass(frozen=True)
class _Task(Generic[S, C]):
    """What can be under way: a step, or the undo of one."""

    step: str
    status: str
    awaits: Names
    first: Callable[[S], C] | None
    again: Callable[[S], C] | None
    policy: StepPolicy


class _Failure(Protocol):
    """The fields of `Saga.exhausted_on`."""

    command: str
    command_attempt: int


@dataclass(frozen=True)
class _Turn(Generic[S, C]):
    """One call of `advance`: first what happened is noted, then the noted state says what is next."""

    saga: Saga[S, C]
    trigger: Message | Deadline
    now: int
    policies: SagaPolicies

    def take(self, state: S) -> Decision[S, C]:
        noted = state.model_copy(update=self._facts(state))
        if noted.status in {COMPENSATING, COMPENSATION_FAILED}:
            return self._backward(noted)
        if noted.status != PLACEHOLDER:
            return self._forward(noted)
        return self._forward(self._started(noted)) if self._is(self.saga.starts_on) else Decision(self._waiting(noted))

    # -- what happened --------------------------------------------------------------------------------------------

    def _is(self, kind: type[Message] | None) -> bool:
        return type(self.trigger) is kind

    def _facts(self, state: S) -> dict[str, Any]:
        steps, asked = self.saga.steps, self._is(self.saga.cancelled_by)
        undos = [step for step in steps if isinstance(step.undo, Undo) and self._is(step.undo.until)]
        refused = [step for step in steps if self._is(step.fails_on) and step.name not in state.done]
        done = [step for step in steps if self._is(step.succeeds_on)]
        started = [step for step in steps if any(map(self._is, step.may_start_on))]
        undone = _with(state.undone, undos)
        return {
            "begun": _with(state.begun, [*started, *done]),
            "done": _with(state.done, done),
            "failed": _with(state.failed, refused),
            "undone": undone,
            "owed": () if asked else tuple(name for name in state.owed if name not in undone),
            "cancel_requested": state.cancel_requested or asked,
            "reason": state.reason or (self._words() if undos or refused or asked else None),
        }

    def _words(self) -> str:
        """The trigger as a reason: its type, and the reason that it gives itself."""
        given = getattr(self.trigger, "reason", "")
        return ": ".join(filter(None, (type(self.trigger).__name__, given)))[:_REASON_LIMIT]

    def _waiting(self, state: S) -> S:
        forget_at = state.forget_at or self._after(self.policies.placeholder_s)
        return state.model_copy(update={"expected": (self.saga.starts_on.__name__,), "forget_at": forget_at})

    def _started(self, state: S) -> S:
        return state.model_copy(update={"saga": self.saga.name, "version": self.saga.version, "forget_at": None})

    # -- onward ---------------------------------------------------------------------------------------------------

    def _forward(self, state: S) -> Decision[S, C]:
        if self._must_turn_back(state):
            return self._turned_back(state)
        step = next((step for step in self.saga.steps if step.name not in state.done), None)
        if step is None:
            ended = self._ended(state.model_copy(update={"reason": None}), COMPLETED)
            return Decision(ended, _built(self.saga.completes_with, state))
        return self._pursue(state, self._task_of(step))

    def _must_turn_back(self, state: S) -> bool:
        pivots = (step.name for step in self.saga.steps if step.undo is IRREVERSIBLE)
        return bool(state.failed or state.undone) or (state.cancel_requested and not _any_in(pivots, state.begun))

    def _task_of(self, step: Step[S, C]) -> _Task[S, C]:
        awaits = tuple(event.__name__ for event in (step.succeeds_on, step.fails_on) if event is not None)
        policy = self.policies.steps[step.name]
        return _Task(step.name, self.saga.status_at(step), awaits, step.send, step.again, policy)

    # -- back -----------------------------------------------------------------------------------------------------

    def _turned_back(self, state: S) -> Decision[S, C]:
        return self._backward(state.model_copy(update={"status": COMPENSATING, "step": None}))

    def _backward(self, state: S) -> Decision[S, C]:
        due = [step for step in reversed(self.saga.steps) if _is_due(step, state)]
        state = state.model_copy(update={"owed": _with(state.owed, [s for s in due if s.undo is IRREVERSIBLE])})
        undos = [_undo_of(step, step.undo, self.policies) for step in due if isinstance(step.undo, Undo)]
        if not undos:
            return self._settled(state)
        return self._pursue(state, next((undo for undo in undos if undo.step == state.step), undos[0]))

    def _settled(self, state: S) -> Decision[S, C]:
        if not state.owed:
            return Decision(self._ended(state, CANCELLED), _built(self.saga.cancels_with, state))
        owed = [step for step in self.saga.steps if step.name in state.owed and isinstance(step.undo, Undo)]
        expected = tuple(answers_of(step)[-1].__name__ for step in owed)
        return Decision(self._ended(state, COMPENSATION_FAILED).model_copy(update={"expected": expected}))

    # -- what is under way ----------------------------------------------------------------------------------------

    def _pursue(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        if state.step != task.step:
            return self._attempted(state, task, 1)
        is_last = state.attempt > task.policy.resends
        if self._is_overdue(state) and not is_last:
            return self._attempted(state, task, state.attempt + 1)
        if is_last and (self._is_overdue(state) or self._is_refused(state, task)):
            return self._given_up(state, task)
        return Decision(state)

    def _attempted(self, state: S, task: _Task[S, C], attempt: int) -> Decision[S, C]:
        build = task.first if attempt == 1 else task.again
        attempts_left = task.policy.resends + 2 - attempt
        given_up_after_s = task.policy.deadline_s * attempts_left
        changes = {
            "status": task.status,
            "step": task.step,
            "attempt": attempt,
            "begun": state.begun if task.step in state.begun else (*state.begun, task.step),
            "expected": task.awaits,
            "due_at": self._after(task.policy.deadline_s),
            "expires_at": self._after(given_up_after_s + self.policies.expiry_margin_s),
        }
        attempted = state.model_copy(update=changes)
        return Decision(attempted, _built((build,) if build else (), attempted))

    def _given_up(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        if task.status == COMPENSATING:
            return self._backward(state.model_copy(update={"step": None, "owed": (*state.owed, task.step)}))
        reason = f"{task.step}: no answer after {state.attempt} attempt{'s' if state.attempt > 1 else ''}"
        return self._turned_back(state.model_copy(update={"reason": state.reason or reason}))

    def _is_overdue(self, state: S) -> bool:
        at = state.due_at
        return isinstance(self.trigger, Deadline) and at is not None and self.trigger.due_at >= at

    def _is_refused(self, state: S, task: _Task[S, C]) -> bool:
        """Whether the participant says that it cannot process the very command that was sent last."""
        if not self._is(self.saga.exhausted_on):
            return False
        failure = cast("_Failure", self.trigger)
        build = task.first if state.attempt == 1 else task.again
        sent = build and type(build(state)).__name__
        return (failure.command, failure.command_attempt) == (sent, state.attempt)

    def _ended(self, state: S, status: str) -> S:
        forget_at = None if status == COMPENSATION_FAILED else self._after(self.policies.stub_s)
        nothing_due = {"step": None, "attempt": 0, "expected": (), "due_at": None, "expires_at": None}
        return state.model_copy(update={**nothing_due, "status": status, "forget_at": forget_at})

    def _after(self, seconds: float) -> int:
        return self.now + round(seconds * 1000)


def _is_due(step: Step[S, C], state: SagaState) -> bool:
    """Whether the step's undo is due: it may have happened, and neither was refused nor is undone or owed."""
    if step.name in state.failed and step.name not in state.done:
        return False
    return step.name in state.begun and step.name not in (*state.undone, *state.owed)


def _undo_of(step: Step[S, C], undo: Undo[S, C], policies: SagaPolicies) -> _Task[S, C]:
    return _Task(step.name, COMPENSATING, (undo.until.__name__,), undo.command, undo.command, policies.undos[step.name])


def _built(builders: Iterable[Callable[[S], C]], state: S) -> tuple[C, ...]:
    return tuple(build(state) for build in builders)


def _with(names: Names, steps: Iterable[Step[S, C]]) -> Names:
    return (*names, *(step.name for step in steps if step.name not in names))


def _any_in(names: Iterable[str], among: Names) -> bool:
    return any(name in among for name in names)
