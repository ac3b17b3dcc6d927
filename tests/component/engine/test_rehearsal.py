"""A rehearsal of a redrive: the real handlers on a copy of the state, and nothing that leaves."""

from typing import Any

import pytest

from contracts import Payment
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.rehearsal import Rehearsal, Stage, stub_adapters
from ensemble.engine.task import PartitionTask
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.system_messages.operations import RedriveRecord
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.order_messages import attempt_charge, process_payment

NOW = 1_750_000_000_000
KNOWN = b"o-1"


@pytest.fixture
def stage(gateway: InMemoryPaymentGateway) -> Stage:
    return stub_adapters(payment_service(gateway))


@pytest.fixture
def rehearsal(stage: Stage) -> Rehearsal:
    return Rehearsal(PartitionTask(compile_service(stage.service, ManualClock(NOW)), 0), stage.calls, NOW)


def redrive(message: Message, **changes: Any) -> RedriveRecord:
    who = {"operation_id": "1", "requested_by": "ann", "reason": "a test", "at": NOW}
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 0, "offset": 7, "generation": 0}
    value = encoder_for(type(message))(message)
    content: dict[str, Any] = {
        "parking_key": "o-1",
        "key": KNOWN,
        "value": value,
        "headers": (),
        "redriven_from": "x/0/1",
    }
    return RedriveRecord(**who, **place | content | changes)


def test_it_says_what_would_be_sent_and_which_state_would_change(rehearsal: Rehearsal) -> None:
    tried = rehearsal.rehearse(redrive(process_payment()))
    assert (tried.outcome, [output[0] for output in tried.outputs]) == ("done", ["payments.commands"])
    assert tried.changes == (("payment.payment-changelog", KNOWN),)
    assert not tried.is_idle


def test_it_stops_at_the_port_and_names_call_and_key(rehearsal: Rehearsal, gateway: InMemoryPaymentGateway) -> None:
    tried = rehearsal.rehearse(redrive(attempt_charge()))
    assert ([str(call) for call in tried.calls], tried.failure) == (["gateway.charge(o-1:charge)"], "")
    assert gateway.calls == []


def test_a_call_that_was_not_made_leaves_the_copy_as_it_was(rehearsal: Rehearsal) -> None:
    rehearsal.rehearse(redrive(attempt_charge()))
    assert rehearsal.task.stores.parking.keys == set()
    assert rehearsal.rehearse(redrive(attempt_charge(), offset=8)).calls != ()


def test_each_sees_what_those_before_it_did(rehearsal: Rehearsal) -> None:
    rehearsal.rehearse(redrive(process_payment()))
    again = rehearsal.rehearse(redrive(process_payment()).model_copy(update={"operation_id": "another"}))
    assert (again.outcome, again.words) == ("nothing_to_do", "it was redriven already")


def test_what_is_done_already_would_change_nothing(rehearsal: Rehearsal) -> None:
    captured = Payment(order_id="o-1", status="captured", amount=500, currency="EUR", charge_id="ch-1")
    store = rehearsal.task.stores.by_subject[Payment]
    store.restore(KNOWN, encoder_for(Payment)(captured))
    tried = rehearsal.rehearse(redrive(attempt_charge()))
    assert (tried.is_idle, [output[0] for output in tried.outputs]) == (True, ["payments.events"])


def test_what_fails_again_says_why(rehearsal: Rehearsal) -> None:
    tried = rehearsal.rehearse(redrive(process_payment(), value=b"?", edited=None))
    assert "UndecodableRecord" in tried.failure or "UnknownSchema" in tried.failure
