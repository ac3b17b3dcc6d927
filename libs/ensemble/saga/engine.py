"""The saga engine: from a table, a state and a trigger to what follows. Pure: no ports, no clock.

    decision = advance(ORDER_FULFILMENT, state, event, now=clock.now(), policies=policies)

- Answers may come early, late, twice, or in any order: each is noted, and a step that is done when reached is skipped.
- A deadline that passes means *unknown*: the step is sent again as a new attempt; once given up it is undone as well,
  unless its policy pauses the saga instead.
- A refusal, a request to cancel, or a step given up turns the saga back. Every step that may have happened is undone,
  the latest first, one at a time; an undo that is given up stays `owed`, and is settled by its late answer, or by an
  operator. An undo's answer that nobody asked for says that the step does not stand: it turns the saga back.
- A step's first answer counts, but a success is believed over an earlier refusal: at worst it costs an undo of nothing.
- A paused saga notes triggers and sends nothing (`pausing.py`). It pauses by itself rather than send what is paused
  for all sagas.
- `completed` and `cancelled` are final: nothing that comes later sends anything, or changes more of the state than how
  long it is kept whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ensemble.messages.message import Command, Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga.observations import Deadline, Trigger, add_steps, steps_to_undo
from ensemble.saga.pausing import BY_POLICY, pause, restart_attempt_count, resume, stop_waiting_if_answered
from ensemble.saga.state import NOTHING_UNDER_WAY, Names, SagaProgress
from ensemble.saga.table import (
    CANCELLED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    ENDED,
    IRREVERSIBLE,
    PLACEHOLDER,
    Saga,
    Step,
    Undo,
    answers_of,
)
from ensemble.saga.versions import require_known_version
from ensemble.service.ports import Pauses

S = TypeVar("S", bound=SagaProgress)
C = TypeVar("C", bound=Command)


class Decision(NamedTuple, Generic[S, C]):
    """The state to keep, and the commands to send with it."""

    state: S
    commands: tuple[C, ...] = ()


def advance(
    saga: Saga[S, C],
    state: S,
    trigger: Message | Deadline,
    *,
    now: int,
    policies: SagaPolicies,
    pauses: Pauses | None = None,
) -> Decision[S, C]:
    """Return what follows from `trigger`. An unknown saga is a state with the status `placeholder`.

    Raises UnknownSaga if the state belongs to another saga, or to a version that this table cannot go on with.
    """
    transition = _Transition(saga, Trigger(saga, trigger), now, policies, pauses)
    if state.status in ENDED:
        return Decision(transition.keep_whole(state))
    require_known_version(saga, state)
    return transition.apply(state)


class _Task(NamedTuple, Generic[S, C]):
    """A step, or the undo of one, as it is sent and awaited."""

    step: str
    status: str
    awaits: Names
    first: Callable[[S], C] | None
    again: Callable[[S], C] | None
    policy: StepPolicy


class _Transition(NamedTuple, Generic[S, C]):
    """One call of `advance`: first the trigger is noted, then the noted state says what is next."""

    saga: Saga[S, C]
    trigger: Trigger[S, C]
    now: int
    policies: SagaPolicies
    pauses: Pauses | None

    def apply(self, state: S) -> Decision[S, C]:
        decision = self._decide(self._operate(self._start(self.trigger.observe(state))))
        if state.paused_by is None or state.paused_by != decision.state.paused_by:
            return decision
        since = {"paused_since": state.paused_since}  # a resume that met the same pause has ended nothing
        return Decision(decision.state.model_copy(update=since), decision.commands)

    def _decide(self, state: S) -> Decision[S, C]:
        if state.status == PLACEHOLDER:
            return Decision(self._wait_for_start(state))
        if state.is_paused:
            return Decision(stop_waiting_if_answered(state))
        if state.status in {COMPENSATING, COMPENSATION_FAILED}:
            return self._go_back(state)
        return self._go_on(state)

    # -- begin, pause, resume -------------------------------------------------------------------------------------

    def _start(self, state: S) -> S:
        if state.status != PLACEHOLDER or self.trigger.kind is not self.saga.starts_on:
            is_older = bool(state.saga) and state.version != self.saga.version
            return state.model_copy(update={"version": self.saga.version}) if is_older else state
        identity = {"saga": self.saga.name, "version": self.saga.version, "status": self.saga.steps[0].status}
        return state.model_copy(update={**identity, "expected": (), "forget_at": None})

    def _wait_for_start(self, state: S) -> S:
        forget_at = state.forget_at or self._after(self.policies.placeholder_s)
        return state.model_copy(update={"expected": (self.saga.starts_on.__name__,), "forget_at": forget_at})

    def _operate(self, state: S) -> S:
        match self.trigger.operation:
            case "pause":
                operation = cast("Any", self.trigger.input)
                return pause(state, f"operator {operation.requested_by}", operation.reason, self.now)
            case "resume":
                return resume(state, self.now)
        return state

    # -- onward ---------------------------------------------------------------------------------------------------

    def _go_on(self, state: S) -> Decision[S, C]:
        if self._must_turn_back(state):
            return self._turn_back(state)
        for step in self.saga.steps:
            if step.name not in state.done:
                return self._continue_step(state, self._task_of(step))
        ended = self._end(state, COMPLETED, reason=None)
        return self._send(state, ended, COMPLETED, _build(self.saga.completes_with, state))

    def _must_turn_back(self, state: S) -> bool:
        if state.failed or state.undone or state.compensation_requested:
            return True
        return state.cancel_requested and self.saga.pivots.isdisjoint(state.begun)

    def _task_of(self, step: Step[S, C]) -> _Task[S, C]:
        name, saga = step.name, self.saga
        policy = self.policies.policy_for(name, undo=False)
        return _Task(name, saga.statuses[name], saga.awaited[name], step.send, step.again, policy)

    # -- back -----------------------------------------------------------------------------------------------------

    def _turn_back(self, state: S) -> Decision[S, C]:
        return self._go_back(state.model_copy(update={**NOTHING_UNDER_WAY, "status": COMPENSATING}))

    def _go_back(self, state: S) -> Decision[S, C]:
        steps = steps_to_undo(self.saga, state)
        owed = add_steps(state.owed, [step for step in steps if step.undo is IRREVERSIBLE])
        state = state.model_copy(update={"owed": owed})
        undos = [self._task_of_undo(step, step.undo) for step in steps if isinstance(step.undo, Undo)]
        if not undos:
            return self._end_compensation(state)
        return self._continue_step(state, next((undo for undo in undos if undo.step == state.step), undos[0]))

    def _task_of_undo(self, step: Step[S, C], undo: Undo[S, C]) -> _Task[S, C]:
        policy = self.policies.policy_for(step.name, undo=True)
        return _Task(step.name, COMPENSATING, (undo.until.__name__,), undo.command, undo.command, policy)

    def _end_compensation(self, state: S) -> Decision[S, C]:
        if not state.owed:
            return self._send(state, self._end(state, CANCELLED), CANCELLED, _build(self.saga.cancels_with, state))
        owed = [step for step in self.saga.steps if step.name in state.owed and isinstance(step.undo, Undo)]
        expected = tuple(answers_of(step)[-1].__name__ for step in owed)
        return Decision(self._end(state, COMPENSATION_FAILED, expected=expected))

    # -- the step or undo under way -------------------------------------------------------------------------------

    def _continue_step(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        if state.step != task.step:
            return self._attempt(state, task, 1)
        if self.trigger.is_retry_of(state):
            state = restart_attempt_count(state)
        if state.due_at is None:
            return self._attempt(state, task, state.attempt + 1)
        if state.exhausted == "pause" and self.saga.operated_by:
            return self._pause_by_policy(state, f"{task.step}: its participant keeps attempt {state.attempt}")
        if state.exhausted == "compensate" and task.status != COMPENSATING:
            return self._give_up(state, task, f"given up by its participant at attempt {state.attempt}")
        return self._judge_deadline(state, task)

    def _judge_deadline(self, state: S, task: _Task[S, C]) -> Decision[S, C]:
        """Decide what follows from silence, and from attempts that failed, by the step's policy."""
        is_overdue, has_participant_failed = self._is_overdue(state), bool(state.exhausted)
        has_attempts_left = state.attempt - state.attempts_before <= task.policy.resends
        barring = self._pause_that_bars_resend(state, task) if is_overdue else None
        silence = f"no answer after {state.attempt} attempt{'s' if state.attempt > 1 else ''}"
        match is_overdue, has_attempts_left, has_participant_failed, task.policy.on_exhaustion:
            case True, _, _, _ if barring is not None:  # a paused participant cannot answer: its silence says nothing
                return self._pause_by(barring, state.model_copy(update={"due_at": None}))
            case True, True, _, _:  # the outcome is unknown: ask again
                return self._attempt(state.model_copy(update={"due_at": None}), task, state.attempt + 1)
            case False, True, _, _:  # an attempt that failed is asked again at its deadline
                return Decision(state)
            case False, False, False, _:  # the last attempt may still be answered
                return Decision(state)
            case _, _, _, "pause":  # used up, and an operator decides
                return self._pause_by_policy(state, f"{task.step}: {silence}")
            case _:  # used up
                return self._give_up(state, task, silence)

    def _attempt(self, state: S, task: _Task[S, C], attempt: int) -> Decision[S, C]:
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
        return self._send(state, attempted, task.step, () if build is None else (build(attempted),))

    def _expiry(self, policy: StepPolicy, attempt: int) -> int:
        """Return a time after the step is given up; as late as any input may come if an operator gives it up."""
        given_up_after_s = policy.deadline_s * (policy.resends + 2 - attempt)
        margin_s = self.policies.stub_s if policy.on_exhaustion == "pause" else self.policies.expiry_margin_s
        return self._after(given_up_after_s + margin_s)

    def _give_up(self, state: S, task: _Task[S, C], reason: str) -> Decision[S, C]:
        if task.status == COMPENSATING:
            owed = (*state.owed, task.step)
            return self._go_back(state.model_copy(update={**NOTHING_UNDER_WAY, "owed": owed}))
        return self._turn_back(state.model_copy(update={"reason": state.reason or f"{task.step}: {reason}"}))

    def _is_overdue(self, state: S) -> bool:
        due_at, deadline = state.due_at, self.trigger.input
        return isinstance(deadline, Deadline) and due_at is not None and deadline.due_at >= due_at

    # -- sending, or pausing instead ------------------------------------------------------------------------------

    def _send(self, before: S, after: S, step: str, commands: tuple[C, ...]) -> Decision[S, C]:
        """Decide to send, or to pause where sending is paused."""
        barring = self._pause_that_bars(step, commands)
        return Decision(after, commands) if barring is None else self._pause_by(barring, before)

    def _pause_that_bars_resend(self, state: S, task: _Task[S, C]) -> str | None:
        return self._pause_that_bars(task.step, () if task.again is None else (task.again(state),))

    def _pause_that_bars(self, step: str, commands: tuple[C, ...]) -> str | None:
        """Return the wider pause that forbids these commands, as `PAUSE: REASON`, unless they are a probe."""
        is_probe = self.trigger.operation == "resume" and bool(cast("Any", self.trigger.input).past_pause)
        if self.pauses is None or self.saga.operated_by is None or is_probe:
            return None
        return self.pauses.of(step, *map(type, commands))

    def _pause_by(self, wider_pause: str, state: S) -> Decision[S, C]:
        by, _, reason = wider_pause.partition(": ")
        return Decision(stop_waiting_if_answered(pause(state, by, reason, self.now)))

    def _pause_by_policy(self, state: S, reason: str) -> Decision[S, C]:
        return Decision(pause(restart_attempt_count(state), BY_POLICY, reason, self.now))

    # -- the end --------------------------------------------------------------------------------------------------

    def keep_whole(self, state: S) -> S:
        """Return an ended state with a time at which it is reduced; something has come for it since the last time."""
        forget_at = state.forget_at or self._after(self.policies.stub_s)
        return state if forget_at == state.forget_at else state.model_copy(update={"forget_at": forget_at})

    def _end(self, state: S, status: str, **changes: Any) -> S:
        forget_at = None if status == COMPENSATION_FAILED else self._after(self.policies.stub_s)
        return state.model_copy(update={**NOTHING_UNDER_WAY, "status": status, "forget_at": forget_at, **changes})

    def _after(self, seconds: float) -> int:
        return self.now + round(seconds * 1000)


def _build(builders: Iterable[Callable[[S], C]], state: S) -> tuple[C, ...]:
    return tuple([build(state) for build in builders])
