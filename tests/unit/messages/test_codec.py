"""Bytes out and in: every message survives, every broken record is told apart in words."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import create_model

import contracts
from contracts import SCHEMAS, OrderLine, OrderPlaced, OrderState, PaymentConfirmed, ProcessPayment
from ensemble import Event, SchemaSet
from ensemble.errors import UndecodableRecord, UnencodableMessage, UnknownSchema
from ensemble.messages import (
    GenericDecoder,
    Message,
    decoders_for,
    encoder_for,
    prefix_of,
    release_schemas,
    schema_name,
)
from ensemble.system_messages import EVENTS, GroupNote, ParkedKey, ParkedRecord, Pause, Timer
from ensemble.system_messages import SCHEMAS as RUNTIME_SCHEMAS
from ensemble.system_messages.operations import COMMANDS
from ensemble.system_messages.state import LedgerPosition, Resolution, SeenMessage
from tests.support.message_strategies import message
from tests.support.unchecked import unchecked

MARKERS = (contracts.Command, contracts.Event, contracts.State)
MESSAGES: list[type[Message]] = [
    found
    for found in vars(contracts).values()
    if isinstance(found, type) and issubclass(found, Message) and found not in MARKERS
] + [Timer, SeenMessage, LedgerPosition, ParkedKey, ParkedRecord, Pause, Resolution, GroupNote, *COMMANDS, *EVENTS]

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAYMENT = ProcessPayment(
    order_id="ord-1", amount=1250, currency="EUR", payment_token="tok_approve", attempt=1, expires_at=1_790_000_000_000
)
ORDER = OrderPlaced(
    order_id="ord-1",
    customer_id="cust-1",
    lines=(OrderLine(sku="SKU-1", quantity=2, unit_price=500), OrderLine(sku="SKU-2", quantity=1, unit_price=0)),
    currency="EUR",
    payment_token="tok_approve",
    warehouse_id="wh-1",
    placed_at=1_790_000_000_000,
)


def read(value: bytes, message_type: type[Message]) -> Message:
    return decoders_for(message_type)[value[:5]](value)


def outcome(attempt: Callable[[], object]) -> str:
    """What came of it, in words; any error but UndecodableRecord goes through."""
    try:
        return repr(attempt())
    except UndecodableRecord as refused:
        return str(refused)


def test_every_schema_has_its_message() -> None:
    names = [*SCHEMAS.names(), *RUNTIME_SCHEMAS.names()]
    assert sorted(schema_name(each) for each in MESSAGES) == sorted(names)


@pytest.mark.parametrize("message_type", MESSAGES, ids=lambda each: each.__name__)
@QUICK
@given(data=st.data())
def test_what_is_written_is_read_again(message_type: type[Message], data: st.DataObject) -> None:
    sent = data.draw(message(message_type))
    assert read(encoder_for(message_type)(sent), message_type) == sent


@QUICK
@given(data=st.data())
def test_one_encoder_writes_many_messages_one_by_one(data: st.DataObject) -> None:
    encode = encoder_for(OrderState)
    sent = data.draw(st.lists(message(OrderState), max_size=4))
    values = [encode(each) for each in sent]
    assert [read(value, OrderState) for value in values] == sent


def test_what_a_type_needs_is_made_once_and_each_encoder_has_a_buffer_of_its_own() -> None:
    assert decoders_for(OrderState) == decoders_for(OrderState)
    one, other = encoder_for(OrderState), encoder_for(OrderState)
    first = one(OrderState(order_id="ord-1"))
    assert one is not other
    assert read(other(OrderState(order_id="ord-2")), OrderState) == OrderState(order_id="ord-2")
    assert one(OrderState(order_id="ord-1")) == first


@settings(max_examples=300, deadline=None)
@given(tail=st.binary(max_size=120))
def test_garbage_behind_a_good_prefix_is_undecodable(tail: bytes) -> None:
    value = encoder_for(OrderState)(OrderState(order_id="ord-1"))[:5] + tail
    assert "OrderState" in outcome(lambda: read(value, OrderState))


@pytest.mark.parametrize("sent", [PAYMENT, ORDER], ids=["flat", "nested"])
def test_every_truncation_is_undecodable(sent: Message) -> None:
    value = encoder_for(type(sent))(sent)
    for length in range(5, len(value)):
        with pytest.raises(UndecodableRecord, match="cannot be read at byte"):
            read(value[:length], type(sent))


def test_a_truncated_record_names_the_field_that_is_cut() -> None:
    value = encoder_for(ProcessPayment)(PAYMENT)
    with pytest.raises(
        UndecodableRecord, match=r"expires_at cannot be read at byte \d+ of \d+: the record ends before"
    ):
        read(value[:-1], ProcessPayment)


def test_bytes_left_over_are_reported() -> None:
    with pytest.raises(UndecodableRecord, match="ProcessPayment: 2 bytes are left over"):
        read(encoder_for(ProcessPayment)(PAYMENT) + b"xx", ProcessPayment)


def test_an_invalid_value_in_a_readable_record_names_the_field() -> None:
    value = encoder_for(ProcessPayment)(unchecked(PAYMENT, amount=-1))
    with pytest.raises(UndecodableRecord, match=r"ProcessPayment is not valid: amount: .* greater than or equal to 0"):
        read(value, ProcessPayment)


def test_an_invalid_line_is_named_with_its_place() -> None:
    lines = (ORDER.lines[0], unchecked(ORDER.lines[1], quantity=0))
    value = encoder_for(OrderPlaced)(unchecked(ORDER, lines=lines))
    with pytest.raises(UndecodableRecord, match=r"lines\.1\.quantity"):
        read(value, OrderPlaced)


@pytest.mark.parametrize(("field", "value"), [("amount", "much"), ("currency", None), ("attempt", 2**70)])
def test_what_cannot_be_written_names_the_field(field: str, value: object) -> None:
    with pytest.raises(UnencodableMessage, match=f"ProcessPayment cannot be written: {field}"):
        encoder_for(ProcessPayment)(unchecked(PAYMENT, **{field: value}))


def test_an_unknown_symbol_cannot_be_written() -> None:
    broken = unchecked(OrderState(order_id="ord-1"), status="lost")
    with pytest.raises(UnencodableMessage, match="OrderState cannot be written: status"):
        encoder_for(OrderState)(broken)


def test_an_encoder_survives_what_it_could_not_write() -> None:
    encode = encoder_for(ProcessPayment)
    with pytest.raises(UnencodableMessage):
        encode(unchecked(PAYMENT, currency=7))
    assert read(encode(PAYMENT), ProcessPayment) == PAYMENT


def test_a_record_begins_with_magic_and_schema_id() -> None:
    value = encoder_for(ProcessPayment)(PAYMENT)
    assert value[:5] == prefix_of(SCHEMAS.id_of("ensemble.commands.ProcessPayment"))
    assert value[0] == 0


def test_any_record_is_decoded_without_its_model() -> None:
    decoded = GenericDecoder([RUNTIME_SCHEMAS, SCHEMAS]).decode(encoder_for(OrderPlaced)(ORDER))
    assert (decoded.name, decoded.version) == ("ensemble.events.OrderPlaced", 1)
    assert decoded.fields == ORDER.model_dump(mode="json")


def test_nullable_fields_keep_the_difference_between_nothing_and_empty() -> None:
    decode = GenericDecoder([SCHEMAS]).decode
    confirmed = [PaymentConfirmed(order_id="o", amount=0, currency="EUR", charge_id=each) for each in (None, "")]
    values = [encoder_for(PaymentConfirmed)(each) for each in confirmed]
    assert [decode(value).fields["charge_id"] for value in values] == [None, ""]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "0 bytes are too short"),
        (b"\0\0\0", "3 bytes are too short"),
        (b'{"order_id": 1}', "the first byte is 0x7b, not the magic 0x00"),
    ],
)
def test_what_is_no_record_is_undecodable(value: bytes, expected: str) -> None:
    with pytest.raises(UndecodableRecord, match=expected):
        GenericDecoder([SCHEMAS]).describe(value)


def test_an_unknown_schema_id_is_told_apart() -> None:
    with pytest.raises(UnknownSchema, match="schema id 4711 is in no schemas directory"):
        GenericDecoder([SCHEMAS]).decode(prefix_of(4711) + b"x")


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=60))
def test_the_decoder_says_no_in_words_only(value: bytes) -> None:
    prefix = encoder_for(OrderPlaced)(ORDER)[:5]
    for record in (value, prefix + value):
        assert outcome(partial(GenericDecoder([SCHEMAS]).decode, record))


def test_a_reader_that_needs_the_first_fields_alone_decodes_no_more() -> None:
    value = encoder_for(OrderPlaced)(ORDER)
    decoder = GenericDecoder([SCHEMAS], {"ensemble.events.OrderPlaced": "lines"})
    everything = GenericDecoder([SCHEMAS]).decode(value).fields
    head = dict(list(everything.items())[: list(everything).index("lines")])
    assert head
    assert decoder.decode(value).fields == head
    assert decoder.name_of(value) == "ensemble.events.OrderPlaced"
    assert GenericDecoder([SCHEMAS], {"ensemble.events.OrderPlaced": "none"}).decode(value).fields == everything


def version_of(directory: Path, *extra: str) -> type[Event]:
    """`Sold{id, *extra}` as it stands after the release of exactly these fields."""
    (directory / "events").mkdir(exist_ok=True)
    fields = [{"name": "id", "type": "string"}, *({"name": each, "type": "string", "default": "-"} for each in extra)]
    schema = {"type": "record", "name": "Sold", "namespace": "shop.events", "fields": fields}
    (directory / "events" / "Sold.avsc").write_text(json.dumps(schema))
    release_schemas(SchemaSet(directory))
    parent = types.new_class("Testing", (Event,), {"schemas": SchemaSet(directory, "shop")})
    more: dict[str, Any] = dict.fromkeys(extra, (str, "-"))
    return create_model("Sold", __base__=parent, id=(str, ...), **more)


def test_readers_know_every_released_version(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"first_id": 1000, "schemas": {}}')
    old = version_of(tmp_path)
    first = encoder_for(old)(old.model_validate({"id": "1"}))
    new = version_of(tmp_path, "extra")
    records = [first, encoder_for(new)(new.model_validate({"id": "2", "extra": "x"}))]
    assert [value[:5] for value in records] == [prefix_of(1000), prefix_of(1001)]
    assert [read(value, new).model_dump() for value in records] == [
        {"id": "1", "extra": "-"},
        {"id": "2", "extra": "x"},
    ]
