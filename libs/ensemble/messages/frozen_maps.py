"""Maps within messages that nobody can change in place, as their other fields cannot be."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

_DATA: Final = frozenset({"default", "metadata", "expected"})
"""The parts of a core schema that hold values, not schemas."""


class FrozenMap(dict[Any, Any]):
    """A dict that refuses changes; `{**old, "a": 1}` and `old | {"a": 1}` make another one."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a map within a message cannot be changed in place; make a message with another map")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by the content, for nothing can be added to a new map."""
        return type(self), (dict(self),)


def freeze_maps(schema: CoreSchema) -> None:
    """Have a model make a `FrozenMap` of each map of its own fields; `schema` is the model's, and is changed."""
    model: Any = schema
    while model["type"] != "model":  # validators of the whole model stand around it
        model = model["schema"]
    model["schema"] = _freeze(model["schema"])


def _freeze(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return type(node)(map(_freeze, node))
    if not isinstance(node, dict) or node.get("type") in ("model", "definition-ref"):
        return node  # another model freezes its own
    copy = {name: part if name in _DATA else _freeze(part) for name, part in node.items()}
    if copy.get("type") == "dict":
        return no_info_after_validator_function(FrozenMap, copy)
    is_default = copy.get("type") == "default" and copy["schema"] != node["schema"]
    return {**copy, "validate_default": True} if is_default else copy
