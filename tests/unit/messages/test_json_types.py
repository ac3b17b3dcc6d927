"""A class of a topic that carries JSON: refused where JSON would not give back what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import nan
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import Field, JsonValue, SecretStr

from ensemble import Event, Topic
from ensemble.errors import ConfigurationError, UnencodableMessage
from ensemble.messages import NestedRecord
from ensemble.messages.json_values import json_decoder_for, json_encoder_for


class Left(NestedRecord):
    kind: Literal["left"] = "left"


class Right(NestedRecord):
    kind: Literal["right"] = "right"


class Node(NestedRecord):
    child: Node | None = None


def told(hint: Any) -> type[Event]:
    return type("Told", (Event,), {"__annotations__": {"field": hint}, "__module__": __name__})


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (Annotated[str, Field(alias="other")], "an alias would be a second name"),
        (Annotated[str, Field(exclude=True)], "exclude=True keeps the field out of its records"),
        (SecretStr, "SecretStr is written as asterisks"),
        (str | bytes, "str and bytes are both a JSON text, so one is read as the other; write one of them"),
        (str | datetime | None, "str and datetime are both a JSON text"),
        (tuple[str | UUID, ...], "str and UUID are both a JSON text"),
        (tuple[int, ...] | list[str], "are both a JSON array"),
        (Left | Right, "Left and Right are both a JSON object.*or give the field a discriminator"),
        (Mapping[int | str, str], r"keys of an object are texts in JSON, and int \| str is more than one thing"),
        (Any, "Any does not say what JSON is read as; name the type, or take pydantic.JsonValue"),
        (list[object], "object does not say what JSON is read as"),
        (Node, "Node holds itself"),
        (Annotated[str, Field(default="abcd", max_length=3)], "the default 'abcd' is not valid"),
    ],
)
def test_what_json_would_not_give_back_is_refused_by_the_topic(hint: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Told: field(\.child)?: .*{reason}"):
        Topic("shop.told", "shop", "field", (told(hint),), format="json")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int | str | None, "1"),
        (Mapping[int, str], {1: "a"}),
        (Annotated[Left | Right, Field(discriminator="kind")], Right()),
        (JsonValue, {"a": [1, 2.5, None, {"b": "c"}]}),
        (Literal["a", "b"] | None, "b"),
        (bytes, b"\xff\x00"),
    ],
)
def test_what_json_gives_back_is_taken(hint: Any, value: Any) -> None:
    kind: Any = told(hint)
    Topic("shop.told", "shop", "field", (kind,), format="json")
    assert json_decoder_for(kind)(json_encoder_for(kind)(kind(field=value))) == kind(field=value)


def test_nan_within_any_json_is_not_written_as_null() -> None:
    kind: Any = told(JsonValue)
    with pytest.raises(UnencodableMessage, match="NaN is no JSON number"):
        json_encoder_for(kind)(kind(field=[nan]))
