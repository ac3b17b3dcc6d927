"""Defaults of fields as a schema writes them: each kind of value at its limits, and what does not fit beyond them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from ensemble.messages.avro_defaults import default_json, micros_since_epoch, unscaled_bytes
from ensemble.messages.message import NestedRecord

FIXED = {"type": "fixed", "name": "Digest", "size": 2}
SPEED = {"type": "enum", "name": "Speed", "symbols": ["standard", "express"]}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
MOMENT = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DAY = {"type": "int", "logicalType": "date"}
CLOCK = {"type": "long", "logicalType": "time-micros"}
NAME = {"type": "string", "logicalType": "uuid"}
LINE = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "day", "type": DAY}]}
DEFINITIONS = {"Speed": SPEED, "Line": LINE}


class Speed(Enum):
    EXPRESS = "express"
    SLOW = "slow"


class Line(NestedRecord):
    sku: str
    day: date


@pytest.mark.parametrize(
    ("value", "avro", "expected"),
    [
        (True, "boolean", True),
        ("", "string", ""),
        (2**31 - 1, "int", 2**31 - 1),
        (-(2**31), "int", -(2**31)),
        (2**63 - 1, "long", 2**63 - 1),
        (-(2**63), MILLIS, -(2**63)),
        (0.5, "double", 0.5),
        (b"\x00\xff", "bytes", "\x00\xff"),
        (b"\x00\xff", FIXED, "\x00\xff"),
        ("express", SPEED, "express"),
        ("standard", "Speed", "standard"),
        (datetime(1970, 1, 1, 0, 0, 1, 5, UTC), MOMENT, 1_000_005),
        (date(1970, 1, 3), DAY, 2),
        (date(1969, 12, 31), DAY, -1),
        (time(1, 2, 3, 4), CLOCK, ((1 * 60 + 2) * 60 + 3) * 1_000_000 + 4),
        (UUID(int=1), NAME, "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.27"), MONEY, "\x7f"),
        (Decimal("-0.01"), MONEY, "\xff"),
        (None, ["null", "string"], None),
        ("x", ["string", "null"], "x"),
        (("a", "b"), {"type": "array", "items": "string"}, ["a", "b"]),
        ((), {"type": "array", "items": "string"}, []),
        ({"a": 1}, {"type": "map", "values": "int"}, {"a": 1}),
        (Line(sku="s", day=date(1970, 1, 2)), "Line", {"sku": "s", "day": 1}),
        ((Line(sku="s", day=date(1970, 1, 2)),), {"type": "array", "items": "Line"}, [{"sku": "s", "day": 1}]),
    ],
)
def test_a_default_is_written_as_avro_spells_it_in_json(value: Any, avro: Any, expected: Any) -> None:
    assert default_json(value, avro, DEFINITIONS) == expected
    assert type(default_json(value, avro, DEFINITIONS)) is type(expected)


@pytest.mark.parametrize(
    ("value", "avro", "words"),
    [
        (1, "boolean", "1 is no "),
        (True, "int", "True is no "),
        ("1", "int", "'1' is no "),
        (2**31, "int", "2147483648 has more than 32 bits"),
        (-(2**31) - 1, "int", "-2147483649 has more than 32 bits"),
        (2**63, "long", "9223372036854775808 has more than 64 bits"),
        (-(2**63) - 1, MILLIS, "-9223372036854775809 has more than 64 bits"),
        (float("inf"), "double", "inf is no number in JSON"),
        (b"123", FIXED, "3 bytes are not 2"),
        ("slow", SPEED, "slow is no symbol"),
        (Decimal("100.00"), MONEY, "100.00 has no room in 4 digits, 2 of them behind the point"),
        (Decimal("0.001"), MONEY, "0.001 has no room"),
        (Decimal("NaN"), MONEY, "NaN has no room"),
        (None, ["string", "null"], "None is no "),
        ("x", ["null", "string"], "'x' is no "),
        (["a"], {"type": "array", "items": "string"}, "is no "),
        ({"a": "b"}, {"type": "map", "values": "int"}, "'b' is no "),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, avro: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^.*{words}"):
        default_json(value, avro, DEFINITIONS)


def test_a_symbol_may_be_a_member_of_an_enum() -> None:
    from ensemble.messages.avro_defaults import _symbol

    assert _symbol(Speed.EXPRESS, SPEED) == "express"
    with pytest.raises(ValueError, match="slow is no symbol"):
        _symbol(Speed.SLOW, SPEED)


FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)


@pytest.mark.parametrize("moment", [FIRST, LAST])
def test_the_first_and_the_last_moment_have_a_number(moment: datetime) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros_since_epoch(moment)) == moment


@pytest.mark.parametrize(("moment", "minutes"), [(FIRST, 1), (LAST, -1)])
def test_a_moment_of_another_zone_is_none_of_the_years_that_readers_know(moment: datetime, minutes: int) -> None:
    elsewhere = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    with pytest.raises(ValueError, match="is none of the years 1 to 9999 in UTC"):
        micros_since_epoch(elsewhere)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0.00", b"\x00"), ("1.27", b"\x7f"), ("1.28", b"\x00\x80"), ("-1.28", b"\xff\x80"), ("99.99", b"\x27\x0f")],
)
def test_a_decimal_is_the_whole_number_without_its_point(value: str, expected: bytes) -> None:
    assert unscaled_bytes(Decimal(value), 4, 2) == expected
