"""The saga engine: reads a table, a state and what happened, and says what follows. Pure: no ports, no clock.

    decision = advance(ORDER_FULFILMENT, state, event, now=clock.now(), policies=policies)

- Answers may come early, late, twice, or in any order: each is noted, and a step that is done when reached is skipped.
- A deadline that passes means *unknown*: the step is sent again as a new attempt; once given up it is undone as well,
  unless its policy pauses the saga instead.
- A refusal, a request to cancel, or a step given up turns the saga back. Every step that may have happened is undone,
  the latest first, one at a time; an undo that is given up stays `owed`, and is settled when its answer comes after
  all, or by a person. An undo's answer that comes unasked says that the step does not stand: it turns the saga back.
- A step's first answer counts, but a success is believed over an earlier refusal: at worst it costs an idle undo.
- A paused saga notes what comes and sends nothing (`saga_pause`). It pauses by itself rather than send what is paused
  for all.
- `completed` and `cancelled` are final: nothing that comes later changes the state or sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ensemble.messages.message import Command, Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga.observations import Deadline, Happening, names_to_undo, steps_to_undo, with_steps
from ensemble.saga.pausing import BY_POLICY, pause, restart_attempt_count, resume, stop_waiting_if_answered
from ensemble.saga.state import NOTHING_UNDER_WAY, Names, SagaState
from ensemble.saga.table import (
    CANCELLED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    IRREVERSIBLE,
    NO_EFFECT,
    PLACEHOLDER,
    Irreversible,
    NoEffect,
    Operations,
    Saga,
    Step,
    Undo,
    answers_of,
)
from ensemble.saga.versions import require_known_version
from ensemble.service.ports import Pauses

__all__ = [
    "IRREVERSIBLE",
    "NO_EFFECT",
    "Deadline",
    "Decision",
    "Irreversible",
    "NoEffect",
    "Operations",
    "Saga",
    "SagaPolicies",
    "SagaState",
    "Step",
    "StepPolicy",
    "Undo",
    "advance",
    "names_to_undo",
]

S = TypeVar("S", bound=SagaState)
C = TypeVar("C", bound=Command)


@dataclass(frozen=True)
class Decision(Generic[S, C]):
    """The state to keep, and the commands to send with it."""

    state: S
    commands: tuple[C, ...] = ()


def advance(  # noqa: PLR0913  pure: all that it depends on is an argument
    saga: Saga[S, C],
    state: S,
    trigger: Message | Deadline,
    *,
    now: int,
    policies: SagaPolicies,
    pauses: Pauses | None = None,
) -> Decision[S, C]:
    """What follows from `trigger`. A saga that nobody has heard of is a state with status `placeholder`.

    UnknownSaga when the state belongs to another saga, or to a version that this table cannot go on with.
    """
    if state.status in {COMPLETED, CANCELLED}:
        return Decision(state)
    require_known_version(saga, state)
    return _Turn(saga, Happening(saga, trigger), now, policies, pauses).take(state)


@dataclass(frozen=True)
class _Task(Generic[S, C]):
    """What can be under way: a step, or the undo of one."""

    step: str
    status: str
    awaits: Names
    first: Callable[[S], C] | None
    again: Callable[[S], C] | None
    policy: StepPolicy


@dataclass(frozen=True)
class _Turn(Generic[S, C]):
    """One call of `advance`: first what happened is noted, then the noted state says what is next."""

    saga: Saga[S, C]
    what: Happening[S, C]
    now: int
    policies: SagaPolicies
    pauses: Pauses | None

    def take(self, state: S) -> Decision[S, C]:
        decision = self._decided(self._operated(self._started(self.what.noted(state))))
        if state.paused_by is None or state.paused_by != decision.state.paused_by:
            return decision
        since = {"paused_since": state.paused_since}  # a resume that met the same pause has ended nothing
        return Decision(decision.state.model_copy(update=since), decision.commands)

    def _decided(self, noted: S) -> Decision[S, C]:
        if noted.status == PLACEHOLDER:
            return Decision(self._waiting(noted))
        if noted.paused_since is not None:
            return Decision(stop_waiting_if_answered(noted))
        if noted.status in {COMPENSATING, COMPENSATION_FAILED}:
            return self._backward(noted)
        return self._forward(noted)

    # -- begun, paused, resumed -----------------------------------------------------------------------------------

    def _waiting(self, state: S) -> S:
        forget_at = state.forget_at or self._after(self.policies.placeholder_s)
        return state.model_copy(update={"expected": (self.saga.starts_on.__name__,), "forget_at": forget_at})

    def _started(self, state: S) -> S:
        if state.status != PLACEHOLDER or not self.what.is_a(self.saga.starts_on):
            is_older = bool(state.saga) and state.version != self.saga.version
            return state.model_copy(update={"version": self.saga.version}) if is_older else state
        begun = {"saga": self.saga.name, "version": self.saga.version, "status": self.saga.steps[0].status}
        return state.model_copy(update={**begun, "expected": (), "forget_at": None})

    def _operated(self, state: S) -> S:
        if self.what.is_operation("pause"):
            asked = cast("Any", self.what.trigger)
            return pause(state, f"operator {asked.requested_by}", asked.reason, self.now)
        return resume(state, self.now) if self.what.is_operation("resume") else state

    # -- onward ---------------------------------------------------------------------------------------------------

    def _forward(self, state: S) -> Decision[S, C]:
        if self._must_turn_back(state):
            return self._turned_back(state)
        step = next((step for step in self.saga.steps if step.name not in state.done), None)
        if step is None:
            ended = self._ended(state.model_copy(update={"reason": None}), COMPLETED)
            return self._sent(state, ended, COMPLETED, _built(self.saga.completes_with, state))
        return self._pursue(state, self._task_of(step))

    def _must_turn_back(self, state: S) -> bool:
        if state.failed or state.undone or state.compensation_requested:
            return True
        pivots = (step.name for step in self.saga.steps if step.undo is IRREVERSIBLE)
        return state.cancel_requested and not any(name in state.begun for name in pivots)

    def _task_of(self, step: Step[S, C]) -> _Task[S, C]:
        awaits = tuple(event.__name__ for event in (step.succeeds_on, step.fails_on) if event is not None)
        policy = self.policies.policy_for(step.name, undo=False)
        return _Task(step.name, self.saga.status_at(step), awaits, step.send, step.again, policy)

    # -- back -----------------------------------------------------------------------------------------------------

    def _turned_back(self, state: S) -> Decision[S, C]:
        return self._backward(state.model_copy(update={**NOTHING_UNDER_WAY, "status": COMPENSATING}))

    def _backward(self, state: S) -> Decision[S, C]:
        due = steps_to_undo(self.saga, state)
        owed = with_steps(state.owed, [step for step in due if step.undo is IRREVERSIBLE])
        state = state.model_copy(update={"owed": owed})
        undos = [self._undo_of(step, step.undo) for step in due if isinstance(step.undo, Undo)]
        if not undos:
            return self._settled(state)
        return self._pursue(state, next((undo for undo in undos if undo.step == state.step), undos[0]))

    def _undo_of(self, step: Step[S, C], undo: Undo[S, C]) -> _Task[S, C]:
        policy = self.policies.policy_for(step.name, undo=True)
        return _Task(step.name, COMPENSATING, (undo.until.__name__,), undo.command, undo.command, policy)

    def _settled(self, state: S) -> Decision[S, C]:
        if not state.owed:
            ended = self._ended(state, CANCELLED)
            return self._sent(state, ended, CANCELLED, _built(self.saga.cancels_with, state))
        owed = [step for step in self.saga.steps if step.name in state.owed and isinstance(step.undo, Undo)]
        expected = tuple(answers_of(step)[-1].__name__ for step in owed)
        return Decision(self._ended(state, COMPENSATION_FAILED).model_copy(update={"expected": expected}))

    # -- what is under way ----------------------------------------------------------------------------------------

    def _pursue(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        if state.step != task.step:
            return self._attempted(state, task, 1)
        if self.what.asks_again(state):
            state = restart_attempt_count(state)
        if state.due_at is None:
            return self._attempted(state, task, state.attempt + 1)
        if state.exhausted == "pause" and self.saga.operated_by:
            return self._paused_by_policy(state, f"{task.step}: its participant keeps attempt {state.attempt}")
        if state.exhausted == "compensate" and task.status != COMPENSATING:
            return self._given_up(state, task, f"given up by its participant at attempt {state.attempt}")
        return self._judged(state, task)

    def _judged(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        """Silence, and attempts that failed, against the policy."""
        is_last = state.attempt - state.attempts_before > task.policy.resends
        is_over = self._is_overdue(state)
        words = self._barring(task.step, _built((task.again,) if task.again else (), state)) if is_over else None
        if words is not None:  # who is paused cannot answer: that silence is not judged
            return self._barred(state.model_copy(update={"due_at": None}), words)
        if is_over and not is_last:
            return self._attempted(state.model_copy(update={"due_at": None}), task, state.attempt + 1)
        if not (is_over or (is_last and state.exhausted)):
            return Decision(state)
        silence = f"no answer after {state.attempt} attempt{'s' if state.attempt > 1 else ''}"
        if task.policy.on_exhaustion == "pause":
            return self._paused_by_policy(state, f"{task.step}: {silence}")
        return self._given_up(state, task, silence)

    def _attempted(self, state: S, task: _Task[S, C], attempt: int) -> Decision[S, C]:
        build = task.first if attempt == 1 else task.again
        before = 0 if attempt == 1 else state.attempts_before
        changes = {
            "status": task.status,
            "step": task.step,
            "attempt": attempt,
            "attempts_before": before,
            "exhausted": "",
            "begun": state.begun if task.step in state.begun else (*state.begun, task.step),
            "expected": task.awaits,
            "due_at": self._after(task.policy.deadline_s),
            "expires_at": self._expiry(task.policy, attempt - before),
        }
        attempted = state.model_copy(update=changes)
        return self._sent(state, attempted, task.step, _built((build,) if build else (), attempted))

    def _expiry(self, policy: StepPolicy, attempt: int) -> int:
        """A while after the step is given up; where that is left to a person, as late as anything may come."""
        given_up_after_s = policy.deadline_s * (policy.resends + 2 - attempt)
        is_left = policy.on_exhaustion == "pause"
        return self._after(given_up_after_s + (self.policies.stub_s if is_left else self.policies.expiry_margin_s))

    def _sent(self, before: S, after: S, step: str, commands: tuple[C, ...]) -> Decision[S, C]:
        """The decision to send, or to pause where sending is paused."""
        words = self._barring(step, commands)
        return Decision(after, commands) if words is None else self._barred(before, words)

    def _barred(self, state: S, words: str) -> Decision[S, C]:
        by, _, reason = words.partition(": ")
        return Decision(stop_waiting_if_answered(pause(state, by, reason, self.now)))

    def _barring(self, step: str, commands: tuple[C, ...]) -> str | None:
        """The wider pause that bars them, unless this is a probe."""
        passes = self.what.is_operation("resume") and bool(cast("Any", self.what.trigger).past_pause)
        if self.pauses is None or self.saga.operated_by is None or passes:
            return None
        return self.pauses.of(step, *map(type, commands))

    def _paused_by_policy(self, state: S, reason: str) -> Decision[S, C]:
        return Decision(pause(restart_attempt_count(state), BY_POLICY, reason, self.now))

    def _given_up(self, state: S, task: _Task[S, C], words: str) -> Decision[S, C]:
        if task.status == COMPENSATING:
            owed = (*state.owed, task.step)
            return self._backward(state.model_copy(update={**NOTHING_UNDER_WAY, "owed": owed}))
        return self._turned_back(state.model_copy(update={"reason": state.reason or f"{task.step}: {words}"}))

    def _is_overdue(self, state: S) -> bool:
        at, trigger = state.due_at, self.what.trigger
        return isinstance(trigger, Deadline) and at is not None and trigger.due_at >= at

    def _ended(self, state: S, status: str) -> S:
        forget_at = None if status == COMPENSATION_FAILED else self._after(self.policies.stub_s)
        return state.model_copy(update={**NOTHING_UNDER_WAY, "status": status, "forget_at": forget_at})

    def _after(self, seconds: float) -> int:
        return self.now + round(seconds * 1000)


def _built(builders: Iterable[Callable[[S], C]], state: S) -> tuple[C, ...]:
    return tuple(build(state) for build in builders)
