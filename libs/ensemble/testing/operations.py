"""Operators' commands as records: what the drivers' `pause`, `redrive` and the like deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from ensemble.errors import ConfigurationError
from ensemble.messages.codec import encoder_for
from ensemble.messages.message import Command, Message
from ensemble.messages.records import ConsumedRecord
from ensemble.saga.table import Saga
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.codecs import codec_of
from ensemble.service.ports import Clock
from ensemble.service.service import Service
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.dead_letters import DeadLetter, OperatorRequest, discard, redrive
from ensemble.system_messages.operations import Operation, PauseWork, RecordOperation, ResumeWork, Scope


class OperatorDouble:
    """Writes the commands of an operator called `test`."""

    def __init__(self, clock: Clock, next_id: Callable[[], str]) -> None:
        self._clock, self._next_id = clock, next_id

    def redrive(self, letter: ConsumedRecord, catalogue: Catalogue, edited: Message | None = None) -> RecordOperation:
        """Return a redrive of a dead letter, with another message of the catalogue if one is given."""
        dead_letter = DeadLetter.of(letter)
        value = None if edited is None else _encode(catalogue.topic(dead_letter.origin[0]), edited)
        return redrive(dead_letter, OperatorRequest(**self._request("redriven by a test")), value)

    def discard(self, letter: ConsumedRecord) -> RecordOperation:
        """Return a discard of a dead letter."""
        return discard(DeadLetter.of(letter), OperatorRequest(**self._request("discarded by a test")))

    def pause(self, scope: Scope, name: str, reason: str) -> PauseWork:
        """Return a pause of a service, a saga's step or a command type."""
        return PauseWork(scope=scope, name=name, **self._request(reason))

    def resume(self, scope: Scope, name: str) -> ResumeWork:
        """Return the end of that pause."""
        return ResumeWork(scope=scope, name=name, **self._request("resumed by a test"))

    def _request(self, reason: str) -> dict[str, Any]:
        return {"operation_id": self._next_id(), "requested_by": "test", "reason": reason, "at": self._clock.now()}


def check_scope(services: Iterable[Service], scope: Scope, name: str) -> None:
    """Raise ConfigurationError unless a catalogue or a saga of the services has what is to be paused."""
    services = tuple(services)
    names = sorted(set(_NAMES[scope](services)))
    if name not in names:
        raise ConfigurationError(f"no {scope} {name!r} in what is under test; it has {', '.join(names) or 'none'}")


def _service_names(services: Sequence[Service]) -> Iterator[str]:
    for service in services:
        yield service.name
        yield from (topic.owner for topic in service.catalogue.topics)


def _step_names(services: Sequence[Service]) -> Iterator[str]:
    for description in (description for service in services for description in service.descriptions):
        if isinstance(description.saga, Saga):
            yield from (step.name for step in description.saga.steps)


def _command_names(services: Sequence[Service]) -> Iterator[str]:
    for service in services:
        yield from (kind.__name__ for kind in service.catalogue.message_types() if issubclass(kind, Command))


_NAMES: Final = {"service": _service_names, "step": _step_names, "command": _command_names}


def _encode(topic: Topic, message: Message) -> bytes:
    value: bytes = codec_of(topic).encoder_for(type(message))(message)
    return value


def control_outputs(service: Service, operation: Operation) -> list[Output]:
    """Return the operation as records of the service's control topic, one for each partition that it is for."""
    value = encoder_for(type(operation))(operation)
    only = operation.partition if isinstance(operation, RecordOperation) else None
    partitions = range(service.partitions) if only is None else [only]
    return [(service.control.name, value, b"operator", [], partition) for partition in partitions]
