"""Message classes: commands, events, states. The class is the source: its Avro schema is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, singledispatchmethod
from typing import Any, ClassVar, Final, Self, Unpack

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PydanticUserError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import CoreSchema

from ensemble.errors import ConfigurationError
from ensemble.messages.avro_types import Docs, FieldOrder, Schema, avro_schema
from ensemble.messages.default_schemas import default_schemas
from ensemble.messages.frozen_maps import freeze_maps
from ensemble.messages.record_rules import RECORD_CONFIG, config_fault, untaken_field
from ensemble.messages.schema_set import Declaration, SchemaSet

__all__ = ["Command", "Event", "Message", "MessageConfig", "NestedRecord", "State", "schema_name", "schema_of"]

_set: Final = object.__setattr__
_FORMER_ATTRIBUTES: Final = {"__schemas__": "schemas", "__parking_key__": "parking_key"}


class NestedRecord(BaseModel):
    """A nested record of a message: immutable, with exactly the declared fields."""

    model_config = RECORD_CONFIG

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /) -> CoreSchema:
        """Return pydantic's schema, by which maps become ones that cannot be changed.

        Raises ConfigurationError that names class and field if pydantic does not take one.
        """
        try:
            schema = handler(source)
        except PydanticUserError as error:
            raise ConfigurationError(
                f"{source.__module__}.{source.__qualname__}: {untaken_field(source, error)}"
            ) from error
        freeze_maps(handler.resolve_ref_schema(schema))
        return schema

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
    """The set that the class names; None: that of its package, once Avro is asked for."""
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
    `class StampCard(Command, schemas=SCHEMAS, parking_key="card")`. `schemas`: the set that its schema belongs to, by
    default that of its top-level package (`ensemble.messages.default_schemas`).
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
        if not isinstance(schemas, SchemaSet | None):
            raise ConfigurationError(f"{cls.__name__}: schemas={schemas!r} is no ensemble.SchemaSet")
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
        if len(kinds := [kind.__name__ for kind in _FOLDERS if issubclass(cls, kind)]) > 1:
            raise ConfigurationError(f"{cls.__name__} is {' and '.join(kinds)} at once; inherit from one of them")
        if parking_key and parking_key not in cls.model_fields:
            raise ConfigurationError(
                f"{cls.__name__}: parking_key={parking_key!r} is none of its fields: {', '.join(cls.model_fields)}"
            )
        if (schemas := cls.message_config.schemas) is not None and issubclass(cls, Command | Event | State):
            _declare(cls, schemas)


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


def _declare(message_type: type[Message], schemas: SchemaSet) -> None:
    """Add a class to a set. One whose annotations name a class that comes later is checked at its first use."""

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
    schemas.declare(message_type.__name__, declaration)


def schemas_of(message_type: type[Message]) -> SchemaSet:
    """Return the set that the schema of a message class belongs to: the one that it names, or that of its package.

    Raises ConfigurationError if Avro cannot express the class.
    """
    return message_type.message_config.schemas or _default_schemas_of(message_type)


@cache
def _default_schemas_of(message_type: type[Message]) -> SchemaSet:
    """Return the set of the class's package, and declare the class there: when Avro is first asked of it.

    What only travels as JSON is never declared, and may hold what Avro cannot express.
    """
    name, schemas = message_type.__name__, default_schemas(message_type.__module__)
    if schemas is None:
        raise ConfigurationError(f"{name} belongs to no schemas; write class {name}(..., schemas=SCHEMAS)")
    if message_type.model_fields:
        _declare(message_type, schemas)
    return schemas


def schema_sets(avro: Iterable[type[Message]], json: Iterable[type[Message]] = ()) -> tuple[SchemaSet, ...]:
    """Return the sets of classes that are written as Avro, and those that classes written as JSON name, each once.

    Beside a class of Avro that names no set, the states of its package that name none are declared, as far as they were
    imported by now: no topic carries them.
    Raises ConfigurationError if Avro cannot express a class.
    """
    avro = list(avro)
    packages = {id(default_schemas(each.__module__)) for each in avro if not each.message_config.schemas}
    unnamed = (state for state in _states_below(State) if state.message_config.schemas is None)
    states = [state for state in unnamed if id(default_schemas(state.__module__)) in packages]
    sets = [*map(schemas_of, (*avro, *states)), *(each.message_config.schemas for each in json)]
    return tuple({id(each): each for each in sets if each is not None}.values())


def _states_below(base: type[State]) -> Iterator[type[State]]:
    for state in base.__subclasses__():
        yield state
        yield from _states_below(state)


def schema_of(message_type: type[Message]) -> Schema:
    """Return the Avro schema of a message class, without documentation."""
    schema = schemas_of(message_type).schema(name := schema_name(message_type))
    if schema is None:
        raise ConfigurationError(f"{name} has no fields, and so no schema")
    return schema


def json_type_name(message_type: type[Message]) -> str:
    """Return the `ce_type` of a record of JSON: the class's own name, the full Avro name if it names `schemas=`."""
    return message_type.__name__ if message_type.message_config.schemas is None else schema_name(message_type)


def schema_name(message_type: type[Message]) -> str:
    """Return the full Avro name, such as `ensemble.events.OrderPlaced`, which is the `ce_type` of a record of Avro."""
    return schemas_of(message_type).full_name(_folder_of(message_type), message_type.__name__)


def _folder_of(message_type: type[Message]) -> str:
    for kind, folder in _FOLDERS.items():
        if issubclass(message_type, kind):
            return folder
    raise ConfigurationError(f"{message_type.__name__} is no message; inherit from Command, Event or State")
