"""Where records and timers go inside a service, and how its messages are written: values found once, at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ensemble.messages.codec import Decoder
from ensemble.messages.message import Command, Message, schema_name
from ensemble.messages.topic_codec import Codec
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import ServicePolicies
from ensemble.service.catalogue import Topic
from ensemble.service.roles import Handler
from ensemble.state.deduplication import WindowLimits


@dataclass(frozen=True)
class Limits:
    """What a service may take before it gives up or forgets."""

    policies: ServicePolicies = field(default_factory=ServicePolicies)
    window: WindowLimits = field(default_factory=WindowLimits)


@dataclass(frozen=True)
class FailureRule:
    """How failures of one kind of input are handled."""

    name: str
    """The message's type, or the timer's name."""
    handler: str
    policy: RetryPolicy


@dataclass(frozen=True, eq=False)
class Route:
    """The handlers of one readable message type of a topic, and how its records are read and parked."""

    topic: Topic
    message: type[Message]
    read: Decoder[Message]
    handlers: tuple[Handler, ...]
    seeds: tuple[str, ...]
    is_async: bool
    rule: FailureRule
    parking_key: Callable[[Any], str] | None
    """The key that its records are parked under; None: the record's own."""
    overtakes: frozenset[str]
    """Types of parked messages of its key that it makes moot."""

    @property
    def collapses(self) -> bool:
        """Whether a later one of its key says the same again, as a new attempt."""
        return issubclass(self.message, Command) and "attempt" in self.message.model_fields

    @cached_property
    def foreign_claims(self) -> frozenset[bytes]:
        """What the header `ce_type` says of the other messages of the topic."""
        return _claims(self.topic, (each for each in self.topic.messages if each is not self.message))


@dataclass(frozen=True, eq=False)
class TimerRoute:
    """The handlers of one timer."""

    name: str
    handlers: tuple[Handler, ...]
    seeds: tuple[str, ...]
    rule: FailureRule


@dataclass(frozen=True)
class Input:
    """One consumed topic: its routes by the label that tells the type of a record."""

    topic: Topic
    codec: Codec
    routes: Mapping[bytes, Route]
    unhandled: frozenset[bytes]
    """Labels of messages that travel here but that this service does not take."""
    is_control: bool = False
    """Whether it carries operators' commands, which the runtime itself carries out."""

    @cached_property
    def handled_claims(self) -> frozenset[bytes]:
        """What the header `ce_type` says of the messages that the service takes."""
        return _claims(self.topic, (route.message for route in self.routes.values()))


def _claims(topic: Topic, messages: Iterable[type[Message]]) -> frozenset[bytes]:
    """Return what `ce_type` says of each message, where a schema id tells the type beside it."""
    return frozenset(schema_name(each).encode() for each in messages if topic.format == "avro")


def source_of(service: str) -> bytes:
    """Return the `ce_source` of everything that a service writes."""
    return f"/services/{service}".encode()
