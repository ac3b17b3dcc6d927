"""From flags to messages, and records to words."""

import re
from typing import Any

import pytest
from pydantic import BaseModel

from cli.examples import example
from cli.fields import fill, from_flags
from contracts import FulfilOrder, OrderPlaced, PaymentConfirmed, ProcessPayment, ReceiveStock
from ensemble.command_line.connection import entry_of
from ensemble.command_line.errors import Mistake
from ensemble.command_line.fields import make, message_type, type_names
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.operations import headers_of

GOOD = "a good one"


def received(value: bytes | None, headers: dict[str, bytes] | None = None, key: bytes = b"o-1") -> ReceivedRecord:
    return ReceivedRecord("orders.events", 2, 7, 1_000, key, value, headers or {})


@pytest.mark.parametrize("name", type_names())
def test_there_is_a_valid_example_of_every_type(name: str) -> None:
    kind = message_type(name)
    message = make(kind, example(kind))
    assert entry_of(received(encoder_for(kind)(message))).type == name


def test_examples_have_fresh_order_ids() -> None:
    one, other = (example(OrderPlaced)["order_id"] for _ in range(2))
    assert one != other
    assert re.fullmatch("order-[0-9a-f]{8}", one)


def test_a_field_that_has_no_sample_yet_has_an_example_all_the_same() -> None:
    class Paint(BaseModel):
        warehouse_id: str
        colour: str

    kind: Any = Paint
    assert example(kind)["warehouse_id"] == "main"
    assert re.fullmatch("example [0-9a-f]{4}", example(kind)["colour"])


def test_an_example_order_is_of_goods_in_stock_and_costs_what_they_do() -> None:
    lines = [
        {"sku": "grinder", "quantity": 1, "unit_price": 12_900},
        {"sku": "beans-1kg", "quantity": 2, "unit_price": 1_850},
    ]
    assert example(FulfilOrder)["lines"] == lines
    assert example(ProcessPayment)["amount"] == 16_600


def test_flags_become_fields_of_their_types() -> None:
    arguments = ["--warehouse-id", "main", "--sku=42", "--quantity", "3"]
    assert from_flags(ReceiveStock, arguments) == {"warehouse_id": "main", "sku": "42", "quantity": 3}


def test_lines_are_given_one_by_one() -> None:
    fields = from_flags(FulfilOrder, ["--line", "grinder:1:12900", "--line", "beans-1kg:2"])
    assert fields["lines"] == [
        {"sku": "grinder", "quantity": 1, "unit_price": 12_900},
        {"sku": "beans-1kg", "quantity": 2, "unit_price": 1_000},
    ]


def test_a_value_is_taken_as_it_is_whatever_it_looks_like() -> None:
    fields = from_flags(
        FulfilOrder, ["--customer-id", "--line", "--line", "grinder:1", "--order-id=o-1", "--line=beans:2"]
    )
    assert (fields["customer_id"], fields["order_id"]) == ("--line", "o-1")
    assert [line["sku"] for line in fields["lines"]] == ["grinder", "beans"]


def test_lines_may_be_json() -> None:
    line = '{"sku": "grinder", "quantity": 1, "unit_price": 5}'
    message = make(FulfilOrder, fill(FulfilOrder, from_flags(FulfilOrder, ["--lines", f"[{line}]"])))
    assert isinstance(message, FulfilOrder)
    assert message.lines[0].unit_price == 5


def test_null_is_null_where_the_field_may_be_absent() -> None:
    assert from_flags(PaymentConfirmed, ["--charge-id", "null"]) == {"charge_id": None}


def test_what_is_given_wins_over_the_example() -> None:
    assert fill(ReceiveStock, {"quantity": 7})["quantity"] == 7


def test_a_published_message_is_a_cloud_event_that_begins_a_trace() -> None:
    message: Message = make(ReceiveStock, example(ReceiveStock))
    headers = dict(headers_of(message, "0a" * 16, "cli"))
    entry = entry_of(received(encoder_for(ReceiveStock)(ReceiveStock.model_validate(message.model_dump())), headers))
    assert (entry.sender, entry.id, entry.correlation, len(entry.trace)) == ("cli", "0a" * 16, "0a" * 16, 32)
    assert headers["ce_type"] == b"ensemble.commands.ReceiveStock"


def test_a_record_without_headers_is_known_by_its_place() -> None:
    entry = entry_of(received(None))
    assert (entry.type, entry.id, entry.sender) == ("(tombstone)", "orders.events/2/7", "outside")


def test_garbage_is_an_entry_with_a_reason() -> None:
    entry = entry_of(received(b"garbage"))
    assert entry.type == "(unreadable)"
    assert "0x67" in entry.problem


def test_flags_with_their_value_take_nothing_of_the_next_one() -> None:
    fields = from_flags(FulfilOrder, ["--order-id=o-1", "--line=tea:1", "--warehouse-id", "w-1", "--line", "cup:2:5"])
    assert (fields["order_id"], fields["warehouse_id"]) == ("o-1", "w-1")
    assert [(line["sku"], line["quantity"], line["unit_price"]) for line in fields["lines"]] == [
        ("tea", 1, 1_000), ("cup", 2, 5),
    ]  # fmt: skip
    for arguments in (["--line"], ["--order-id"]):
        with pytest.raises(Mistake, match=f"{arguments[0]}: missing value"):
            from_flags(FulfilOrder, arguments)


def test_advice_names_the_flags_of_the_fields_that_are_wrong_or_of_all_where_none_of_them_is() -> None:
    good = {"warehouse_id": "main", "sku": "tea", "quantity": 3}
    for wrong, reason, flags in (
        ({"quantity": 0}, "quantity: .*", "--quantity"),
        ({"quantity": 0, "sku": ""}, "sku: .*; quantity: .*", "--sku --quantity"),
        ({"odd": 1}, "odd: Extra inputs are not permitted", "--warehouse-id --sku --quantity"),
        ({"odd": 1, "sku": ""}, "sku: .*; odd: .*", "--sku"),
    ):
        with pytest.raises(Mistake, match=rf"^ReceiveStock is not valid: {reason}; give {flags}$"):
            make(ReceiveStock, good | wrong)
