"""A saga's table and its parts. A table is data: the engine, the checks and the diagrams read it.

Steps are known by name, never by number: inserting one moves no running saga.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from functools import cached_property
from typing import Final, Generic, TypeVar

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command, Event

S = TypeVar("S")
C = TypeVar("C", bound=Command)

PLACEHOLDER: Final = "placeholder"
COMPLETED: Final = "completed"
COMPENSATING: Final = "compensating"
CANCELLED: Final = "cancelled"
COMPENSATION_FAILED: Final = "compensation_failed"
ENDED: Final = frozenset({COMPLETED, CANCELLED})
"""The statuses that nothing changes any more."""
ENGINE_STATUSES: Final = frozenset({PLACEHOLDER, COMPLETED, COMPENSATING, CANCELLED, COMPENSATION_FAILED})
"""The statuses that the engine gives; a table names the others."""


class Irreversible(Enum):
    """The type of `IRREVERSIBLE`."""

    IRREVERSIBLE = "irreversible"


IRREVERSIBLE: Final = Irreversible.IRREVERSIBLE
"""In place of an `Undo`: from this step on the saga can no longer be cancelled, and what fails later leaves it owed."""


class NoEffect(Enum):
    """The type of `NO_EFFECT`."""

    NO_EFFECT = "no_effect"


NO_EFFECT: Final = NoEffect.NO_EFFECT
"""In place of an `Undo`: the step only asks, so there is nothing to take back."""


@dataclass(frozen=True)
class Undo(Generic[S, C]):
    """How a step is undone: the command to its participant, sent again `until` this event confirms it.

    A participant has to accept it before, or without, what it undoes.
    """

    command: Callable[[S], C]
    _: KW_ONLY
    until: type[Event]


@dataclass(frozen=True)
class Operations:
    """The commands by which operators intervene. Each has `requested_by` (the operator) and `reason`."""

    _: KW_ONLY
    pause: type[Command]
    resume: type[Command]
    """Its flag `past_pause` lets the next command leave although its step or type is paused."""
    retry: type[Command]
    """Its fields `step` and `after_attempt` say what is to be sent again; an empty step: whatever is under way."""
    compensate: type[Command]
    settle: type[Command]
    """Its field `steps` names the steps that are no longer owed."""

    def __iter__(self) -> Iterator[type[Command]]:
        return iter((self.pause, self.resume, self.retry, self.compensate, self.settle))


@dataclass(frozen=True)
class Step(Generic[S, C]):
    """One row of the table. Without `send`, another service starts the step, and the saga awaits it."""

    name: str
    _: KW_ONLY
    succeeds_on: type[Event]
    undo: Undo[S, C] | Irreversible | NoEffect
    status: str | None = None
    """The saga's status from here on; None keeps the one it has."""
    send: Callable[[S], C] | None = None
    nudge: Callable[[S], C] | None = None
    """Sent at the step's deadline instead of `send`."""
    fails_on: type[Event] | None = None
    """The participant's refusal: nothing of the step happened, so it is the one that is not undone."""
    may_start_on: Collection[type[Event]] = ()
    """Events that may start the step before it is reached; from then on its undo is due."""
    acknowledged: str = ""
    """Why an irreversible step may stand before others, whose failure then leaves it owed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "may_start_on", tuple(self.may_start_on))

    @property
    def again(self) -> Callable[[S], C] | None:
        """The builder of what is sent when the answer does not come."""
        return self.nudge or self.send


@dataclass(frozen=True)
class Saga(Generic[S, C]):
    """The table of a saga: its steps in order, each with the events that answer it and its undo.

    A builder makes one command from the state, and is pure. Raises ConfigurationError for a table that contradicts
    itself; `ensemble.saga.check_saga` compares it with its conductor and its policies.
    """

    name: str
    _: KW_ONLY
    version: int
    """Goes up when the states of running sagas mean something else to the new table."""
    oldest_supported_version: int = 1
    """The oldest version whose states this table can go on with."""
    starts_on: type[Event]
    steps: Sequence[Step[S, C]]
    cancelled_by: type[Command] | None = None
    exhausted_on: type[Event] | None = None
    """The event of a participant that could not process a command: fields `command` (type name), `command_attempt`.

    A field `disposition` may say more: `compensate` turns the saga back at once, `pause` pauses it.
    """
    operated_by: Operations | None = None
    """Without it no operator could resume the saga, so it never pauses; the owners of its commands park what is paused.
    """
    completes_with: Sequence[Callable[[S], C]] = ()
    """Builders of the commands that are sent when all steps are done."""
    cancels_with: Sequence[Callable[[S], C]] = ()
    """Builders of the commands that are sent when all that may have happened is undone."""

    def __post_init__(self) -> None:
        for name in ("steps", "completes_with", "cancels_with"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for fault in self._faults():
            raise ConfigurationError(f"saga {self.name}: {fault}")

    def _faults(self) -> Iterator[str]:
        names = [step.name for step in self.steps]
        awaited = [event for step in self.steps for event in answers_of(step)]
        if not self.steps or self.steps[0].status is None:
            yield "the first step needs a status; it is the saga's from its start"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"two steps are called {name!r}"
        for event in sorted({event.__name__ for event in awaited if awaited.count(event) > 1}):
            yield f"{event} answers two questions; each answer needs an event of its own"
        for step in self.steps:
            if step.status in ENGINE_STATUSES:
                yield f"step {step.name!r} has the status {step.status!r}, which the engine gives"

    @cached_property
    def operations(self) -> Mapping[type, str]:
        """The names of the operations in `operated_by`, by the command that asks for each."""
        return {} if self.operated_by is None else {kind: name for name, kind in vars(self.operated_by).items()}

    @cached_property
    def answered_steps(self) -> Mapping[type, Step[S, C]]:
        """The step that each answer answers, or whose undo it answers."""
        return {event: step for step in self.steps for event in answers_of(step)}

    @cached_property
    def steps_begun(self) -> Mapping[type, Sequence[Step[S, C]]]:
        """The steps that an event may have started before they were reached, then the one whose success it is."""
        events = {event for step in self.steps for event in (*step.may_start_on, step.succeeds_on)}
        return {
            event: (
                *(step for step in self.steps if event in step.may_start_on),
                *(step for step in self.steps if event is step.succeeds_on),
            )
            for event in events
        }

    @cached_property
    def statuses(self) -> Mapping[str, str]:
        """The status from each step on, by the step's name: its own, or that of the nearest step before it."""
        statuses, status = dict[str, str](), ""
        for step in self.steps:
            statuses[step.name] = status = step.status or status
        return statuses

    @cached_property
    def awaited(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the events that end each step, by the step's name."""
        return {step.name: names_of(step.succeeds_on, step.fails_on) for step in self.steps}

    @cached_property
    def pivots(self) -> frozenset[str]:
        """The names of the steps from which on the saga can no longer be cancelled."""
        return frozenset(step.name for step in self.steps if step.undo is IRREVERSIBLE)

    def events(self) -> frozenset[type[Event]]:
        """Return every event that the table names: its conductor must react to each."""
        of_saga = {self.starts_on} | ({self.exhausted_on} if self.exhausted_on else set())
        return frozenset(of_saga.union(*({*answers_of(step), *step.may_start_on} for step in self.steps)))

    def commands(self) -> frozenset[type[Command]]:
        """Return every command by which others intervene: its conductor must handle each."""
        cancelled_by = {self.cancelled_by} if self.cancelled_by else set()
        return frozenset({*cancelled_by, *(self.operated_by or ())})

    def builders(self) -> Iterator[Callable[[S], C]]:
        """Return every function of the table that makes a command."""
        yield from (*self.step_builders(), *self.completes_with, *self.cancels_with)

    def step_builders(self) -> Iterator[Callable[[S], C]]:
        """Return every function that makes a command of a step or of its undo."""
        for step in self.steps:
            undo = step.undo.command if isinstance(step.undo, Undo) else None
            yield from (build for build in (step.send, step.nudge, undo) if build is not None)


def names_of(*events: type[Event] | None) -> tuple[str, ...]:
    """Return the names of the events, without those that a table lacks."""
    return tuple(event.__name__ for event in events if event is not None)


def answers_of(step: Step[S, C]) -> tuple[type[Event], ...]:
    """Return the events that answer a step or its undo."""
    until = step.undo.until if isinstance(step.undo, Undo) else None
    return tuple(event for event in (step.succeeds_on, step.fails_on, until) if event is not None)
