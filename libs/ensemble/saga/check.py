"""Whether a saga's table, the role that conducts it and its policies agree: asked once, at start."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga.table import IRREVERSIBLE, Saga, Undo
from ensemble.service.roles import RoleDescription, describe_role

TIMERS = ("deadline", "retention")
"""The timers that a conductor keeps: for `due_at` and `forget_at` of its state."""


def check_saga(saga: Saga[Any, Any], role: type, policies: SagaPolicies) -> None:
    """ConfigurationError with everything that is missing or too much, one line each."""
    conductor = describe_role(role)
    faults = [*_faults_of_role(saga, conductor), *_faults_of_outputs(saga, conductor), *_faults_of(saga, policies)]
    if faults:
        raise ConfigurationError(
            f"saga {saga.name} cannot be conducted:\n" + "\n".join(f"  {words}" for words in faults)
        )


def _faults_of_role(saga: Saga[Any, Any], conductor: RoleDescription) -> Iterator[str]:
    name = conductor.name
    if conductor.conducts is not saga:
        yield f"{name} does not conduct it; mark the class with @conducts"
    marked = {
        handler.verb: {h.subject for h in conductor.handlers if h.verb == handler.verb}
        for handler in conductor.handlers
    }
    for event in _names(saga.events() - marked.get("reacts_to", set())):
        yield f"the table names {event}, but no method of {name} has @reacts_to({event})"
    for event in _names(marked.get("reacts_to", set()) - saga.events()):
        yield f"{name} reacts to {event}, which the table does not name"
    for command in _names(saga.commands() - marked.get("handles", set())):
        yield f"no method of {name} has @handles({command})"
    for timer in sorted(set(TIMERS) - marked.get("when_due", set())):
        yield f'no method of {name} has @when_due("{timer}")'


def _faults_of_outputs(saga: Saga[Any, Any], conductor: RoleDescription) -> Iterator[str]:
    for build in saga.builders():
        command = _command_of(build)
        if command is None:
            yield f"{_called(build)} does not say which command it makes; give it a return type"
        elif command not in conductor.sends:
            yield f"{_called(build)} makes {command.__name__}, which the buses of {conductor.name} do not declare"


def _faults_of(saga: Saga[Any, Any], policies: SagaPolicies) -> Iterator[str]:
    undone = {step.name for step in saga.steps if isinstance(step.undo, Undo)}
    yield from _disagreement("step", {step.name for step in saga.steps}, policies.steps)
    yield from _disagreement("undo of step", undone, policies.undos)
    for step in saga.steps[:-1]:
        if step.undo is IRREVERSIBLE and not step.acknowledged:
            yield f"step {step.name!r} is irreversible, but not the last; move it, or say why in its acknowledged="
    for step in saga.steps:
        policy = policies.steps.get(step.name)
        if policy is not None and policy.resends and step.again is None:
            yield f"step {step.name!r} has {policy.resends} resends but nothing to send; give it a nudge, or no resends"
    pausing = [name for name, policy in (*policies.steps.items(), *policies.undos.items()) if _pauses(policy)]
    if pausing and saga.operated_by is None:
        yield f"{', '.join(pausing)} would pause on exhaustion, but nobody could resume it; give the saga operated_by"


def _pauses(policy: StepPolicy) -> bool:
    return policy.on_exhaustion == "pause"


def _disagreement(what: str, named: set[str], policies: typing.Mapping[str, StepPolicy]) -> Iterator[str]:
    for name in sorted(named - policies.keys()):
        yield f"{what} {name!r} has no policy: how long to wait for it, and how often to ask again"
    for name in sorted(policies.keys() - named):
        yield f"there is a policy for {what} {name!r}, but the table has none of that name"


def _command_of(build: Callable[..., Any]) -> type[Command] | None:
    hints = typing.get_type_hints(build) if hasattr(build, "__annotations__") else {}
    found = hints.get("return")
    return found if isinstance(found, type) and issubclass(found, Command) else None


def _called(build: Callable[..., Any]) -> str:
    return str(getattr(build, "__name__", build))


def _names(kinds: Iterable[Any]) -> list[str]:
    return sorted(kind.__name__ for kind in kinds)
