"""What every format asks of the classes of messages, so that what was written is read as it was."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Json, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ensemble.messages.diagnosis import invalid_fields

RECORD_CONFIG: Final = ConfigDict(
    frozen=True,
    extra="forbid",
    revalidate_instances="subclass-instances",  # the fields that a subclass adds would be lost in silence
    ser_json_inf_nan="constants",  # NaN must not become null in silence: the encoder of JSON refuses it
)
"""How pydantic treats messages and the records in them."""
_JSON: Final[Any] = Json


def config_fault(model: type[BaseModel]) -> str:
    """Return what is wrong with the settings of a class, or "" if its instances are read as they were written."""
    config: dict[str, Any] = {**model.model_config}
    if config.get("extra") == "allow":
        return f"{model.__name__} has extra='allow', and fields that it does not declare are not written; declare them"
    different = [name for name in RECORD_CONFIG if name != "extra" and config.get(name) != RECORD_CONFIG.get(name)]
    if different:
        settings = ", ".join(f"{name}={config.get(name)!r}" for name in different)
        return f"{model.__name__} has {settings}; inherit from NestedRecord, and leave what it sets as it is"
    return ""


def field_fault(info: FieldInfo) -> str:
    """Return what is wrong with a field whatever its type is, or ""."""
    if info.alias or info.validation_alias or info.serialization_alias:
        return "an alias would be a second name of the field; name the field as its records shall name it"
    if any(item is _JSON or isinstance(item, _JSON) for item in info.metadata):
        return "Json is decoded when a message is made, so no text is written; write the type in its brackets"
    return ""


def default_fault(info: FieldInfo, default: Any) -> str:
    """Return why the default of a field is none of the values that the field takes, or ""."""
    hint: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    try:
        TypeAdapter(hint).validate_python(default)
    except ValidationError as error:
        return f"the default {default!r} is not valid: {invalid_fields(error)}"
    except PydanticUserError:  # the annotation alone says too little, as that of a model that is not complete yet
        return ""
    return ""


def untaken_field(model: type[BaseModel], error: PydanticUserError) -> str:
    """Return which field of a class pydantic does not take, with the first sentence of what it says."""
    reason = str(error).partition(". ")[0].partition("\n")[0]
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        try:
            TypeAdapter(annotation)
        except PydanticUserError:
            return f"{name}: {reason}"
    return reason
