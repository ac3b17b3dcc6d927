"""Messages as JSON text: written and read by pydantic, and refused where JSON leaves open what is meant.

Reading is strict: a text is no number, and a number no text. Fields that the class does not have are ignored, for a
newer release may write them. A key that comes twice, NaN, infinity, and numbers beyond 64 bits are refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from math import isinf
from typing import Any, Final, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator

from ensemble.errors import UndecodableRecord, UnencodableMessage
from ensemble.messages.decoding_limits import MAX_VALUE_BYTES
from ensemble.messages.diagnosis import invalid_fields
from ensemble.messages.json_types import require_json_types
from ensemble.messages.message import Message

M = TypeVar("M", bound=Message)

_UNCLEAR: Final = re.compile(rb"NaN|Infinity|[0-9]{19}|[eE]\+?[0-9]{3}")
"""What a number that no reader agrees on has in it; a text may have it as well."""
_LEAST, _MOST = -(2**63), 2**63 - 1
_CONFIG: Final[Any] = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "constants"}


def json_encoder_for(message_type: type[M]) -> Callable[[M], bytes]:
    """Return the encoder of a type: UTF-8, no spaces, fields in the order of the class, bytes as base64."""
    name, is_unclear = message_type.__name__, _UNCLEAR.search
    write = SchemaSerializer(_with_config(message_type), _CONFIG, _use_prebuilt=False).to_json

    def encode(message: M) -> bytes:
        try:
            value = write(message)
            if is_unclear(value):
                _read_clearly(value)
        except (PydanticSerializationError, ValueError) as error:
            raise UnencodableMessage(f"{name} cannot be written as JSON: {error}") from error
        return value

    return encode


def json_decoder_for(message_type: type[M]) -> Callable[[bytes], M]:
    """Return the decoder of a type. Whatever the bytes are, they can neither end nor hang the process."""
    name, is_unclear = message_type.__name__, _UNCLEAR.search
    validate = SchemaValidator(_with_config(message_type), _use_prebuilt=False).validate_json

    def decode(value: bytes) -> M:
        if len(value) > MAX_VALUE_BYTES:
            raise UndecodableRecord(f"the value takes {len(value)} bytes, the limit is {MAX_VALUE_BYTES}")
        try:
            message: M = validate(value, strict=True, extra="ignore")
            # A flat object has a colon for each key: with no more than there are fields, none came twice.
            if value.count(b"{") > 1 or value.count(b":") > len(message.model_fields_set) or is_unclear(value):
                _read_clearly(value)
        except ValidationError as error:
            raise UndecodableRecord(f"{name} is not valid: {invalid_fields(error)}") from None
        except Exception as error:  # a validator of the class can raise anything
            raise UndecodableRecord(f"{name} is not valid: {error}") from error
        return message

    return decode


def _with_config(message_type: type[Message]) -> Any:
    """Return the schema that pydantic reads and writes a class by, with base64 for bytes in each of its models.

    The setting is not the class's own, for it would also take any text for base64 that Python gives for bytes. Whoever
    uses the schema has to say that the classes' own validators, which have other settings, are not to be used.
    """
    message_type.model_rebuild()
    require_json_types(message_type)
    return _configure(message_type.__pydantic_core_schema__)


def _configure(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return type(node)(map(_configure, node))
    if not isinstance(node, dict):
        return node
    copy = {name: _configure(part) for name, part in node.items()}
    return copy | {"config": {**copy.get("config", {}), **_CONFIG}} if copy.get("type") == "model" else copy


def read_json(value: bytes) -> Any:
    """Return the content of any JSON text, without a class: for tools. Raises UndecodableRecord."""
    if len(value) > MAX_VALUE_BYTES:
        raise UndecodableRecord(f"the value takes {len(value)} bytes, the limit is {MAX_VALUE_BYTES}")
    try:
        return _read_clearly(value)
    except (ValueError, RecursionError) as error:
        raise UndecodableRecord(f"the value is no JSON: {error}") from None


def _read_clearly(value: bytes) -> Any:
    """Return the content of JSON text. Raises ValueError for what is read in more than one way."""
    return json.loads(
        value, object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_parse_int, parse_float=_parse_float
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = Counter(name for name, _ in pairs)
        double = next(name for name, times in names.items() if times > 1)
        raise ValueError(f"the key {double[:100]!r} comes twice")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _parse_int(text: str) -> int:
    if len(text) > len(str(_LEAST)) or not _LEAST <= (number := int(text)) <= _MOST:
        raise ValueError(f"the number {text[:30]} takes more than 64 bits")
    return number


def _parse_float(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError(f"the number {text[:30]} takes more than 64 bits")
    return number
