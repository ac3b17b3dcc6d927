"""How a role declares what it handles and what it may emit or send. All of it is data: nothing runs or registers.

The decorators only mark methods; `describe_role` reads marks and type hints once, at start. A command has one owner,
which handles it; any service may react to an event.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeVar

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command, Event, Message, State
from ensemble.service import ports

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
R = TypeVar("R", None, Awaitable[None])
Role = TypeVar("Role", bound=type)

Verb = Literal["handles", "reacts_to", "when_due"]
_MARKS = "__ensemble_marks__"
_CONDUCTS = "__ensemble_conducts__"
_DECIDES = "__ensemble_decides__"


@dataclass(frozen=True)
class Mark:
    """One mark on a handler: its verb and its subject (a message type, or a timer's name)."""

    verb: Verb
    subject: type[Message] | str
    overtakes: tuple[type[Message], ...] = ()
    """Message types that an undo makes moot."""


@dataclass(frozen=True)
class RoleSpec:
    """A role and the adapters its composition root gives it."""

    role: type
    adapters: Mapping[str, object] = field(default_factory=dict)


def role(kind: type, **adapters: object) -> RoleSpec:
    """Give a role its adapters: `role(Charger, gateway=HttpPaymentGateway(url))` fills fields that are no ports.

    An adapter that is an async context manager is entered before the first record and left after the last; its
    `__aenter__` returns itself. Of any other the process awaits `close()`, if it has one. The last one given is closed
    first. One that cannot be opened ends the process, with exit code 2; one that cannot be closed is logged.
    """
    return RoleSpec(kind, adapters)


def _mark(verb: Verb, subject: type[Message] | str, overtakes: tuple[type[Message], ...] = ()) -> Callable[[Any], Any]:
    def add_mark(method: Any) -> Any:
        setattr(method, _MARKS, (*getattr(method, _MARKS, ()), Mark(verb, subject, overtakes)))
        return method

    return add_mark


def handles(
    command: type[C], *, overtakes: Collection[type[Message]] = ()
) -> Callable[[Callable[[Any, C], R]], Callable[[Any, C], R]]:
    """Mark the method that owns `command`; `async def` where it does real I/O. A second owner anywhere is refused.

    It is called once for each command, those of one key in order; what it raises decides what follows: RetryableError
    and unknown errors are tried again by the retry policy, TerminalError and RejectedInput are not.

    An undo `overtakes` the messages that it makes moot, events included: when only those are parked under its key, they
    are removed and the undo is handled at once. The state that the undo leaves must answer them should they still come.
    """
    return _mark("handles", command, tuple(overtakes))


@typing.overload
def reacts_to(event: type[E], /) -> Callable[[Callable[[Any, E], R]], Callable[[Any, E], R]]: ...
@typing.overload
def reacts_to(
    first: type[E], second: type[E2], /
) -> Callable[[Callable[[Any, E | E2], R]], Callable[[Any, E | E2], R]]: ...
@typing.overload
def reacts_to(
    first: type[E], second: type[E2], third: type[E3], /
) -> Callable[[Callable[[Any, E | E2 | E3], R]], Callable[[Any, E | E2 | E3], R]]: ...
@typing.overload
def reacts_to(
    first: type[E], second: type[E2], third: type[E3], fourth: type[E4], /
) -> Callable[[Callable[[Any, E | E2 | E3 | E4], R]], Callable[[Any, E | E2 | E3 | E4], R]]: ...
@typing.overload
def reacts_to(*events: type[Event]) -> Callable[[Callable[[Any, Any], R]], Callable[[Any, Any], R]]: ...
def reacts_to(*events: type[Event]) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """Mark a method that reacts to these events, one or more. Methods of any service may.

    `@reacts_to(OrderCompleted, OrderCancelled)` marks a method that takes either. Raises ConfigurationError without an
    event.
    """
    if not events:
        raise ConfigurationError("@reacts_to() names no event; name the types that the method reacts to")

    def mark(method: Any) -> Any:
        for event in events:
            method = _mark("reacts_to", event)(method)
        return method

    return mark


def when_due(timer: str) -> Callable[[Callable[[Any, ports.TimerDue], None]], Callable[[Any, ports.TimerDue], None]]:
    """Mark the method, a plain `def`, that is called with a `TimerDue` when a timer of that name falls due.

    Raises ConfigurationError for a name that is empty or has a slash, which parts key and name where timers are kept. A
    role that is declared with an async method raises it too.
    """
    if not timer or "/" in timer:
        raise ConfigurationError(f"@when_due({timer!r}): the name of a timer is not empty, and has no slash in it")
    return _mark("when_due", timer)


def conducts(saga: object) -> Callable[[Role], Role]:
    """Mark a role that decides for others by a saga's table: its edges are orchestrated.

    Raises ConfigurationError for a text.
    """
    if isinstance(saga, str):
        raise ConfigurationError(f"@conducts takes a Saga; for rules of the role's own use @decides({saga!r})")
    return _mark_role(_CONDUCTS, saga)


def decides(what: str) -> Callable[[Role], Role]:
    """Mark a role that decides for others by rules of its own: its edges are orchestrated.

    `what` tells the rules in a few words, for the picture: "charges only what is due".
    """
    return _mark_role(_DECIDES, what)


def _mark_role(name: str, value: object) -> Callable[[Role], Role]:
    def mark_role(role: Role) -> Role:
        setattr(role, name, value)
        return role

    return mark_role


def conducted_by(role: type) -> object | None:
    """Return the saga that `@conducts` names for this role, or None without it."""
    return getattr(role, _CONDUCTS, None)


@dataclass(frozen=True)
class Handler:
    """One marked method of a role."""

    role: type
    method: str
    verb: Verb
    subject: type[Message] | str
    is_async: bool
    overtakes: tuple[type[Message], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.role.__name__}.{self.method}"


@dataclass(frozen=True)
class RoleDescription:
    """A role's declarations: handlers, outputs, ports, and the adapters that its composition root has to give it."""

    role: type
    handlers: tuple[Handler, ...]
    emits: frozenset[type[Event]]
    sends: frozenset[type[Command]]
    ports: Mapping[str, Any]
    """Field name -> its type hint, for the fields that the runtime fills."""
    adapters: frozenset[str]
    """Names of the fields that the composition root fills."""
    saga: object | None
    """The saga that the role conducts."""
    decides: str
    """What the role decides for others by rules of its own; empty if nothing."""

    @property
    def name(self) -> str:
        return self.role.__name__

    @property
    def conducts(self) -> bool:
        """Whether the role decides for others, by a saga's table or by rules of its own."""
        return self.saga is not None or self.decides != ""


RUNTIME_PORTS: frozenset[Any] = frozenset(
    {
        ports.EventBus,
        ports.CommandBus,
        ports.StateStore,
        ports.EventSourced,
        ports.EventLog,
        ports.Timers,
        ports.Clock,
        ports.CurrentRecord,
        ports.Pauses,
    }
)


def port_of(hint: Any) -> Any:
    """Return the port class of a hint (`EventBus` for `EventBus[A | B]`), or None for an adapter."""
    origin = typing.get_origin(hint) or hint
    return origin if origin in RUNTIME_PORTS else None


def type_arguments(hint: Any) -> tuple[type, ...]:
    """Return the types in a hint's brackets: `EventBus[A | B]` -> (A, B)."""
    (inner,) = typing.get_args(hint) or ((),)
    return () if inner == () else union_members(inner)


def union_members(hint: Any) -> tuple[type, ...]:
    """Return the types of a union: `A | B` -> (A, B), and A alone -> (A,)."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def describe_role(role: type) -> RoleDescription:
    """Read a role's marks and hints. Raises ConfigurationError, which names the role and field that are wrong."""
    if not is_dataclass(role):
        raise ConfigurationError(f"role {role.__name__} must be a dataclass whose fields are its ports")
    hints = typing.get_type_hints(role)
    port_hints = {entry.name: hints[entry.name] for entry in fields(role) if port_of(hints[entry.name])}
    return RoleDescription(
        role=role,
        handlers=_handlers_of(role),
        emits=frozenset(_outputs(role, port_hints, ports.EventBus, Event)),
        sends=frozenset(_outputs(role, port_hints, ports.CommandBus, Command)),
        ports=port_hints,
        adapters=frozenset(entry.name for entry in fields(role)) - port_hints.keys(),
        saga=conducted_by(role),
        decides=getattr(role, _DECIDES, ""),
    )


def _handlers_of(role: type) -> tuple[Handler, ...]:
    handlers = tuple(
        Handler(role, name, mark.verb, mark.subject, inspect.iscoroutinefunction(method), mark.overtakes)
        for name, method in inspect.getmembers(role, callable)
        for mark in getattr(method, _MARKS, ())
    )
    for handler in handlers:
        if handler.verb == "when_due" and handler.is_async:
            raise ConfigurationError(
                f"{handler.name} is async; what a timer calls is a plain def: let it send a command"
            )
    return handlers


def _outputs(role: type, port_hints: Mapping[str, Any], bus: Any, kind: type) -> list[Any]:
    outputs: list[Any] = []
    for name, hint in port_hints.items():
        if port_of(hint) is bus:
            outputs += _check_outputs(role, name, type_arguments(hint), kind)
    return outputs


def _check_outputs(role: type, name: str, outputs: tuple[type, ...], kind: type) -> tuple[type, ...]:
    wrong = [item.__name__ for item in outputs if not issubclass(item, kind)]
    if wrong or len(outputs) == 0:
        what = f"declares {', '.join(wrong)}" if wrong else "declares nothing"
        raise ConfigurationError(
            f"{role.__name__}.{name} {what}; name the {kind.__name__} types it may put out in brackets"
        )
    return outputs


def state_of(hint: Any) -> type[State]:
    """Return the state type of a `StateStore[...]` hint."""
    (state,) = type_arguments(hint)
    return typing.cast("type[State]", state)


def subscribe_event(event: type[E], handler: Callable[[E], None]) -> type:
    """Make a role of one function that needs no ports: the functional form of `@reacts_to`.

    `Service(..., roles=[subscribe_event(OrderPlaced, print)])`
    """

    def react(_: Any, event: E) -> None:
        handler(event)

    name = getattr(handler, "__name__", "reaction")
    role = type(name, (), {"react": reacts_to(event)(react), "__annotations__": {}})
    return dataclass(frozen=True)(role)
