"""Whether a saga's table, the role that conducts it and its policies agree: checked once, at start."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga.table import IRREVERSIBLE, Saga, Undo
from ensemble.service.roles import RoleDescription, describe_role

DEADLINE: Final = "deadline"
"""The timer that a conductor keeps for `due_at` of its state."""
RETENTION: Final = "retention"
"""The timer that it keeps for `forget_at`."""


def check_saga(saga: Saga[Any, Any], role: type, policies: SagaPolicies) -> None:
    """Compare table, role and policies. Raises ConfigurationError with a line for each difference."""
    conductor = describe_role(role)
    problems = [
        *_problems_of_handlers(saga, conductor),
        *_problems_of_outputs(saga, conductor),
        *_problems_of_policies(saga, policies),
    ]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigurationError(f"saga {saga.name} cannot be conducted:\n{lines}")


def commands_heard_of(saga: Saga[Any, Any]) -> frozenset[type[Command]]:
    """Return the commands whose failure the saga notes: those of its steps and undos, if it has `exhausted_on`."""
    builders = saga.step_builders() if saga.exhausted_on is not None else ()
    return frozenset(command for build in builders if (command := _command_of(build)) is not None)


def _command_of(build: Callable[..., Any]) -> type[Command] | None:
    hints = typing.get_type_hints(build) if hasattr(build, "__annotations__") else {}
    command = hints.get("return")
    return command if isinstance(command, type) and issubclass(command, Command) else None


def _problems_of_handlers(saga: Saga[Any, Any], conductor: RoleDescription) -> Iterator[str]:
    name = conductor.name
    if conductor.saga is not saga:
        yield f"{name} does not conduct it; mark the class with @conducts"
    reacts_to, handles, when_due = (_subjects(conductor, verb) for verb in ("reacts_to", "handles", "when_due"))
    for event in _names(saga.events() - reacts_to):
        yield f"the table names {event}, but no method of {name} has @reacts_to({event})"
    for event in _names(reacts_to - saga.events()):
        yield f"{name} reacts to {event}, which the table does not name"
    for command in _names(saga.commands() - handles):
        yield f"no method of {name} has @handles({command})"
    for timer in sorted({DEADLINE, RETENTION} - when_due):
        yield f'no method of {name} has @when_due("{timer}")'


def _subjects(conductor: RoleDescription, verb: str) -> set[Any]:
    return {handler.subject for handler in conductor.handlers if handler.verb == verb}


def _problems_of_outputs(saga: Saga[Any, Any], conductor: RoleDescription) -> Iterator[str]:
    for build in saga.builders():
        name, command = getattr(build, "__name__", str(build)), _command_of(build)
        if command is None:
            yield f"{name} does not say which command it makes; give it a return type"
        elif command not in conductor.sends:
            yield f"{name} makes {command.__name__}, which the buses of {conductor.name} do not declare"


def _problems_of_policies(saga: Saga[Any, Any], policies: SagaPolicies) -> Iterator[str]:
    undos = {step.name for step in saga.steps if isinstance(step.undo, Undo)}
    yield from _differences("step", {step.name for step in saga.steps}, policies.steps)
    yield from _differences("undo of step", undos, policies.undos)
    for step in saga.steps[:-1]:
        if step.undo is IRREVERSIBLE and not step.acknowledged:
            yield f"step {step.name!r} is irreversible, but not the last; move it, or say why in its acknowledged="
    for step in saga.steps:
        policy = policies.steps.get(step.name)
        if policy is not None and policy.resends and step.again is None:
            yield f"step {step.name!r} has {policy.resends} resends but nothing to send; give it a nudge, or no resends"
    named_policies = (*policies.steps.items(), *policies.undos.items())
    pausing = [name for name, policy in named_policies if policy.on_exhaustion == "pause"]
    if pausing and saga.operated_by is None:
        names = ", ".join(pausing)
        yield f"{names} would pause on exhaustion, but no operator could resume it; give the saga operated_by"


def _differences(kind: str, names: set[str], policies: Mapping[str, StepPolicy]) -> Iterator[str]:
    for name in sorted(names - policies.keys()):
        yield f"{kind} {name!r} has no policy: how long to wait for it, and how often to ask again"
    for name in sorted(policies.keys() - names):
        yield f"there is a policy for {kind} {name!r}, but the table has none of that name"


def _names(kinds: Iterable[Any]) -> list[str]:
    return sorted(kind.__name__ for kind in kinds)
