"""A map within a message is as immutable as the message."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import Field, model_validator

from ensemble import State
from ensemble.messages import Int32, NestedRecord, decoders_for, encoder_for
from ensemble.messages.json_values import json_decoder_for, json_encoder_for


class Shelf(NestedRecord):
    cups: Mapping[str, Int32]


class Cupboard(State):
    cups: Mapping[str, Int32] = {}
    made: Mapping[str, Int32] = Field(default_factory=dict)
    rows: tuple[Mapping[str, Mapping[str, Int32]], ...] = ()
    spare: Mapping[str, Int32] | None = None
    shelf: Shelf | None = None

    @model_validator(mode="after")
    def check(self) -> Cupboard:
        return self


MAPS: list[Callable[[Cupboard], Any]] = [
    lambda cupboard: cupboard.cups,
    lambda cupboard: cupboard.rows[0],
    lambda cupboard: cupboard.rows[0]["top"],
    lambda cupboard: cupboard.spare,
    lambda cupboard: cupboard.shelf and cupboard.shelf.cups,
]
CHANGES: list[Callable[[Any], Any]] = [
    lambda cups: cups.__setitem__("red", 7),
    lambda cups: cups.__delitem__("red"),
    lambda cups: cups.__ior__({"red": 7}),
    lambda cups: cups.update(red=7),
    lambda cups: cups.setdefault("blue", 7),
    lambda cups: cups.pop("red"),
    lambda cups: cups.popitem(),
    lambda cups: cups.clear(),
]


def cupboard() -> Cupboard:
    cups = {"red": 1}
    return Cupboard(cups=cups, rows=({"top": cups},), spare=cups, shelf=Shelf(cups=cups))


def by_avro(state: Cupboard) -> Cupboard:
    value = encoder_for(Cupboard)(state)
    return decoders_for(Cupboard)[value[:5]](value)


def by_json(state: Cupboard) -> Cupboard:
    return json_decoder_for(Cupboard)(json_encoder_for(Cupboard)(state))


@pytest.mark.parametrize("map_of", MAPS)
@pytest.mark.parametrize("again", [Cupboard.model_copy, copy.deepcopy, by_avro, by_json])
def test_each_map_of_a_message_refuses_changes(
    map_of: Callable[[Cupboard], Any], again: Callable[[Cupboard], Cupboard]
) -> None:
    for state in (cupboard(), again(cupboard())):
        with pytest.raises(TypeError, match="a map within a message cannot be changed in place"):
            map_of(state)["red"] = 7
        assert state == cupboard()


@pytest.mark.parametrize("change", CHANGES)
def test_no_way_changes_a_map(change: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="make a message with another map"):
        change(cups := cupboard().cups)
    assert cups == {"red": 1}


def test_defaults_are_frozen_as_well() -> None:
    for cups in (Cupboard().cups, Cupboard().made):
        with pytest.raises(TypeError):
            cups["red"] = 7  # type: ignore[index]  # what a checker refuses too
    assert Cupboard() == Cupboard(cups={}, made={})


def test_another_map_is_made_from_one_and_compared() -> None:
    cups = cupboard().cups
    assert {**cups, "blue": 2} == dict(cups) | {"blue": 2} == {"red": 1, "blue": 2}
    assert cupboard().model_copy(update={"cups": {"blue": 2}}).cups == {"blue": 2}
    assert cupboard().model_dump()["cups"] == {"red": 1} == pickle.loads(pickle.dumps(cups))  # noqa: S301  our own


class Odd(State):
    cups: Mapping[str, str] = {"type": "dict"}
    kind: str = "red"


def test_a_default_that_looks_like_a_schema_is_a_value_all_the_same() -> None:
    assert Odd().cups == {"type": "dict"}
