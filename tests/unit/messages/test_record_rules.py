"""What was written can be read again: settings, defaults and values that would not come back are refused before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from ensemble import Event, SchemaSet, State
from ensemble.errors import ConfigurationError, UnencodableMessage
from ensemble.messages import NestedRecord, decoders_for, encoder_for

SCHEMAS = SchemaSet(Path("unused"), "rules")


class Item(NestedRecord):
    sku: str


class Parcel(Event, schemas=SCHEMAS):
    item: Item
    note: str = Field("", max_length=3)


class Delivered(Event, schemas=SCHEMAS):
    at: AwareDatetime


class Speed(StrEnum):
    EXPRESS = "express"


def read_again(message: Any) -> Any:
    value = encoder_for(type(message))(message)
    return decoders_for(type(message))[value[:5]](value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"extra": "allow"}, "has extra='allow', and fields that it does not declare are not written"),
        ({"frozen": False}, "has frozen=False; inherit from NestedRecord"),
        ({"revalidate_instances": "never"}, "has revalidate_instances='never'"),
        ({"ser_json_inf_nan": "null"}, "has ser_json_inf_nan='null'"),
    ],
)
def test_a_setting_that_would_lose_what_is_written_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Lost {reason}"):
        type("Lost", (State,), {"__annotations__": {"text": str}, "__module__": __name__}, **settings)


def test_a_record_within_a_message_is_as_strict_as_the_message() -> None:
    class Loose(BaseModel):
        sku: str

    with pytest.raises(ConfigurationError, match=r"Kept: item: Loose has frozen=None.*inherit from NestedRecord"):
        type("Kept", (State,), {"__annotations__": {"item": Loose}, "__module__": __name__}, schemas=SCHEMAS)


def test_the_fields_that_a_subclass_adds_are_refused_rather_than_lost() -> None:
    class Wrapped(Item):
        paper: str = "red"

    with pytest.raises(ValidationError, match=r"item\.paper\s+Extra inputs are not permitted"):
        Parcel(item=Wrapped(sku="a"))


@pytest.mark.parametrize(
    ("default", "reason"), [("abcd", "String should have at most 3 characters"), ("", "at least 1 character")]
)
def test_a_default_that_the_field_does_not_take_is_refused(default: str, reason: str) -> None:
    namespace = {"note": Field(default, min_length=1, max_length=3), "__annotations__": {"note": str}}
    with pytest.raises(ConfigurationError, match=f"Noted: note: the default {default!r} is not valid: .*{reason}"):
        type("Noted", (State,), {**namespace, "__module__": __name__}, schemas=SCHEMAS)


def test_the_values_of_a_copy_are_checked() -> None:
    parcel = Parcel(item=Item(sku="a"))
    assert parcel.model_copy(update={"note": "abc"}) == Parcel(item=Item(sku="a"), note="abc")
    assert parcel.model_copy() == parcel
    with pytest.raises(ValidationError, match="at most 3 characters"):
        parcel.model_copy(update={"note": "abcd"})
    with pytest.raises(ValidationError, match=r"notes\s+Extra inputs are not permitted"):
        parcel.model_copy(update={"notes": "abc"})


def test_a_strict_class_reads_what_it_has_written() -> None:
    class Strict(State, schemas=SCHEMAS, strict=True):
        names: tuple[str, ...] = ("a",)
        speed: Speed = Speed.EXPRESS
        price: Decimal = Field(Decimal("1.50"), max_digits=4, decimal_places=2)

    assert read_again(Strict()) == Strict()


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_first_and_the_last_moment_come_back(moment: datetime) -> None:
    assert read_again(Delivered(at=moment)).at == moment


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
        datetime(1, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_that_no_reader_has_a_year_for_is_not_written(moment: datetime) -> None:
    with pytest.raises(UnencodableMessage, match=r"at: .* is none of the years 1 to 9999 in UTC"):
        encoder_for(Delivered)(Delivered(at=moment))
