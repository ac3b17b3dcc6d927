"""A ready-made conductor, for sagas that need nothing but their table."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, Union, cast

from ensemble.messages.message import Message, State
from ensemble.policies.saga import SagaPolicies
from ensemble.saga.check import TIMERS, check_saga
from ensemble.saga.engine import Deadline, Decision, advance
from ensemble.saga.table import Saga
from ensemble.service import ports
from ensemble.service.roles import RoleSpec, conducts, handles, reacts_to, when_due

S = TypeVar("S", bound=State)
DEADLINE, RETENTION = TIMERS


def conductor(saga: Saga[S, Any], state: type[S], key: str, policies: SagaPolicies) -> RoleSpec:
    """A role that plays `saga` and does nothing else; ConfigurationError when table and policies disagree.

    `key` is the field that names the saga in `state` and in every message. The service declares
    `state_store(state)`. Write the class by hand where a message needs more than `advance`.
    """
    name = "".join(word.capitalize() for word in saga.name.split("-")) + "Conductor"
    body = {"__annotations__": _ports(saga, state), **_methods(saga, state, key)}
    role: type = conducts(saga)(dataclass(frozen=True)(type(name, (), body)))
    check_saga(saga, role, policies)
    return RoleSpec(role, {"policies": policies})


def _ports(saga: Saga[S, Any], state: type[S]) -> dict[str, Any]:
    commands = tuple(typing.get_type_hints(build)["return"] for build in saga.builders())
    return {
        "states": ports.StateStore[state],  # type: ignore[valid-type]  # known at run time only
        "commands": ports.CommandBus[Union[commands]],  # type: ignore[valid-type]  # noqa: UP007  as above
        "timers": ports.Timers,
        "clock": ports.Clock,
        "pauses": ports.Pauses,
        "policies": SagaPolicies,
    }


def _methods(saga: Saga[S, Any], state: type[S], key: str) -> dict[str, Callable[..., None]]:
    def take(role: Any, owner: str, trigger: Message | Deadline) -> None:
        before = role.states.get(owner) or state(**{key: owner})
        given = {"now": role.clock.now(), "policies": role.policies, "pauses": role.pauses}
        decision = advance(saga, cast("Any", before), trigger, **given)
        _keep(role, owner, decision)
        for timer, field in ((DEADLINE, "due_at"), (RETENTION, "forget_at")):
            _set_timer(role.timers, (owner, timer), getattr(before, field), getattr(decision.state, field))

    def on_event(role: Any, event: Message) -> None:
        take(role, getattr(event, key), event)

    def on_command(role: Any, command: Message) -> None:
        take(role, getattr(command, key), command)

    def on_deadline(role: Any, timer: ports.TimerDue) -> None:
        take(role, timer.key, Deadline(timer.due_at))

    def on_retention(role: Any, timer: ports.TimerDue) -> None:
        role.states.delete(timer.key)

    _mark(saga, on_event, on_command)
    return {
        "on_event": on_event,
        "on_command": on_command,
        "on_deadline": when_due(DEADLINE)(on_deadline),
        "on_retention": when_due(RETENTION)(on_retention),
    }


def _mark(saga: Saga[S, Any], on_event: Callable[..., None], on_command: Callable[..., None]) -> None:
    for event in saga.events():
        reacts_to(event)(on_event)
    for command in saga.commands():
        handles(command)(on_command)


def _keep(role: Any, owner: str, decision: Decision[Any, Any]) -> None:
    role.states.set(owner, decision.state)
    for command in decision.commands:
        role.commands.send(command)


def _set_timer(timers: ports.Timers, timer: tuple[str, str], before: int | None, after: int | None) -> None:
    if after is None:
        timers.cancel(*timer)
    elif after != before:
        timers.schedule(*timer, due_at=after)
