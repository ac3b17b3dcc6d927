"""Types within types: whatever is nested in what, a message comes back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model

from ensemble import Event, SchemaSet
from ensemble.messages import Int32, NestedRecord, decoders_for, encoder_for


class Part(NestedRecord):
    size: Int32
    names: tuple[str, ...] | None


ARRAY: Any = tuple
MAP: Any = Mapping
Nesting = tuple[Any, st.SearchStrategy[Any]]
"""A hint, and its values."""
# Words that mean something to Avro's writers: a text is a text.
TEXTS = st.sampled_from(["", "null", "array", "string", "-type", "a"])
SIZES = st.integers(-(2**31), 2**31 - 1)
PARTS = st.builds(Part, size=SIZES, names=st.none() | st.lists(TEXTS, max_size=3).map(tuple))
PLAIN: list[Nesting] = [(str, TEXTS), (Int32, SIZES), (bytes, st.binary(max_size=3)), (Part, PARTS)]


def around(inner: st.SearchStrategy[Nesting]) -> st.SearchStrategy[Nesting]:
    return st.one_of(inner.map(in_array), inner.map(in_map), inner.map(optional), inner.map(annotated))


def in_array(nesting: Nesting) -> Nesting:
    hint, values = nesting
    return ARRAY[hint, ...], st.lists(values, max_size=3).map(tuple)


def in_map(nesting: Nesting) -> Nesting:
    hint, values = nesting
    return MAP[str, hint], st.dictionaries(TEXTS, values, max_size=2)


def optional(nesting: Nesting) -> Nesting:
    hint, values = nesting
    return hint | None, st.none() | values


def annotated(nesting: Nesting) -> Nesting:
    hint, values = nesting
    return Annotated[hint, Field(description="annotated")], values


NESTINGS = st.recursive(st.sampled_from(PLAIN), around, max_leaves=4)


def class_of(hint: Any) -> type[Event]:
    keywords = {"schemas": SchemaSet(Path("unused"), "nested")}
    kind: type[Event] = create_model("Nested", __base__=Event, __cls_kwargs__=keywords, it=(hint, ...))
    return kind


@settings(max_examples=150, deadline=None)
@given(nesting=NESTINGS, data=st.data())
def test_what_is_nested_comes_back_as_it_was(nesting: Nesting, data: st.DataObject) -> None:
    # given a class with one field of any type
    hint, values = nesting
    kind = class_of(hint)
    message = kind.model_validate({"it": data.draw(values)})

    # when it is written
    value = encoder_for(kind)(message)

    # then it is read as it was
    assert decoders_for(kind)[value[:5]](value) == message


@pytest.mark.parametrize(
    ("hint", "value"), [(Part, Part(size=1, names=("a", "b"))), (Int32, 3), (tuple[str, ...], ("-type", "a"))], ids=str
)
def test_what_is_optional_twice_comes_back_as_it_was(hint: Any, value: Any) -> None:
    # given an optional type under an annotation that is optional again
    kind = class_of(Annotated[hint | None, Field(description="maybe")] | None)

    for it in (value, None):
        message = kind.model_validate({"it": it})
        written = encoder_for(kind)(message)
        assert decoders_for(kind)[written[:5]](written) == message
