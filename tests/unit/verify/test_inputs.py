"""An input that vanished, or counted twice, is found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, permutations

import pytest

from contracts.catalogue import CATALOGUE
from ensemble import Command
from tests.support.recorded_flow.flow import DUE, LINES, RecordedFlow
from tests.support.recorded_flow.orders import ANY_FIELDS, TERMS, clean_flow, place, violation_lines_with
from tests.support.recorded_flow.records import PARTITIONS
from verifier.flow import DUTIES, KEY_OF, SENT_AGAIN, TYPES_OF
from verifier.flow import TERMS as COMPARED
from verifier.placement import partition_of
from verifier.runtime_formats import MOST_SEEN


def place_order_lost(flow: RecordedFlow) -> None:
    flow.outside("orders.commands", "PlaceOrder", "o-new", **{**flow.last("PlaceOrder").fields, "order_id": "o-new"})


def answer_lost(flow: RecordedFlow) -> None:
    flow.drop(flow.last("ReservationConfirmed", "o-done"))


def dispatch_ignored(flow: RecordedFlow) -> None:
    flow.drop(*list(flow.all("StockDispatched", "o-done")))


def receipt_lost(flow: RecordedFlow) -> None:
    fields = {"warehouse_id": "berlin", "sku": "tea", "quantity": 1}
    flow.outside("inventory.commands", "ReceiveStock", "berlin", **fields)


def event_never_noted(flow: RecordedFlow) -> None:
    flow.by(
        "payment", "payments.events", "PaymentRefunded", flow.last("RefundPayment"), order_id="o-undone", amount=DUE
    )


def cancellation_ignored(flow: RecordedFlow) -> None:
    flow.outside("orchestrator.commands", "RequestCancellation", "o-done", order_id="o-done", reason="too late")


def order_unknown_to_the_order_service(flow: RecordedFlow) -> None:
    flow.drop(*[r for r in flow.records if r.topic() == "order.order-changelog" and r.raw_key == b"o-done"])


def order_unknown_to_shipping(flow: RecordedFlow) -> None:
    flow.drop(*[r for r in flow.records if r.topic() == "shipping.shipment-changelog" and r.raw_key == b"o-done"])


def express_order_never_scheduled(flow: RecordedFlow) -> None:
    flow.drop(flow.last("InitiatePackaging", "o-fast"), *list(flow.all("ShipmentScheduled", "o-fast")))


def swallowed_command_of_an_order_that_was_undone(flow: RecordedFlow) -> None:
    """Its undo is no excuse: it never waited."""
    flow.drop(flow.last("ScheduleShipment", "o-undone"), flow.last("ReservationConfirmed", "o-undone"))
    flow.drop(*list(flow.all("StockReserved", "o-undone")), *list(flow.all("StockReleased", "o-undone")))


def packing_never_begun(flow: RecordedFlow) -> None:
    for record in flow.records:
        if record.topic() == "shipping.shipment-changelog" and record.raw_key == b"o-fast":
            record.fields["packaging"] = False


def event_never_noted_by_a_long_memory(flow: RecordedFlow) -> None:
    """The state had room for one message more."""
    event_never_noted(flow)
    state = flow.last("OrderState", "o-undone").fields
    state["seen"] = [*state["seen"], *[state["seen"][-1]] * 31][:31]


def event_never_noted_by_a_full_memory(flow: RecordedFlow) -> None:
    """It came after the latest entry, so the memory would have it."""
    state = flow.last("OrderState", "o-undone").fields
    state["seen"] = [state["seen"][0]] * MOST_SEEN
    event_never_noted(flow)


def order_of_another_shop_taken_for_a_copy(flow: RecordedFlow) -> None:
    """Two shops number their orders alike, and the keys of both share a partition."""
    first = next(flow.all("PlaceOrder", "o-done"))
    partition = first.at[1]
    order_id = next(
        name for number in count() if partition_of((name := f"o-{number}").encode(), PARTITIONS) == partition
    )
    fields = {**first.fields, "order_id": order_id}
    flow.outside("orders.commands", "PlaceOrder", order_id, **fields).set_header("ce_id", first.message_id)


def shipment_of_an_express_order_that_only_another_message_planned(flow: RecordedFlow) -> None:
    """Shipping knows the order, and has answered nothing."""
    place(flow, "o-new", speed="express")
    flow.drop(flow.last("InitiatePackaging", "o-new"), flow.last("ShipmentScheduled", "o-new"))


def garbage_ignored(flow: RecordedFlow) -> None:
    flow.outside("orders.commands", "PlaceOrder", "o-bad").raw_value = b"garbage"


def key_on_a_partition_of_others_ignored(flow: RecordedFlow) -> None:
    fields = {**TERMS, "order_id": "o-bad"}
    partition = (partition_of(b"o-bad", PARTITIONS) + 1) % PARTITIONS
    flow.write_at(("orders.commands", partition), "PlaceOrder", "o-bad", fields, ce_id="any")


def tombstone_ignored(flow: RecordedFlow) -> None:
    flow.outside("payments.commands", "ProcessPayment", "o-bad").is_tombstone = True


def dead_letter_that_took_effect(flow: RecordedFlow) -> None:
    flow.dead_letter("payment", flow.last("ProcessPayment", "o-done"))


def torn_transaction(flow: RecordedFlow) -> None:
    flow.drop(flow.last("InitiatePackaging", "o-fast"))


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (place_order_lost, "inputs", "no OrderPlaced from it"),
        (answer_lost, "inputs", "no ReservationConfirmed or ReservationRejected from it"),
        (dispatch_ignored, "inputs", "no StockDispatched from it"),
        (receipt_lost, "inputs", "no StockReceived from it"),
        (event_never_noted, "inputs", "orchestrator has read it, but there is no trace in its state"),
        (cancellation_ignored, "inputs", "RequestCancellation"),
        (order_unknown_to_the_order_service, "inputs", "order has read it"),
        (order_unknown_to_shipping, "inputs", "shipping has read it"),
        (express_order_never_scheduled, "inputs", "shipping has read it, but there is no ShipmentScheduled from it"),
        (
            swallowed_command_of_an_order_that_was_undone,
            "inputs",
            "inventory has read it, but there is no ReservationConfirmed or ReservationRejected from it",
        ),
        (packing_never_begun, "inputs", "InitiatePackaging"),
        (event_never_noted_by_a_long_memory, "inputs", "there is no trace in its state"),
        (event_never_noted_by_a_full_memory, "inputs", "there is no trace in its state"),
        (order_of_another_shop_taken_for_a_copy, "inputs", "no OrderPlaced from it"),
        (
            shipment_of_an_express_order_that_only_another_message_planned,
            "inputs",
            "shipping has read it, but there is no ShipmentScheduled from it",
        ),
        (garbage_ignored, "inputs", "no dead letter of order: the first byte"),
        (key_on_a_partition_of_others_ignored, "inputs", "no dead letter of order: its key belongs to partition"),
        (tombstone_ignored, "inputs", "it is a tombstone"),
        (dead_letter_that_took_effect, "inputs", "and yet AttemptCharge"),
        (torn_transaction, "inputs", "without InitiatePackaging: a transaction was torn"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)


@pytest.mark.parametrize(("kind", "reader"), [(kind, duty.reader) for kind in DUTIES for duty in DUTIES[kind]])
def test_finds_a_message_of_every_type_that_a_reader_has_swallowed(kind: str, reader: str) -> None:
    # given a message of an order that nobody has heard of, and no trace of it
    flow = clean_flow()
    topic, fields = next(topic for topic in TYPES_OF if kind in TYPES_OF[topic]), {**ANY_FIELDS, "order_id": "o-lost"}
    flow.outside(topic, kind, fields[KEY_OF[topic]], **fields)

    # when it is judged, then each reader that owes something is told of
    lines = [line for line in flow.violation_lines("inputs").splitlines() if line.startswith(f"{kind} {topic}")]
    assert [line for line in lines if f"{reader} has read it, but there is no" in line]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [(kind, *pair) for kind, duties in DUTIES.items() for duty in duties for pair in permutations(duty.together, 2)],
)
def test_finds_each_half_of_a_torn_transaction(kind: str, one: str, other: str) -> None:
    # given an order whose message had both effects, and has lost the one
    flow = clean_flow()
    order_id = "o-fast" if kind == "OrderPlaced" else "o-done"
    flow.drop(*list(flow.all(other, order_id)))

    # then the other one is told to be alone
    assert f"{one} follows from it without {other}: a transaction was torn" in flow.violation_lines("inputs")


@pytest.mark.parametrize("term", COMPARED)
def test_finds_another_order_under_a_known_id_that_was_swallowed(term: str) -> None:
    # given a second order under the id of a first, which differs in one term
    others = {"lines": list(LINES[:1]), "currency": "USD", "shipping_speed": "express"}
    flow = clean_flow()
    flow.outside(
        "orders.commands", "PlaceOrder", "o-done", **{**TERMS, "order_id": "o-done", term: others.get(term, "x")}
    )

    # then the first is no excuse for silence
    assert "PlaceOrder orders.commands" in flow.violation_lines("inputs")


def test_every_command_that_counts_its_attempts_may_be_answered_by_a_later_one() -> None:
    commands = (message for topic in CATALOGUE.topics for message in topic.messages if issubclass(message, Command))
    assert {command.__name__ for command in commands if "attempt" in command.model_fields} == SENT_AGAIN
