"""Any valid message of a class, for Hypothesis. Built from the class's own limits."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts import MOST_MONEY, OrderLine

B = TypeVar("B", bound=BaseModel)

_ORDER_LINES = st.builds(
    OrderLine,
    sku=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    quantity=st.integers(1, 1_000_000),
    unit_price=st.integers(0, MOST_MONEY // 1_000_000 // 100),
)


def message(model: type[B]) -> st.SearchStrategy[B]:
    """Return a strategy for valid instances of `model`, from the smallest to the largest values of each field."""
    return st.builds(model, **{name: _field(entry) for name, entry in model.model_fields.items()})


def _field(entry: FieldInfo) -> st.SearchStrategy[Any]:
    return _values(entry.annotation, tuple(entry.metadata))


def _values(annotation: Any, constraints: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        flat = [item for one in args[1:] for item in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _values(args[0], (*constraints, *flat))
    if origin in {Union, types.UnionType}:
        return st.none() | _values(next(arg for arg in args if arg is not types.NoneType), constraints)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return _tuples(args[0], constraints)
    return message(annotation) if issubclass(annotation, BaseModel) else _scalars(annotation, constraints)


def _tuples(item: Any, constraints: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    items = _ORDER_LINES if item is OrderLine else _values(item, ())
    least = max((each.min_length for each in constraints if isinstance(each, MinLen)), default=0)
    return st.lists(items, min_size=least, max_size=max(least, 3)).map(tuple)


def _scalars(kind: type, constraints: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if kind is bool:
        return st.booleans()
    if kind is bytes:
        return st.binary(max_size=64)
    if kind is int:
        least, most = (
            next(getattr(e, a) for e in constraints if isinstance(e, t)) for t, a in ((Ge, "ge"), (Le, "le"))
        )
        return st.integers(least, most)
    patterns = [each.pattern for each in constraints if getattr(each, "pattern", None)]
    if patterns:
        return st.from_regex(patterns[0].removeprefix("^").removesuffix("$"), fullmatch=True)
    least = max((each.min_length for each in constraints if isinstance(each, MinLen)), default=0)
    most = min((each.max_length for each in constraints if isinstance(each, MaxLen)), default=None)
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=most and min(most, 20))
