"""Operators' commands to services, partition by partition, and what these answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ensemble.messages import PREFIX_LENGTH, SchemaSourceSelector, decoders_for, encoder_for, schemas_of
from ensemble.operations.outgoing import headers_of
from ensemble.operations.service_topics import CONTROL, OPERATIONS, topics
from ensemble.operations.session import Session
from ensemble.system_messages import EVENTS, Operation, OperationDone

if TYPE_CHECKING:
    from ensemble.messages.message import Event
    from ensemble.state import Output

Ask = tuple[str, int, str]
"""Service, partition and operation id: one answer is due for each."""


def record_of(session: Session, place: tuple[str, int], operation: Operation, key: bytes, *, via: str) -> Output:
    """Return the command as a record of the control topic of a service, for one of its partitions."""
    service, partition = place
    topic = service + CONTROL
    kind = type(operation)
    value = encoder_for(kind, session.sources.source_for(topic, schemas_of(kind)))(operation)
    return topic, value, key, headers_of(operation, operation.operation_id, via), partition


@dataclass
class Answers:
    """The answers that came so far. Pure: records are given to it."""

    sources: SchemaSourceSelector
    done: dict[Ask, OperationDone] = field(default_factory=dict)
    answered_at: dict[Ask, int] = field(default_factory=dict)
    """When the first answer to each was written, epoch milliseconds."""

    def __post_init__(self) -> None:
        """Find the decoders of what services answer."""
        self._readers = _readers(self.sources)

    def take(self, records: Iterable[Any]) -> None:
        """Collect the answers among records of `<service>.operations`."""
        for record in records:
            read = self._readers.get((record.value or b"")[:PREFIX_LENGTH])
            answer = read(record.value) if read else None
            if isinstance(answer, OperationDone):
                ask = answer.service, answer.partition, answer.operation_id
                self.done[ask] = answer
                self.answered_at.setdefault(ask, record.timestamp)


class AnswerListener(Answers):
    """The same from a cluster: begin it before anything is asked. Use it in a `with`."""

    def __init__(self, session: Session, services: Iterable[str]) -> None:
        super().__init__(session.sources)
        self._tail = session.client.follow(session.client.places(topics(session, services, OPERATIONS)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tail.close()

    def listen(self) -> None:
        """Read the answers that have arrived."""
        self.take(self._tail.read_to_end())


def _readers(sources: SchemaSourceSelector) -> dict[bytes, Callable[[bytes], Event]]:
    return {prefix: read for event in EVENTS for prefix, read in _of(event, sources).items()}


def _of(event: type[Event], sources: SchemaSourceSelector) -> dict[bytes, Callable[[bytes], Event]]:
    """Return the decoders of an event by schema id: those of the files, and those of a configured registry."""
    return {**decoders_for(event), **decoders_for(event, sources.source_for(OPERATIONS, schemas_of(event)))}
