"""Message classes: commands, events, states. The class is the source: its Avro schema is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any, ClassVar, Final, Self, Unpack

from pydantic import BaseModel, ConfigDict
from pydantic.errors import PydanticUndefinedAnnotation

from ensemble.errors import ConfigurationError
from ensemble.messages.avro_types import Docs, FieldOrder, Schema, avro_schema
from ensemble.messages.record_rules import RECORD_CONFIG, config_fault
from ensemble.messages.schema_set import Declaration, SchemaSet

__all__ = ["Command", "Event", "Message", "MessageConfig", "NestedRecord", "State", "schema_name", "schema_of"]

_set: Final = object.__setattr__
_FORMER_ATTRIBUTES: Final = {"__schemas__": "schemas", "__parking_key__": "parking_key"}


class NestedRecord(BaseModel):
    """A nested record of a message: immutable, with exactly the declared fields."""

    model_config = RECORD_CONFIG

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the values of `update`, which are checked as those of a new instance are.

        Raises ValidationError for a value that the field does not take, and for a name that is no field.
        """
        if deep or not update or self.__pydantic_private__ is not None:
            copy = super().model_copy(update=update, deep=deep)
            copy.model_validate(vars(copy))
            return copy
        checked = self.model_validate({**self.__dict__, **update})
        _set(checked, "__pydantic_fields_set__", self.__pydantic_fields_set__.union(update))
        return checked


@dataclass(frozen=True)
class MessageConfig:
    """What the keywords of a message's class statement say, those of its bases included."""

    schemas: SchemaSet | None = None
    parking_key: str = ""
    """The field by whose value records are parked together when one of them fails; without it, the record key."""


def _refuse_former_spelling(message_type: type[BaseModel]) -> None:
    for attribute, keyword in _FORMER_ATTRIBUTES.items():
        if attribute in vars(message_type):
            name = message_type.__name__
            raise ConfigurationError(
                f"{name}: {attribute} is not read any more; write class {name}(..., {keyword}=...) instead"
            )
    if "__folder__" in vars(message_type):
        raise ConfigurationError(
            f"{message_type.__name__}: __folder__ is not read any more; inherit from Command, Event or State instead"
        )


def _refuse_unknown(message_type: type[BaseModel], keywords: Mapping[str, Any]) -> None:
    """Refuse what pydantic takes no notice of; its own keywords do not come here."""
    if "topic" in keywords:
        raise ConfigurationError(
            f"{message_type.__name__}: topic= is no keyword of a message; "
            "list the class in the messages of a Topic of the catalogue"
        )
    if keywords:
        raise ConfigurationError(
            f"{message_type.__name__}: {', '.join(keywords)}: no keyword of a message; "
            "these are: schemas, parking_key, and those of pydantic's ConfigDict"
        )


class Message(NestedRecord):
    """Something that is written to Kafka. Its Avro schema is made from its fields (`ensemble.messages.avro_types`).

    Keywords of the class statement configure a class and all that inherit from it:
    `class StampCard(Command, schemas=SCHEMAS, parking_key="card")`. `schemas`: the set that its schema belongs to.
    `parking_key`: the field by whose value records wait together behind a failed one, where that is not the record key;
    a class that inherits it and has no such field waits by its record key. Others are those of pydantic's models.

    Raises ConfigurationError that names the class, and the keyword that is wrong, a setting that would lose
    what was written, or the field that Avro cannot express.
    """

    message_config: ClassVar[MessageConfig] = MessageConfig()
    """What the keywords say; read it, never set it."""

    def __init_subclass__(
        cls, *, schemas: SchemaSet | None = None, parking_key: str | None = None, **others: Unpack[ConfigDict]
    ) -> None:
        _refuse_former_spelling(cls)
        _refuse_unknown(cls, others)
        super().__init_subclass__()
        inherited = cls.message_config
        cls.message_config = MessageConfig(
            inherited.schemas if schemas is None else schemas,
            inherited.parking_key if parking_key is None else parking_key,
        )

    @classmethod
    def __pydantic_init_subclass__(cls, *, parking_key: str | None = None, **_: Any) -> None:
        """Declare the class in its set; refuse a parking key that is no field, and fields that Avro cannot express."""
        if fault := config_fault(cls):
            raise ConfigurationError(fault)
        if not cls.model_fields:
            return
        if parking_key and parking_key not in cls.model_fields:
            raise ConfigurationError(
                f"{cls.__name__}: parking_key={parking_key!r} is none of its fields: {', '.join(cls.model_fields)}"
            )
        if cls.message_config.schemas is not None and issubclass(cls, Command | Event | State):
            _declare(cls)


class Command(Message):
    """An order to the one service that owns its type; named in the imperative. Immutable, validated when it is made."""


class Event(Message):
    """A fact that any service may react to; named in the past. Immutable, validated when it is made."""


class State(Message):
    """A service's state under one key, as its changelog holds it. Immutable: a handler sets the next one.

    A new field needs a default, so that a release can be rolled back.
    """

    model_config = ConfigDict(ignored_types=(singledispatchmethod,))  # an aggregate's `apply` may be one


_FOLDERS: Final[dict[type[Message], str]] = {Command: "commands", Event: "events", State: "state"}


def _declare(message_type: type[Message]) -> None:
    """Add a class to its set. One whose annotations name a class that comes later is checked at its first use."""

    def make(docs: Docs | None, order: FieldOrder) -> Schema:
        try:
            message_type.model_rebuild()
        except PydanticUndefinedAnnotation as error:
            raise ConfigurationError(
                f"{message_type.__module__}.{message_type.__qualname__}: no class {error.name}, which a field names"
            ) from None
        return avro_schema(message_type, docs, order)

    is_complete = bool(message_type.__pydantic_complete__)
    declaration = Declaration(_folder_of(message_type), make, is_complete=is_complete)
    schemas_of(message_type).declare(message_type.__name__, declaration)


def schemas_of(message_type: type[Message]) -> SchemaSet:
    """Return the set that the schema of a message class belongs to. Raises ConfigurationError if it belongs to none."""
    schemas = message_type.message_config.schemas
    if schemas is None:
        name = message_type.__name__
        raise ConfigurationError(f"{name} belongs to no schemas; write class {name}(..., schemas=SCHEMAS)")
    return schemas


def schema_of(message_type: type[Message]) -> Schema:
    """Return the Avro schema of a message class, without documentation."""
    schema = schemas_of(message_type).schema(name := schema_name(message_type))
    if schema is None:
        raise ConfigurationError(f"{name} has no fields, and so no schema")
    return schema


def type_name(message_type: type[Message]) -> str:
    """Return the record's `ce_type`: the full Avro name; of a class that belongs to no schemas, its own name."""
    return message_type.__name__ if message_type.message_config.schemas is None else schema_name(message_type)


def schema_name(message_type: type[Message]) -> str:
    """Return the full Avro name, such as `ensemble.events.OrderPlaced`, which is also the record's `ce_type`."""
    return schemas_of(message_type).full_name(_folder_of(message_type), message_type.__name__)


def _folder_of(message_type: type[Message]) -> str:
    return next(folder for kind, folder in _FOLDERS.items() if issubclass(message_type, kind))
