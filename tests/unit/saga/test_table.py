"""What a table may say, and whether table, conductor and policies agree. With a small saga of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts import (
    CancelOrder,
    CompleteOrder,
    OrderPlaced,
    OrderState,
    PaymentConfirmed,
    PaymentRefunded,
    RefundPayment,
    RequestCancellation,
    ReservationConfirmed,
    ReservationRejected,
    ShipmentScheduled,
)
from ensemble import (
    IRREVERSIBLE,
    NO_EFFECT,
    Command,
    CommandBus,
    Saga,
    Step,
    TimerDue,
    Undo,
    conducts,
    handles,
    reacts_to,
    when_due,
)
from ensemble.errors import ConfigurationError
from ensemble.messages import Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga import advance, check_saga
from ensemble.saga.check import commands_heard_of
from services.orchestrator.domain import cancel_order, complete_order, refund_payment
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from tests.support.order_saga_driver import CANCEL, PAID, PLACED, REFUNDED, REJECTED, RESERVED

POLICY = StepPolicy(deadline_s=10, resends=0)
POLICIES = SagaPolicies(steps={"pay": POLICY, "pick": POLICY}, undos={"pay": POLICY})
PAY: Step[OrderState, Command] = Step(
    "pay", status="payment_pending", succeeds_on=PaymentConfirmed, undo=Undo(refund_payment, until=PaymentRefunded)
)
PICK: Step[OrderState, Command] = Step(
    "pick", succeeds_on=ReservationConfirmed, fails_on=ReservationRejected, undo=IRREVERSIBLE
)


def saga(*steps: Step[OrderState, Command]) -> Saga[OrderState, Command]:
    return Saga(
        name="small",
        version=1,
        starts_on=OrderPlaced,
        cancelled_by=RequestCancellation,
        steps=steps,
        completes_with=(complete_order,),
        cancels_with=(cancel_order,),
    )


SMALL = saga(PAY, PICK)


@conducts(SMALL)
@dataclass(frozen=True)
class Conductor:
    commands: CommandBus[RefundPayment | CompleteOrder | CancelOrder]

    @reacts_to(OrderPlaced)
    def handle(self, event: OrderPlaced) -> None: ...

    @reacts_to(PaymentConfirmed)
    def on_paid(self, event: PaymentConfirmed) -> None: ...

    @reacts_to(PaymentRefunded)
    def on_refunded(self, event: PaymentRefunded) -> None: ...

    @reacts_to(ReservationConfirmed)
    def on_picked(self, event: ReservationConfirmed) -> None: ...

    @reacts_to(ReservationRejected)
    def on_short(self, event: ReservationRejected) -> None: ...

    @handles(RequestCancellation)
    def cancel(self, command: RequestCancellation) -> None: ...

    @when_due("deadline")
    @when_due("retention")
    def on_timer(self, timer: TimerDue) -> None: ...


def after(*messages: Message) -> OrderState:
    state = OrderState(order_id="o-1")
    for message in messages:
        state = advance(SMALL, state, message, now=1, policies=POLICIES).state
    return state


def test_table_conductor_and_policies_agree() -> None:
    check_saga(SMALL, Conductor, POLICIES)


def test_an_order_can_be_cancelled_until_an_irreversible_step_begins() -> None:
    assert after(PLACED, CANCEL, REFUNDED).status == "cancelled"
    assert after(PLACED, PAID, CANCEL, RESERVED).status == "completed"


def test_an_irreversible_step_is_owed_when_a_later_one_turns_the_saga_back() -> None:
    state = after(PLACED, RESERVED, REFUNDED)
    assert (state.status, state.owed) == ("compensation_failed", ("pick",))


def test_a_refused_irreversible_step_is_not_owed() -> None:
    assert after(PLACED, PAID, REJECTED, REFUNDED).status == "cancelled"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((), "the first step needs a status"),
        ((PICK,), "the first step needs a status"),
        ((PAY, replace(PICK, name="pay")), "two steps are called 'pay'"),
        ((PAY, replace(PICK, succeeds_on=PaymentConfirmed)), "PaymentConfirmed answers two questions"),
        ((PAY, replace(PICK, status="cancelled")), "which the engine gives"),
    ],
)
def test_refuses_a_table_that_cannot_be_played(steps: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        saga(*steps)


def test_an_irreversible_step_is_the_last_or_acknowledged() -> None:
    last = Step[OrderState, Command]("pack", succeeds_on=ShipmentScheduled, undo=NO_EFFECT)
    policies = POLICIES.model_copy(update={"steps": dict.fromkeys(("pay", "pick", "pack"), POLICY)})
    with pytest.raises(ConfigurationError, match="step 'pick' is irreversible, but not the last"):
        check_saga(saga(PAY, PICK, last), Conductor, policies)
    with pytest.raises(ConfigurationError) as error:
        check_saga(saga(PAY, replace(PICK, acknowledged="goods leave before papers"), last), Conductor, policies)
    assert "irreversible" not in str(error.value)


def test_names_each_operation_that_nobody_handles() -> None:
    operated = replace(SMALL, operated_by=ORDER_FULFILMENT.operated_by)
    with pytest.raises(ConfigurationError, match=r"no method of Conductor has @handles\(PauseOrder\)"):
        check_saga(operated, Conductor, POLICIES)


def test_names_each_event_that_nobody_reacts_to() -> None:
    more = saga(PAY, replace(PICK, may_start_on=(ShipmentScheduled,)))
    with pytest.raises(ConfigurationError, match=r"no method of Conductor has @reacts_to\(ShipmentScheduled\)"):
        check_saga(more, Conductor, POLICIES)


def test_names_each_event_that_the_table_does_not_name() -> None:
    with pytest.raises(ConfigurationError, match="Conductor reacts to ReservationRejected, which the table does not"):
        check_saga(saga(PAY, replace(PICK, fails_on=None)), Conductor, POLICIES)


def test_names_what_a_role_lacks() -> None:
    @dataclass(frozen=True)
    class Idle:
        commands: CommandBus[RefundPayment]

    with pytest.raises(ConfigurationError) as error:
        check_saga(SMALL, Idle, POLICIES)
    message = str(error.value)
    assert "Idle does not conduct it; mark the class with @conducts" in message
    assert "no method of Idle has @handles(RequestCancellation)" in message
    assert 'no method of Idle has @when_due("retention")' in message
    assert "complete_order makes CompleteOrder, which the buses of Idle do not declare" in message


def unnamed() -> Callable[[OrderState], Command]:
    return lambda state: CompleteOrder(order_id=state.order_id)


def test_names_a_builder_that_does_not_say_what_it_makes() -> None:
    with pytest.raises(ConfigurationError, match="<lambda> does not say which command it makes"):
        check_saga(saga(PAY, replace(PICK, send=unnamed())), Conductor, POLICIES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": {"pay": POLICY}}, "step 'pick' has no policy"),
        ({"steps": {"pay": POLICY, "pick": POLICY, "pack": POLICY}}, "policy for step 'pack', but the table has none"),
        ({"undos": {}}, "undo of step 'pay' has no policy"),
        ({"undos": {"pay": POLICY, "pick": POLICY}}, "policy for undo of step 'pick'"),
        ({"steps": {"pay": StepPolicy(deadline_s=1, resends=2), "pick": POLICY}}, "2 resends but nothing to send"),
        ({"steps": {"pay": POLICY.model_copy(update={"on_exhaustion": "pause"}), "pick": POLICY}}, "pay would pause"),
    ],
)
def test_names_the_policy_that_is_missing_or_too_much(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        check_saga(SMALL, Conductor, POLICIES.model_copy(update=change))


def test_all_that_does_not_fit_is_said_at_once() -> None:
    # given a role that hears of one answer, and of one that the table does not name, and policies of another table
    @conducts(ORDER_FULFILMENT)
    @dataclass(frozen=True)
    class Idle:
        commands: CommandBus[CancelOrder]

        @reacts_to(PaymentConfirmed, ShipmentScheduled)
        def on_event(self, event: PaymentConfirmed | ShipmentScheduled) -> None: ...

        @when_due("deadline")
        def on_timer(self, timer: TimerDue) -> None: ...

    pausing = StepPolicy(deadline_s=1, resends=2, on_exhaustion="pause")
    policies = SagaPolicies(steps={"pick": pausing, "pack": POLICY}, undos={"pick": pausing})

    # then each difference has a line
    with pytest.raises(ConfigurationError) as error:
        check_saga(saga(replace(PAY, undo=IRREVERSIBLE), replace(PICK, undo=NO_EFFECT, send=unnamed())), Idle, policies)
    assert str(error.value).splitlines() == [
        "saga small cannot be conducted:",
        "  Idle does not conduct it; mark the class with @conducts",
        "  the table names OrderPlaced, but no method of Idle has @reacts_to(OrderPlaced)",
        "  the table names ReservationConfirmed, but no method of Idle has @reacts_to(ReservationConfirmed)",
        "  the table names ReservationRejected, but no method of Idle has @reacts_to(ReservationRejected)",
        "  Idle reacts to ShipmentScheduled, which the table does not name",
        "  no method of Idle has @handles(RequestCancellation)",
        '  no method of Idle has @when_due("retention")',
        "  <lambda> does not say which command it makes; give it a return type",
        "  complete_order makes CompleteOrder, which the buses of Idle do not declare",
        "  step 'pay' has no policy: how long to wait for it, and how often to ask again",
        "  there is a policy for step 'pack', but the table has none of that name",
        "  there is a policy for undo of step 'pick', but the table has none of that name",
        "  step 'pay' is irreversible, but not the last; move it, or say why in its acknowledged=",
        "  pick, pick would pause on exhaustion, but no operator could resume it; give the saga operated_by",
    ]


def test_a_saga_hears_of_the_commands_of_its_steps_and_undos() -> None:
    names = {command.__name__ for command in commands_heard_of(ORDER_FULFILMENT)}
    assert names == {"ProcessPayment", "FulfilOrder", "RefundPayment", "ReleaseStock", "CancelShipment"}
    assert commands_heard_of(SMALL) == frozenset(), "it has no event that tells of a failure"


def test_the_table_of_an_order_says_who_answers_what() -> None:
    def names(kinds: Any) -> list[str]:
        return [kind.__name__ for kind in kinds]

    table = ORDER_FULFILMENT
    assert {kind.__name__: step.name for kind, step in table.answered_steps.items()} == {
        "PaymentConfirmed": "payment", "PaymentDeclined": "payment", "PaymentRefunded": "payment",
        "ReservationConfirmed": "reservation", "ReservationRejected": "reservation",
        "ReservationReleased": "reservation", "ShipmentScheduled": "shipment", "ShipmentCancelled": "shipment",
    }  # fmt: skip
    assert {kind.__name__: [step.name for step in steps] for kind, steps in table.steps_begun.items()} == {
        "PaymentConfirmed": ["payment"], "ReservationConfirmed": ["shipment", "reservation"],
        "ShipmentScheduled": ["shipment"], "OrderPlaced": ["shipment"],
    }  # fmt: skip
    assert table.statuses == {"payment": "payment_pending", "reservation": "fulfilled", "shipment": "fulfilled"}
    assert table.awaited["reservation"] == ("ReservationConfirmed", "ReservationRejected")
    assert table.awaited["shipment"] == ("ShipmentScheduled",)
    assert list(table.operations.values()) == ["pause", "resume", "retry", "compensate", "settle"]
    assert (sorted(table.pivots), sorted(SMALL.pivots), len(SMALL.operations)) == ([], ["pick"], 0)
    assert sorted(names(table.commands())) == [
        "CompensateOrder", "PauseOrder", "RequestCancellation", "ResumeOrder", "RetryOrder", "SettleOrder",
    ]  # fmt: skip
    assert sorted(names(table.events())) == [
        "CommandFailed", "OrderPlaced", "PaymentConfirmed", "PaymentDeclined", "PaymentRefunded",
        "ReservationConfirmed", "ReservationRejected", "ReservationReleased", "ShipmentCancelled", "ShipmentScheduled",
    ]  # fmt: skip
    assert names(table.builders()) == [
        "process_payment", "refund_payment", "fulfil_order", "release_stock", "fulfil_order", "cancel_shipment",
        "complete_order", "dispatch_stock", "cancel_order",
    ]  # fmt: skip
