"""What operators do with orders, through the service: what it sends, announces, keeps, and remembers."""

from __future__ import annotations

import pytest

from backoffice.debts import ChargeOwed, debts
from contracts import OrderCompensationFailed, OrderPaused, OrderResumed, OrderState, ProcessPayment, SeenEvent
from ensemble.operations import Money
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.testing.driver import ServiceTestDriver
from services.orchestrator.service import orchestrator
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    NAMES,
    PAID,
    PAUSE,
    PLACED,
    POLICIES,
    PROBE,
    RELEASED,
    RESERVED,
    RESUME,
    SCHEDULED,
    UNSHIPPED,
    settle,
)

TIMERS = "orchestrator.timers-changelog"


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(orchestrator(POLICIES))


def state_of(driver: ServiceTestDriver) -> OrderState:
    state = driver.state(OrderState, "o-1")
    assert state is not None
    return state


def last_seen(driver: ServiceTestDriver) -> SeenEvent:
    return state_of(driver).seen[-1]


def names(driver: ServiceTestDriver) -> list[str]:
    return [type(message).__name__ for message in driver.outputs]


def test_a_paused_order_waits_across_a_restart_and_then_goes_on(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.receive(PAUSE)
    driver.restart()
    driver.clear()
    driver.receive(PAID)
    driver.advance(3600)
    assert driver.sent == []

    driver.receive(RESUME)

    assert names(driver) == ["FulfilOrder", "OrderResumed"]


def test_tells_others_of_a_pause_and_its_end(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.receive(PAUSE, PAUSE)
    driver.advance(60)
    driver.receive(RESUME, RESUME)
    assert driver.emitted == [
        OrderPaused(order_id="o-1", paused_by="operator anna", reason="audit", step="payment"),
        OrderResumed(order_id="o-1", resumed_by="operator ben", reason="audited", paused_ms=60_000),
    ]


def test_the_deadline_moves_by_the_pause(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.advance(6)
    driver.receive(PAUSE)
    driver.advance(3600)
    driver.receive(RESUME)
    driver.clear()
    driver.restart()
    driver.advance(3.9)
    assert driver.sent == []
    driver.advance(0.2)
    (command,) = driver.sent
    assert isinstance(command, ProcessPayment)
    assert command.attempt == 2


def test_a_crash_leaves_nothing_of_a_pause(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.crash(PAUSE)
    assert (driver.outputs, state_of(driver).paused_since) == ([], None)
    driver.advance(10.1)
    assert names(driver) == ["ProcessPayment"]


def test_an_order_pauses_with_its_step_until_a_probe_passes(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.clear()
    driver.pause("step", "reservation", "inventory is being counted")
    driver.receive(PAID)
    (paused,) = driver.outputs
    assert isinstance(paused, OrderPaused)
    assert (paused.paused_by, paused.step) == ("step reservation", "payment")
    assert "inventory is being counted" in paused.reason
    driver.clear()
    driver.receive(RESUME)
    assert (names(driver), last_seen(driver).decided) == ([], ())
    driver.receive(PROBE)
    assert names(driver) == ["FulfilOrder", "OrderResumed"]


@pytest.mark.parametrize("paused", ["payment", "orchestrator"], ids=["receiver", "conductor itself"])
def test_no_command_leaves_for_or_from_a_paused_service(driver: ServiceTestDriver, paused: str) -> None:
    # given a service that is paused
    driver.pause("service", paused, "moving house")

    # when an order comes
    driver.receive(PLACED)

    # then it waits, and says for whom
    assert driver.sent == []
    assert (state_of(driver).paused_by, state_of(driver).step) == (f"service {paused}", None)

    # and it goes on when somebody resumes it after the pause
    driver.resume("service", paused)
    driver.receive(RESUME)
    assert names(driver) == ["OrderPaused", "ProcessPayment", "OrderResumed"]


@pytest.mark.parametrize("paused", ["inventory", "orchestrator"], ids=["participant", "conductor itself"])
def test_answers_are_recorded_while_a_service_is_paused(driver: ServiceTestDriver, paused: str) -> None:
    # given an order under way, and a service that is paused
    driver.receive(PLACED)
    driver.clear()
    driver.pause("service", paused)

    # when answers come
    driver.receive(PAID)
    driver.receive(RESERVED)

    # then they are recorded, and nothing follows from them yet
    assert (state_of(driver).done, driver.sent) == (("payment", "reservation"), [])


def test_says_exactly_what_is_owed_until_it_is_settled(driver: ServiceTestDriver) -> None:
    for message in (PLACED, PAID, CANCEL, UNSHIPPED, RELEASED):
        driver.receive(message)
    driver.clear()
    driver.advance(20.1)
    reason = "RequestCancellation: changed my mind"
    assert driver.emitted == [OrderCompensationFailed(order_id="o-1", owed=("payment",), reason=reason)]
    assert debts(state_of(driver), state_of(driver).owed) == (
        ChargeOwed(total=Money(amount=900, currency="EUR"), charge_id="ch-1", is_certain=True),
    )
    driver.clear()
    driver.receive(settle("payment"))
    assert (names(driver), state_of(driver).owed) == (["CancelOrder"], ())


# -- what it remembers ------------------------------------------------------------------------------------------------


def test_remembers_what_was_decided_on_each_message() -> None:
    steps = dict.fromkeys(NAMES, StepPolicy(deadline_s=10, resends=1, origin="orchestrator.toml#1a2b3c4d"))
    driver = ServiceTestDriver(orchestrator(SagaPolicies(steps=steps, undos=steps)))
    driver.receive(PLACED)
    assert last_seen(driver).model_dump(include={"decided", "status", "step", "attempt", "policy"}) == {
        "decided": ("ProcessPayment",),
        "status": "payment_pending",
        "step": "payment",
        "attempt": 1,
        "policy": "orchestrator.toml#1a2b3c4d",
    }


def test_remembers_which_policy_ruled_an_attempt_and_which_an_undo() -> None:
    # given policies from two places
    steps, undos = (StepPolicy(deadline_s=10, resends=1, origin=origin) for origin in ("forward", "back"))
    policies = SagaPolicies(steps=dict.fromkeys(NAMES, steps), undos=dict.fromkeys(NAMES, undos))
    driver = ServiceTestDriver(orchestrator(policies))

    # when an order turns back
    for message in (PLACED, PAID, CANCEL):
        driver.receive(message)

    # then each attempt names its own, and what began nothing names none
    driver.receive(PAID)
    assert [seen.policy for seen in state_of(driver).seen] == ["forward", "forward", "back", ""]


def with_policies(origin: str, *, deadline_s: float, resends: int) -> ServiceTestDriver:
    policy = StepPolicy(deadline_s=deadline_s, resends=resends, origin=origin)
    return ServiceTestDriver(
        orchestrator(SagaPolicies(steps=dict.fromkeys(NAMES, policy), undos=dict.fromkeys(NAMES, policy)))
    )


def test_a_change_of_policies_leaves_the_attempt_under_way_alone_and_rules_what_follows() -> None:
    # given an order that waits for its payment, by one policy file
    before = with_policies("before", deadline_s=10, resends=0)
    before.receive(PLACED)

    # when the service starts again with another file
    after = with_policies("after", deadline_s=100, resends=1)
    after.given_records(before.log)
    after.clear()

    # then what is under way is due when it was, and the next attempt follows the new file
    assert state_of(after) == state_of(before)
    after.advance(9.9)
    assert after.sent == []
    after.advance(0.2)
    (again,) = after.sent
    assert isinstance(again, ProcessPayment)
    assert (again.attempt, last_seen(after).policy) == (2, "after")
    after.advance(99)
    assert names(after) == ["ProcessPayment"]
    after.advance(2)
    assert state_of(after).status == "compensating"


def test_remembers_deadlines_with_the_attempt_that_they_began(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.advance(10.1)
    seen = last_seen(driver)
    assert (seen.type, seen.topic, seen.offset, seen.decided) == ("Deadline", "timer", -1, ("ProcessPayment",))
    assert (seen.step, seen.attempt, seen.status, seen.policy) == ("payment", 2, "", "default")


def test_remembers_who_decided_and_why(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.receive(PAUSE)
    assert (last_seen(driver).by, last_seen(driver).why, last_seen(driver).decided) == ("anna", "audit", ("pause",))
    driver.receive(COMPENSATE)
    assert (last_seen(driver).by, last_seen(driver).why, last_seen(driver).decided) == ("anna", "fraud", ())
    driver.receive(RESUME)
    assert last_seen(driver).decided == ("resume", "CancelShipment")


def test_remembers_why_an_order_paused_by_itself(driver: ServiceTestDriver) -> None:
    driver.pause("command", "ProcessPayment", "provider down")
    driver.receive(PLACED)
    assert (last_seen(driver).decided, last_seen(driver).by) == (("pause",), "")
    assert "provider down" in last_seen(driver).why


def test_remembers_what_came_late_as_late(driver: ServiceTestDriver) -> None:
    for message in (PLACED, PAID, RESERVED, SCHEDULED):
        driver.receive(message)
    assert not any(seen.late for seen in state_of(driver).seen)
    driver.receive(PAID)
    assert (last_seen(driver).type, last_seen(driver).late, last_seen(driver).decided) == (
        "PaymentConfirmed",
        True,
        (),
    )


def test_a_pause_costs_one_timer_record_and_its_end_another(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    for count, command in enumerate((PAUSE, RESUME), start=2):
        driver.receive(command)
        assert len(driver.records(TIMERS)) == count
