"""Redrives rehearsed on the order flow: whole answers, for what would succeed, fail again, or stop at the provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import session_on
from ensemble.command_line.publishing import publish
from ensemble.engine import CompiledService, PartitionTask
from ensemble.messages import encoder_for
from ensemble.operations import (
    Actor,
    DeadLetterFilter,
    DeadLetters,
    Intent,
    NotFound,
    SentOperation,
    find_dead_letter,
    redrive_of,
    rehearse_redrives,
)
from ensemble.operations.service_topics import declared_service
from services.app import APP
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.rehearsal_in_memory import rehearse_in_memory

INTENT = Intent(actor=Actor(name="ann", via="cli"), reason="mended")


@pytest.fixture
def flow() -> Iterator[Any]:
    """A charge that payment has given up while its provider was away, and a command that nobody can read."""
    with capture_logs():
        flow: Any = FlowInMemory()
        flow.gateway.available = False
        publish(flow, place_order(order_id="o-1"))
        flow.settle()
        flow.stopped = {"orchestrator"}
        flow.advance(60)
        flow.flow.write("orders.commands", b"o-2", b"\0\0nonsense", [("ce_type", b"ensemble.commands.PlaceOrder")])
        flow.settle()
        yield flow


@pytest.fixture
def letters(flow: Any) -> DeadLetters:
    return DeadLetters(session_on(flow), rehearse=rehearse_in_memory)


def rehearse(letters: DeadLetters, service: str, edited: bytes | None = None) -> dict[str, Any]:
    plan = letters.plan_redrive(DeadLetterFilter(service=service)).model_copy(update={"edited": edited})
    [rehearsal] = letters.rehearse(plan)
    return rehearsal.model_dump()


CHARGE: dict[str, Any] = {
    "name": "payment.dead-letter/2/0", "type": "AttemptCharge", "key": "o-1", "unreadable_because": None,
    "handler": "Charger.attempt_charge", "outcome": "done", "detail": "", "happened": "outside", "happened_at": None,
    "changes": (), "stops_at": ("gateway.charge(o-1:charge)",), "failure": None, "left_parked": 1,
}  # fmt: skip
PLACING: dict[str, Any] = {
    "name": "order.dead-letter/3/0", "type": "PlaceOrder", "key": "o-2", "unreadable_because": None, "handler": None,
    "outcome": "done", "detail": "", "happened": "no", "happened_at": None, "outputs": (), "changes": (),
    "stops_at": (), "failure": None, "left_parked": 0,
}  # fmt: skip


def test_a_rehearsal_says_which_handler_would_run_and_where_it_would_stop(letters: DeadLetters) -> None:
    charge = rehearse(letters, "payment")
    assert charge | {"outputs": ()} == {**CHARGE, "outputs": ()}


def test_what_cannot_be_read_would_fail_again_and_is_told_as_its_headers_claim(letters: DeadLetters) -> None:
    placing = rehearse(letters, "order")
    reason = "schema id 7237486 is in no schemas directory or registry known here"
    failure = placing.pop("failure")
    assert {**placing, "failure": None} == {**PLACING, "unreadable_because": reason}
    assert failure.startswith("UnknownSchema: schema id 7237486 is none of those that orders.commands carries; ")


def test_with_a_value_in_its_place_it_would_be_handled(letters: DeadLetters) -> None:
    placed = {"kind": "emit", "type": "OrderPlaced", "key": "o-2", "topic": "orders.events"}
    command = place_order(order_id="o-2")
    assert rehearse(letters, "order", encoder_for(type(command))(command)) == {
        **PLACING, "outputs": (placed,), "changes": ("order.order-changelog o-2",)
    }  # fmt: skip


def test_services_are_rehearsed_in_the_order_of_their_first_record_and_partition_by_partition(
    flow: Any, letters: DeadLetters
) -> None:
    for number in range(3, 9):
        flow.flow.write("orders.commands", b"o-%d" % number, b"\0\0nonsense")
    flow.settle()
    plan = letters.plan_redrive(DeadLetterFilter(until=10**15))
    names = [each.name for each in letters.rehearse(plan)]
    by_partition = sorted(name for name in names if name.startswith("order."))
    assert names == ["payment.dead-letter/2/0", *by_partition]
    assert len(by_partition) == 7
    assert len({name.split("/")[1] for name in by_partition}) > 1


def test_what_is_gone_is_left_out_of_a_rehearsal(letters: DeadLetters) -> None:
    plan = letters.plan_redrive(DeadLetterFilter(service="payment"))
    [item] = plan.items
    gone = item.model_copy(update={"name": "payment.dead-letter/2/9", "dead_letter": item.dead_letter and
                                   item.dead_letter.model_copy(update={"offset": 9})})  # fmt: skip
    head = item.model_copy(update={"name": "payments.commands/2/1", "dead_letter": None})
    [rehearsal] = letters.rehearse(plan.model_copy(update={"items": (gone, head, item)}))
    assert rehearsal.name == item.name


def rehearse_forgotten(flow: Any, generation: int) -> dict[str, Any]:
    """Rehearse the charge, on copies of payment's state; of another generation it was never redriven."""

    def copy(service: CompiledService, partition: int) -> PartitionTask:
        task = PartitionTask(service, partition)
        flow.flow.topics.restore(task, service)
        task.start_at({})
        return task

    letter = find_dead_letter(session_on(flow), "payment.dead-letter/2/0")
    command = redrive_of(letter, INTENT).model_copy(update={"generation": generation})
    [rehearsal] = rehearse_redrives(session_on(flow), [SentOperation(letter, command)], copy)
    return rehearsal.model_dump()


def test_what_was_redriven_is_not_tried_and_its_effect_is_found_on_its_topic(flow: Any, letters: DeadLetters) -> None:
    flow.gateway.available = True
    list(letters.run(letters.plan_redrive(DeadLetterFilter(service="payment")), INTENT).events())
    done = CHARGE | {"stops_at": (), "left_parked": 0}
    assert rehearse_forgotten(flow, 0) == {
        **done, "outcome": "nothing_to_do", "detail": "it was redriven already", "happened": "not_tried", "outputs": ()
    }  # fmt: skip
    confirmed = {"kind": "emit", "type": "PaymentConfirmed", "key": "o-1", "topic": "payments.events"}
    assert rehearse_forgotten(flow, 7) == {
        **done, "happened": "yes", "outputs": (confirmed,),
        "happened_at": {"topic": "payments.events", "partition": 2, "offset": 1},
    }  # fmt: skip


def test_a_service_that_the_application_has_not_is_named_with_those_that_it_has() -> None:
    with pytest.raises(NotFound) as missing:
        declared_service(APP, "kitchen")
    services = ", ".join(APP.services)
    assert str(missing.value) == f"the code of kitchen is not in this application; services are {services}"
    assert (missing.value.hint, missing.value.field) == (f"services are {services}", "service")
    assert declared_service(APP, "payment").name == "payment"
