"""Conductors: the role that runs a saga through its ports, and a ready-made one where the table is enough."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, make_dataclass
from typing import Any, Generic, TypeVar, Union, cast

from ensemble.messages.message import Command, Event, Message
from ensemble.policies.saga import SagaPolicies
from ensemble.saga.check import DEADLINE, RETENTION, check_saga
from ensemble.saga.engine import Decision, advance
from ensemble.saga.observations import Deadline
from ensemble.saga.state import SagaProgress
from ensemble.saga.table import ENDED, Saga
from ensemble.service.ports import Clock, CommandBus, Pauses, StateStore, TimerDue, Timers
from ensemble.service.roles import RoleSpec, conducted_by, conducts, handles, reacts_to, when_due

S = TypeVar("S", bound=SagaProgress)
C = TypeVar("C", bound=Command)


@dataclass(frozen=True)
class SagaConductor(Generic[S, C]):
    """Runs the saga that its class `@conducts`: keeps the states, sends the commands, sets the timers.

    A subclass is a role: a frozen dataclass that names the types of `states` and `commands`, makes new states, and has
    a method for each message of the table, which calls `advance`. Where the table is not enough, it overrides the
    hooks: `note` before the engine decides, `remember` and `announce` after, `reduce` long after the end.
    """

    states: StateStore[S]
    commands: CommandBus[C]
    timers: Timers
    clock: Clock
    pauses: Pauses
    policies: SagaPolicies

    def new_state(self, key: str) -> S:
        """Return the state of a saga that nothing is known of yet."""
        raise NotImplementedError

    def note(self, state: S, trigger: Message | Deadline) -> S | None:  # noqa: ARG002  for overriding
        """Return the state with what its own fields need of the trigger, or None to ignore the trigger."""
        return state

    def remember(self, before: S, decision: Decision[S, C], trigger: Message | Deadline) -> S:  # noqa: ARG002  for overriding
        """Return the state to keep."""
        return decision.state

    def reduce(self, state: S) -> S | None:  # noqa: ARG002  for overriding
        """Return what stays for ever of a saga that ended `stub_s` ago; None forgets it, and its key may start anew."""
        return None

    def announce(self, before: S, after: S) -> None:
        """Tell other services, and the log, what has changed."""

    def advance(self, key: str, trigger: Message | Deadline) -> None:
        """Advance the saga of `key` by the trigger: keep its state, send its commands, announce, set its timers."""
        before = self.states.get(key) or self.new_state(key)
        noted = self.note(before, trigger)
        if noted is None:
            return
        decision = self._decide(noted, trigger)
        after = self.remember(before, decision, trigger)
        self.states.set(key, after)
        for command in decision.commands:
            self.commands.send(command)
        self.announce(before, after)
        self._set_deadline(key, None if isinstance(trigger, Deadline) else before.due_at, after.due_at)
        self._set_retention(key, before.forget_at, after.forget_at)

    @when_due(DEADLINE)
    def on_deadline(self, timer: TimerDue) -> None:
        """Advance the saga by its deadline; wait on for one that lies later by now. An unknown saga has none."""
        state = self.states.get(timer.key)
        if state is None:
            return
        if state.due_at is not None and state.due_at > timer.due_at:
            self.timers.schedule(timer.key, DEADLINE, state.due_at)
        else:
            self.advance(timer.key, Deadline(timer.due_at))

    @when_due(RETENTION)
    def on_retention(self, timer: TimerDue) -> None:
        """Forget a saga that never started; reduce or forget one that ended long ago."""
        state = self.states.get(timer.key)
        if state is None or state.forget_at is None or state.forget_at > timer.due_at:
            return
        reduced = self.reduce(state) if state.status in ENDED else None
        if reduced is None:
            self.states.delete(timer.key)
        else:
            self.states.set(timer.key, reduced.model_copy(update={"forget_at": None}))

    def _decide(self, state: S, trigger: Message | Deadline) -> Decision[S, C]:
        saga = cast("Saga[S, C]", conducted_by(type(self)))
        return advance(saga, state, trigger, now=self.clock.now(), policies=self.policies, pauses=self.pauses)

    def _set_deadline(self, key: str, pending: int | None, due_at: int | None) -> None:
        """Have a timer by `due_at`. A pending one is not moved back: most steps end long before it is due."""
        if due_at is None:
            if pending is not None:
                self.timers.cancel(key, DEADLINE)
        elif pending is None or due_at < pending:
            self.timers.schedule(key, DEADLINE, due_at)

    def _set_retention(self, key: str, before: int | None, forget_at: int | None) -> None:
        if forget_at == before:
            return
        if forget_at is None:
            self.timers.cancel(key, RETENTION)
        else:
            self.timers.schedule(key, RETENTION, forget_at)


def conductor(saga: Saga[S, Any], state: type[S], key: str, policies: SagaPolicies) -> RoleSpec:
    """Return a role that runs `saga` and does nothing else, for a service that declares `state_store(state)`.

    `key` is the field that names the saga in `state` and in every message. Where a message needs more than the table,
    write a subclass of `SagaConductor`. Raises ConfigurationError if the table and the policies disagree.
    """

    class TableConductor(SagaConductor[Any, Any]):
        def new_state(self, key_value: str) -> Any:
            return state(**{key: key_value})

        @reacts_to(*saga.events())
        def on_event(self, event: Event) -> None:
            self.advance(getattr(event, key), event)

        @_handles_each(saga.commands())
        def on_command(self, command: Command) -> None:
            self.advance(getattr(command, key), command)

    name = "".join(word.capitalize() for word in saga.name.split("-")) + "Conductor"
    role = conducts(saga)(make_dataclass(name, _typed_ports(saga, state), bases=(TableConductor,), frozen=True))
    check_saga(saga, role, policies)
    return RoleSpec(role, {"policies": policies})


def _handles_each(commands: Iterable[type[Command]]) -> Callable[[Any], Any]:
    """Mark one method that handles many commands."""

    def mark(method: Any) -> Any:
        for command in commands:
            method = handles(command)(method)
        return method

    return mark


def _typed_ports(saga: Saga[S, Any], state: type[S]) -> list[tuple[str, Any]]:
    """Return the fields whose types the runtime reads: which state is stored, and which commands may be sent."""
    commands = tuple(typing.get_type_hints(build)["return"] for build in saga.builders())
    store, bus = cast("Any", StateStore), cast("Any", CommandBus)
    return [("states", store[state]), ("commands", bus[Union[commands]])]  # noqa: UP007  its members are a tuple
