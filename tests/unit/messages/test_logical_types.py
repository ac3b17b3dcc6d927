"""Decimals, moments, dates, times of day, UUIDs, fixed bytes, maps and enums, as bytes and back."""

from __future__ import annotations

import io
import json
import time as clock
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest
from pydantic import AwareDatetime, Field

from ensemble import Event, SchemaSet
from ensemble.errors import UndecodableRecord, UnencodableMessage
from ensemble.messages import (
    GenericDecoder,
    Int32,
    NestedRecord,
    decoders_for,
    encoder_for,
    prefix_of,
    schema_of,
)
from ensemble.messages.codec import decoder_for
from tests.support.coins import Coined, Metal, Price, Weight

SCHEMAS = SchemaSet(Path("unused"), "mint")


class Minted(Coined, schemas=SCHEMAS):
    rim: Metal | None = None
    prices: Mapping[str, Price] = Field(default_factory=dict)
    weights: Mapping[str, Weight] = Field(default_factory=dict)
    history: tuple[AwareDatetime, ...] = ()


FIELDS: dict[str, Any] = {
    "coin": UUID(int=5),
    "price": Decimal("-12.5"),
    "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=5))),
    "day": date(2026, 1, 2),
    "opens": time(9, 30, 0, 1),
    "seal": b"\x00\xff",
    "metal": Metal.SILVER,
    "written": 1_700_000_000_000,
}
FULL = FIELDS | {
    "spot": Decimal("1234567.89"),
    "sold_at": datetime(1969, 12, 31, tzinfo=UTC),
    "rim": Metal.GOLD,
    "prices": {"gold": Decimal("0.01"), "silver": Decimal(0)},
    "weights": {"gold": Weight(grams=Decimal("31.103"))},
    "history": (datetime(2026, 1, 1, tzinfo=UTC),),
}
PLAIN = fastavro.parse_schema({"type": "record", "name": "Minted", "fields": [{"name": "price", "type": "bytes"}]})


class Priced(Event, schemas=SCHEMAS):
    price: Price


def read(value: bytes) -> Event:
    return decoders_for(Minted)[value[:5]](value)


def avro(schema: Any, **fields: Any) -> bytes:
    stream = io.BytesIO(prefix_of(1))
    stream.seek(5)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), fields)
    return stream.getvalue()


def of(kind: Any, **fields: Any) -> dict[str, Any]:
    """A writer's schema of `Minted` or `Priced`, with other types."""
    schema = json.loads(json.dumps(schema_of(kind)))
    schema["fields"] = [f | ({"type": fields[f["name"]]} if f["name"] in fields else {}) for f in schema["fields"]]
    return dict(schema)


@pytest.mark.parametrize("fields", [FIELDS, FULL], ids=["least", "all"])
def test_a_message_comes_back_as_it_was(fields: dict[str, Any]) -> None:
    message = Minted.model_validate(fields)
    assert read(encoder_for(Minted)(message)) == message


def test_millis_stay_an_integer_beside_others() -> None:
    message = read(encoder_for(Minted)(Minted.model_validate(FIELDS)))
    assert message.written == 1_700_000_000_000  # type: ignore[attr-defined]  # the decoder knows only that it is an event


def test_tools_see_the_values_without_a_class() -> None:
    fields = GenericDecoder([SCHEMAS]).decode(encoder_for(Minted)(Minted.model_validate(FULL))).fields
    assert (fields["price"], fields["prices"]["gold"]) == (Decimal("-12.50"), Decimal("0.01"))
    assert (fields["day"], fields["coin"], fields["written"]) == (date(2026, 1, 2), UUID(int=5), 1_700_000_000_000)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"price": Decimal("0.001")},
            "written: price: 0.001 has no room in 9 digits, 2 of them behind",
        ),
        ({"price": Decimal("NaN")}, "price: NaN has no room"),
        ({"prices": {"a": Decimal(10**8)}}, "prices: 100000000 has no room in 9 digits"),
        (
            {"opens": time(9, tzinfo=UTC)},
            "has a zone, which a time of day in Avro cannot carry",
        ),
        ({"seal": b"abc"}, "seal: data of length 3 does not match"),
    ],
)
def test_what_has_no_room_is_refused_with_its_field(change: dict[str, Any], expected: str) -> None:
    message = Minted.model_construct(**Minted.model_validate(FIELDS).__dict__ | change)
    with pytest.raises(UnencodableMessage, match=expected):
        encoder_for(Minted)(message)


def test_a_decimal_that_is_too_long_is_refused_at_once() -> None:
    started = clock.monotonic()
    with pytest.raises(UndecodableRecord, match="1000000 bytes are more than a decimal of 9 digits takes"):
        decoder_for(Priced, of(Priced))(avro(of(Priced, price="bytes"), price=b"\x7f" * 1_000_000))
    assert clock.monotonic() - started < 5


def test_a_plain_type_of_another_writer_is_taken_for_what_the_class_says() -> None:
    schema = of(Priced, price="bytes")
    assert decoder_for(Priced, schema)(avro(schema, price=b"\x04\xe2")) == Priced(price=Decimal("12.50"))


def test_the_digits_of_another_writer_are_its_own() -> None:
    schema = of(Priced, price={"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1})
    assert decoder_for(Priced, schema)(avro(schema, price=Decimal("12.5"))) == Priced(price=Decimal("12.5"))


def test_a_moment_of_another_writer_may_have_millis() -> None:
    class Told(Event, schemas=SCHEMAS):
        at: AwareDatetime

    schema = of(Told, at={"type": "long", "logicalType": "timestamp-millis"})
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert decoder_for(Told, schema)(avro(schema, at=moment)) == Told(at=moment)


def test_a_logical_type_that_the_class_does_not_have_is_not_read() -> None:
    class Noted(Event, schemas=SCHEMAS):
        day: Int32
        price: Price

    schema = of(Noted, day={"type": "int", "logicalType": "date"})
    assert decoder_for(Noted, schema)(avro(schema, day=date(1970, 1, 3), price=Decimal(1))) == Noted(
        day=2, price=Decimal(1)
    )


class Fee(NestedRecord):
    amount: Price
    rate: Price = Decimal("0.50")


class Charged(Event, schemas=SCHEMAS):
    fee: Fee
    tax: Price = Decimal("0.49")
    since: AwareDatetime = datetime(1972, 1, 1, tzinfo=UTC)
    day: date = date(2026, 1, 2)
    opens: time = time(8, 30)
    mark: bytes = b"\xe9"
    other: Fee = Fee(amount=Decimal(7))


def test_a_field_that_older_records_lack_has_the_default_of_its_class() -> None:
    # given a record of a release that had `fee` alone, and in it `amount`
    price = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    fee = {"type": "record", "name": "Fee", "fields": [{"name": "amount", "type": price}]}
    older = {"type": "record", "name": "Charged", "fields": [{"name": "fee", "type": fee}]}

    # when
    message = decoder_for(Charged, older)(avro(older, fee={"amount": Decimal("1.25")}))

    # then
    assert message == Charged(fee=Fee(amount=Decimal("1.25")))
