"""Message classes: commands, events, states. Each is checked against its .avsc when the class is created."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ensemble.messages.conformance import require_conformance
from ensemble.messages.schema_set import SchemaSet, full_name

__all__ = ["Command", "Event", "Message", "NestedRecord", "State", "schema_name"]


class NestedRecord(BaseModel):
    """A nested record of a message: immutable, with exactly the declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(NestedRecord):
    """Something that is written to Kafka. A subclass with fields and schemas mirrors `<folder>/<ClassName>.avsc`."""

    __schemas__: ClassVar[SchemaSet]
    __folder__: ClassVar[str]
    __parking_key__: ClassVar[str] = ""
    """The field by whose value records are parked together when one of them fails; without it, the record key."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a class that differs from its schema."""
        if cls.model_fields and hasattr(cls, "__schemas__") and hasattr(cls, "__folder__"):
            require_conformance(cls, cls.__schemas__.schema_of(cls))


class Command(Message):
    """An order to the one service that owns its type."""

    __folder__: ClassVar[str] = "commands"


class Event(Message):
    """A fact that any service may react to."""

    __folder__: ClassVar[str] = "events"


class State(Message):
    """A service's state under one key, as its changelog holds it."""

    __folder__: ClassVar[str] = "state"


def schema_name(message_type: type[Message]) -> str:
    """Return the full Avro name, such as `ensemble.events.OrderPlaced`, which is also the record's `ce_type`."""
    return full_name(message_type.__schemas__.schema_of(message_type))
