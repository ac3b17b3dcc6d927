"""Checks the aggregates that a service declares: an aggregate that is a state folds each event of its ledger."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatchmethod
from typing import Any

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Event, State
from ensemble.service.roles import union_members
from ensemble.service.stores import SEQUENCE, EventSourcedSpec


def check_aggregate(spec: EventSourcedSpec) -> None:
    """Raise ConfigurationError, which names class and event, if the aggregate cannot fold its ledger."""
    # the first one alone: what is looked at behind it may make no sense any more
    problem = next(_problems_of_state(spec) if spec.is_one_state else _problems_of_entries(spec), None)
    if problem:
        raise ConfigurationError(f"aggregate {spec.subject.__name__}: {problem}")


def _problems_of_entries(spec: EventSourcedSpec) -> Iterator[str]:
    if not callable(getattr(spec.subject, "evolve", None)):
        yield "it has no method evolve(fact), which returns the entries that a fact changes"
    entries: Mapping[str, type] = spec.entries  # whatever the author has written
    for name, state in entries.items():
        if not issubclass(state, State):
            yield f"entry {name!r} is no State; only a State can be part of a snapshot"


def _problems_of_state(spec: EventSourcedSpec) -> Iterator[str]:
    aggregate: type = spec.subject
    if not issubclass(aggregate, State):
        yield "it is no State, so no snapshot can hold it; derive it from State, or declare entries=..."
        return
    if missing := [name for name, entry in aggregate.model_fields.items() if entry.is_required()]:
        yield f"field {missing[0]} has no default; before the first event all fields have their defaults"
    for fact in spec.ledger.messages:
        if (field := fact.model_fields.get(SEQUENCE)) is not None and field.annotation is not int:
            yield f"{fact.__name__}.{SEQUENCE} is no int, but the runtime writes the event's number there"
    yield from _problems_of_apply(aggregate, spec)


def _problems_of_apply(aggregate: type[State], spec: EventSourcedSpec) -> Iterator[str]:
    methods = _apply_methods(aggregate)
    if not methods:
        yield "it has no method apply(self, event), which returns the aggregate after an event of its ledger"
    taken: list[type] = []
    for method in methods:
        hints = _hints(aggregate, method)
        events = _events_of(method, hints)
        if not events:
            yield f"apply has to be apply(self, event: A | B), where A and B are events of {spec.ledger.name}"
        if hints.get("return", aggregate) not in {aggregate, typing.Self}:
            yield f"apply has to return {aggregate.__name__}, the aggregate after the event"
        taken += events
    yield from _gaps(spec, taken)


def _gaps(spec: EventSourcedSpec, taken: list[type]) -> Iterator[str]:
    """Yield what the ledger carries and `apply` does not take, and the other way round."""
    ledger = spec.ledger
    for fact in ledger.messages:
        if not issubclass(fact, tuple(taken)):
            yield f"apply does not take {fact.__name__}, which {ledger.name} carries; let it take all of its ledger"
    for event in taken:
        if not any(issubclass(fact, event) for fact in ledger.messages):
            yield f"apply takes {event.__name__}, which {ledger.name} does not carry; add it to the topic's messages"


def _apply_methods(aggregate: type[State]) -> list[Any]:
    """Return `apply`, or each of its methods if it is a `singledispatchmethod`."""
    method = inspect.getattr_static(aggregate, "apply", None)
    if isinstance(method, singledispatchmethod):
        return [one for kind, one in method.dispatcher.registry.items() if kind is not object]
    return [method] if inspect.isfunction(method) else []


def _events_of(method: Any, hints: Mapping[str, Any]) -> Sequence[type[Event]]:
    """Return the events that one method takes, or nothing for another signature."""
    _, *parameters = inspect.signature(method).parameters
    events: Sequence[Any] = union_members(hints.get(parameters[0])) if len(parameters) == 1 else ()
    return events if all(inspect.isclass(event) and issubclass(event, Event) for event in events) else ()


def _hints(aggregate: type[State], method: Any) -> dict[str, Any]:
    """Return the type hints of `apply`. Raises ConfigurationError for one that names nothing."""
    try:
        return typing.get_type_hints(method, localns={aggregate.__name__: aggregate})
    except NameError as error:
        raise ConfigurationError(
            f"aggregate {aggregate.__name__}: the type hints of apply cannot be read: {error}"
        ) from None
