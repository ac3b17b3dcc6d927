"""JSON is read strictly, and refused where it leaves open what is meant."""

from __future__ import annotations

import math

import pytest
from pydantic import field_validator

from ensemble import Event
from ensemble.errors import UndecodableRecord, UnencodableMessage
from ensemble.messages.json_values import json_decoder_for, json_encoder_for, read_json
from tests.support.json_flow import Answered, Item, Ordered

read, write = json_decoder_for(Ordered), json_encoder_for(Ordered)


def test_a_message_comes_back_as_it_was() -> None:
    order = Ordered(order_id="é", speed="express", weight=0.1, total=2**63 - 1, items=(Item(sku="a", quantity=2),))
    assert read(write(order)) == order


def test_bytes_are_base64() -> None:
    answer = Answered(order_id="a", text="", digest=b"\xff\x00")
    value = json_encoder_for(Answered)(answer)
    assert value == b'{"order_id":"a","text":"","digest":"_wA="}'
    assert json_decoder_for(Answered)(value) == answer


def test_a_field_of_a_newer_release_is_ignored() -> None:
    assert read(b'{"order_id": "a", "gift": {"ribbon": true}}') == Ordered(order_id="a")


def test_texts_may_hold_what_looks_unclear() -> None:
    text = "NaN: 1e999 12345678901234567890 {"
    assert read(write(Ordered(order_id=text))).order_id == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "Invalid JSON: EOF while parsing"),
        (b"order a", "Invalid JSON: expected value"),
        (b"\0\0\0\0\1\2a", "Invalid JSON: expected value"),
        (b'{"order_id": "a"} and more', "Invalid JSON: trailing characters"),
        (b"\xef\xbb\xbf{}", "Invalid JSON"),
        (b"null", "Input should be an object"),
        (b'["a"]', "Input should be an object"),
        (b"{}", "order_id: Field required"),
        (b'{"order_id": 1}', "order_id: Input should be a valid string"),
        (b'{"order_id": "a", "weight": "1"}', "weight: Input should be a valid number"),
        (b'{"order_id": "a", "total": 1.0}', "total: Input should be a valid integer"),
        (b'{"order_id": "a", "speed": "slow"}', "speed: Input should be 'standard' or 'express'"),
        (b'{"order_id": "a", "items": [{"sku": 1}]}', "items.0.sku: Input should be a valid string"),
        (b'{"order_id": "a", "order_id": "b"}', "the key 'order_id' comes twice"),
        (b'{"order_id": "a", "items": [{"sku": "x", "sku": "y"}]}', "the key 'sku' comes twice"),
        (b'{"order_id": "a", "gift": 1, "gift": 2}', "the key 'gift' comes twice"),
        (b'{"order_id": "a", "weight": NaN}', "NaN is no JSON number"),
        (b'{"order_id": "a", "weight": Infinity}', "Infinity is no JSON number"),
        (b'{"order_id": "a", "weight": 1e999}', "the number 1e999 takes more than 64 bits"),
        (b'{"order_id": "a", "total": 9223372036854775808}', "the number 9223372036854775808 takes more than 64 bits"),
        (b'{"order_id": "a", "total": ' + b"9" * 5_000 + b"}", "number out of range"),
        (rb'{"order_id": "\ud800"}', "Invalid JSON: unexpected end of hex escape"),
        (b'{"order_id": "\xff"}', "Invalid JSON: invalid unicode"),
        (b'{"order_id": ' + b"[" * 1_000_000, "recursion limit exceeded"),
        (b'{"order_id": "a", "gift": ' + b"[" * 150 + b"1" + b"]" * 150 + b"}", ""),
    ],
)
def test_what_is_no_such_message_is_refused_with_words(value: bytes, reason: str) -> None:
    if not reason:
        assert read(value).order_id == "a"  # deep, and ignored
        return
    with pytest.raises(UndecodableRecord) as refused:
        read(value)
    assert str(refused.value).startswith("Ordered is not valid: ")
    assert reason in str(refused.value)


def test_what_is_too_long_is_not_even_parsed() -> None:
    for reader in (read, read_json):
        with pytest.raises(UndecodableRecord, match="the value takes 5000001 bytes, the limit is 5000000"):
            reader(b" " * 5_000_001)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Ordered(order_id="a", weight=math.inf), "Infinity is no JSON number"),
        (Ordered.model_construct(order_id="a", weight=math.nan, total=0, items=(), speed="express"), "NaN is no JSON"),
        (Ordered(order_id="a", total=2**63), "takes more than 64 bits"),
        (Ordered.model_construct(order_id="\ud800", weight=0.0, total=0, items=(), speed="express"), "surrogates"),
    ],
)
def test_what_json_cannot_hold_is_not_written(message: Ordered, reason: str) -> None:
    with pytest.raises(UnencodableMessage, match=f"Ordered cannot be written as JSON: .*{reason}"):
        write(message)


def test_any_json_is_read_without_a_class_for_tools() -> None:
    assert read_json(b'{"a": [1, null]}') == {"a": [1, None]}
    for value in (b"\0", b"[" * 100_000, b'{"a": 1, "a": 2}', b"NaN"):
        with pytest.raises(UndecodableRecord, match="the value is no JSON"):
            read_json(value)


def test_a_double_key_among_very_many_is_found_at_once() -> None:
    many = ",".join(f'"{number}":1' for number in range(300_000))
    with pytest.raises(UndecodableRecord, match="the key '299999' comes twice"):
        read_json(f'{{{many},"299999":1}}'.encode())


class Strange(Event):
    order_id: str

    @field_validator("order_id")
    @classmethod
    def look_up(cls, order_id: str) -> str:
        return {"a": "A"}[order_id]


def test_a_validator_that_raises_anything_refuses_its_record() -> None:
    with pytest.raises(UndecodableRecord, match="Strange is not valid: 'b'"):
        json_decoder_for(Strange)(b'{"order_id": "b"}')
