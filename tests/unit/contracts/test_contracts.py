"""What the contracts refuse: each bad value is answered with the name of its field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import (
    MOST_MONEY,
    REASON_LIMIT,
    SCHEMAS,
    CommandFailed,
    OrderPlaced,
    OrderState,
    PlaceOrder,
    ProcessPayment,
    ReceiveStock,
    RequestCancellation,
)
from contracts.catalogue import CATALOGUE
from ensemble.messages import Message
from ensemble.messages.diagnosis import invalid_fields
from ensemble.system_messages.operations import COMMANDS

LINE = {"sku": "SKU-1", "quantity": 1, "unit_price": 100}
TERMS: dict[str, Any] = {
    "order_id": "ord-1",
    "customer_id": "cust-1",
    "lines": [LINE],
    "currency": "EUR",
    "payment_token": "tok_approve",
    "warehouse_id": "wh-1",
}
PAYMENT: dict[str, Any] = {
    "order_id": "ord-1",
    "amount": 1,
    "currency": "EUR",
    "payment_token": "tok_approve",
    "attempt": 1,
    "expires_at": 1,
}
STOCK: dict[str, Any] = {"warehouse_id": "wh-1", "sku": "SKU-1", "quantity": 1}

CANCELLATION: dict[str, Any] = {"order_id": "ord-1", "reason": "r" * REASON_LIMIT, "requested_by": "b" * 500}
FAILURE: dict[str, Any] = {
    "order_id": "ord-1",
    "command": "ReleaseStock",
    "command_id": "1",
    "service": "inventory",
    "error": "TerminalError",
    "message": "m" * REASON_LIMIT,
    "attempts": 1,
}

SEEN = {"type": "OrderPlaced", "message_id": "1", "topic": "orders.events", "partition": 0, "offset": 0, "at": 1}

BAD = [
    (PlaceOrder, TERMS, {"lines": []}, "lines: Tuple should have at least 1 item"),
    (PlaceOrder, TERMS, {"lines": [LINE] * 101}, "lines: Tuple should have at most 100 items"),
    (
        PlaceOrder,
        TERMS,
        {"lines": [{**LINE, "quantity": -1}]},
        "lines.0.quantity: Input should be greater than or equal",
    ),
    (PlaceOrder, TERMS, {"lines": [LINE, {**LINE, "quantity": 1_000_001}]}, "lines.1.quantity: Input should be less"),
    (PlaceOrder, TERMS, {"lines": [{**LINE, "quantity": 1.5}]}, "lines.0.quantity: Input should be a valid integer"),
    (PlaceOrder, TERMS, {"lines": [{**LINE, "unit_price": -1}]}, "lines.0.unit_price: Input should be greater"),
    (PlaceOrder, TERMS, {"lines": [{**LINE, "unit_price": MOST_MONEY + 1}]}, "lines: the total is"),
    (PlaceOrder, TERMS, {"lines": [{**LINE, "unit_price": 2**63}]}, "lines.0.unit_price: Input should be less"),
    (PlaceOrder, TERMS, {"currency": "eur"}, "currency: String should match pattern"),
    (PlaceOrder, TERMS, {"currency": "EURO"}, "currency: String should match pattern"),
    (PlaceOrder, TERMS, {"order_id": ""}, "order_id: String should match pattern"),
    (PlaceOrder, TERMS, {"order_id": "a/b"}, "order_id: String should match pattern"),
    (PlaceOrder, TERMS, {"order_id": "a\n"}, "order_id: String should match pattern"),
    (PlaceOrder, TERMS, {"order_id": "x" * 65}, "order_id: String should match pattern"),
    (PlaceOrder, TERMS, {"shipping_speed": "overnight"}, "shipping_speed: Input should be 'standard' or 'express'"),
    (PlaceOrder, TERMS, {"payment_token": ""}, "payment_token: String should have at least 1 character"),
    (PlaceOrder, TERMS, {"discount": 1}, "discount: Extra inputs are not permitted"),
    (OrderPlaced, TERMS, {}, "placed_at: Field required"),
    (OrderPlaced, TERMS, {"placed_at": -1}, "placed_at: Input should be greater than or equal to 0"),
    (OrderPlaced, TERMS, {"placed_at": 253_402_300_800_000}, "placed_at: Input should be less than or equal to 25"),
    (ProcessPayment, PAYMENT, {"attempt": 2**31}, "attempt: Input should be less than or equal to 2147483647"),
    (ProcessPayment, PAYMENT, {"amount": 2**63}, "amount: Input should be less than or equal to 9223372036854775807"),
    (ProcessPayment, PAYMENT, {"amount": "12"}, "amount: Input should be a valid integer"),
    (ProcessPayment, PAYMENT, {"amount": True}, "amount: Input should be a valid integer"),
    (ReceiveStock, STOCK, {"quantity": 0}, "quantity: Input should be greater than or equal to 1"),
    (RequestCancellation, CANCELLATION, {"requested_by": "b" * 501}, "requested_by: String should have at most 500"),
    (RequestCancellation, CANCELLATION, {"reason": "r" * 2_001}, "reason: String should have at most 2000"),
    (CommandFailed, FAILURE, {"message": "m" * 2_001}, "message: String should have at most 2000"),
    (CommandFailed, FAILURE, {"error": "e" * 301}, "error: String should have at most 300"),
    (OrderState, {"order_id": "o"}, {"status": "lost"}, "status: Input should be 'placeholder', "),
]


@pytest.mark.parametrize(("message_type", "good", "change", "expected"), BAD, ids=[expected for *_, expected in BAD])
def test_a_bad_value_names_its_field(
    message_type: type[Message], good: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        message_type.model_validate(good | change)
    assert invalid_fields(refused.value).startswith(expected)


def unbounded_texts(node: Any, path: str) -> Iterator[str]:
    """Yield where a JSON schema lets a text, or a list, be as long as it likes."""
    match node:
        case {"type": "string"} if not node.keys() & {"maxLength", "pattern", "enum", "const", "format"}:
            yield path
        case {"type": "array"} if "maxItems" not in node:
            yield path
        case dict():
            for name, value in node.items():
                yield from unbounded_texts(value, f"{path}.{name}")
        case list():
            for value in node:
                yield from unbounded_texts(value, path)


def test_every_text_that_outsiders_may_write_has_a_bound() -> None:
    kinds = {kind for topic in CATALOGUE.topics if topic.is_external for kind in topic.messages}
    assert [path for kind in kinds for path in unbounded_texts(kind.model_json_schema(), kind.__name__)] == []


def test_every_text_of_an_operator_has_a_bound() -> None:
    headers = {"RedriveRecord.properties.headers", "RedriveRecord.$defs.RecordHeader.properties.name"}
    paths = {path for kind in COMMANDS for path in unbounded_texts(kind.model_json_schema(), kind.__name__)}
    assert paths == headers, "headers are bounded by the size of their record"


def test_longer_texts_of_an_earlier_release_are_still_read_as_state() -> None:
    seen = {**SEEN, "by": "b" * 10_000, "why": "w" * 10_000}
    state = OrderState.model_validate({"order_id": "o", "reason": "r" * 10_000, "seen": [seen]})
    assert len(state.seen[0].by) == 10_000


def test_the_largest_order_is_accepted() -> None:
    line = {"sku": "SKU-1", "quantity": 1, "unit_price": MOST_MONEY}
    assert PlaceOrder.model_validate(TERMS | {"lines": [line]}).lines[0].unit_price == MOST_MONEY


def test_text_from_a_command_line_is_taken_as_what_it_means() -> None:
    fields = {"warehouse_id": "wh-1", "sku": "SKU-1", "quantity": "7"}
    assert ReceiveStock.model_validate_strings(fields).quantity == 7


def test_state_needs_nothing_but_its_key() -> None:
    assert OrderState(order_id="ord-1").status == "placeholder"


def test_ids_lie_where_no_registry_hands_them_out() -> None:
    assert all(SCHEMAS.id_of(name) >= 0x7F000001 for name in SCHEMAS.names())


def test_every_field_is_documented() -> None:
    files = {name: SCHEMAS.read(SCHEMAS.working_path(name)) for name in SCHEMAS.names()}
    fields = [(name, field) for name, schema in files.items() for field in schema["fields"]]
    assert [f"{name}.{field['name']}" for name, field in fields if not field.get("doc")] == []


def test_every_time_is_marked_as_one_for_other_readers() -> None:
    """`due_at`, `at`, `since`: epoch milliseconds, which other readers show as times by the logical type alone."""
    fields = [(name, field) for name, schema in SCHEMAS.working.items() for field in schema["fields"]]
    times = [(f"{name}.{field['name']}", field["type"]) for name, field in fields if is_time(field["name"])]
    assert len(times) >= 10
    assert [name for name, kind in times if "timestamp-millis" not in json.dumps(kind)] == []


def is_time(name: str) -> bool:
    return name in {"at", "since"} or name.endswith(("_at", "_since"))


def test_state_can_be_rolled_back_because_all_but_its_key_has_a_default() -> None:
    keys = {"order_id", "warehouse_id", "sku"}
    schemas = [schema for name, schema in SCHEMAS.working.items() if name.startswith("ensemble.state.")]
    assert {field["name"] for schema in schemas for field in schema["fields"] if "default" not in field} == keys
