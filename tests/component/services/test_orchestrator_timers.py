"""Deadlines and retention of the orchestrator, across restarts, and its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import FulfilOrder, OrderState, ProcessPayment
from ensemble.errors import ConfigurationError
from ensemble.policies.saga import StepPolicy
from ensemble.testing.driver import ServiceTestDriver
from services.orchestrator.__main__ import main
from services.orchestrator.policies import DEFAULT_POLICIES, fulfilment_policies
from services.orchestrator.service import orchestrator
from tests.support.order_saga_driver import (
    DECLINED,
    NAMES,
    PAID,
    PLACED,
    POLICIES,
    REFUNDED,
    RESERVED,
    SCHEDULED,
    UNSHIPPED,
)

TIMERS = "orchestrator.timers-changelog"
BYTES_OF_AN_ENDED_ORDER = 250  # docs/retention.md says so


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(orchestrator(POLICIES))


def status_of(driver: ServiceTestDriver) -> str | None:
    """Return the order's status, None if it is not known."""
    state = driver.state(OrderState, "o-1")
    return None if state is None else state.status


def state_of(driver: ServiceTestDriver) -> OrderState:
    state = driver.state(OrderState, "o-1")
    assert state is not None
    return state


def size_of_state(driver: ServiceTestDriver) -> int:
    """Return the bytes of the newest record of the order's state, its key included."""
    record = driver.records("orchestrator.order-state")[-1]
    return len(record.key() or b"") + len(record.value() or b"")


def names(driver: ServiceTestDriver) -> list[str]:
    return [type(command).__name__ for command in driver.sent]


def test_sends_again_at_the_deadline_and_then_gives_up(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.advance(9.9)
    assert names(driver) == ["ProcessPayment"]
    driver.advance(0.2)
    assert names(driver) == ["ProcessPayment"] * 2
    driver.advance(10)
    assert names(driver) == ["ProcessPayment", "ProcessPayment", "CancelShipment"]


def test_a_deadline_holds_across_a_restart(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.advance(6)
    driver.restart()
    driver.clear()
    driver.advance(4.1)
    (command,) = driver.sent
    assert isinstance(command, ProcessPayment)
    assert command.attempt == 2


def test_other_policies_leave_the_attempt_under_way_alone_and_rule_the_next(driver: ServiceTestDriver) -> None:
    # given an order that waits ten seconds for its payment
    driver.receive(PLACED)

    # when the service starts again with a deadline of a hundred
    patient = StepPolicy(deadline_s=100, resends=9, origin="orchestrator.toml#1a2b3c4d")
    changed = POLICIES.model_copy(update={"steps": dict.fromkeys(NAMES, patient)})
    restarted = ServiceTestDriver(orchestrator(changed), clock=driver.clock)
    restarted.given_records(driver.log)
    restarted.clear()
    restarted.advance(10.1)

    # then that attempt ends as it was begun, and the next one waits as the new policy says
    assert names(restarted) == ["ProcessPayment"]
    state = restarted.state(OrderState, "o-1")
    assert state is not None
    assert (state.attempt, state.due_at) == (2, driver.clock.now() - 100 + 100_000)
    assert [seen.policy for seen in state.seen] == ["default", "orchestrator.toml#1a2b3c4d"]


def test_a_restart_does_not_run_a_step_again(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAID)
    driver.clear()
    driver.restart()
    driver.receive(PAID)
    driver.advance(9)
    assert driver.sent == []


def test_an_answer_replaces_the_deadline_of_its_step(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED)
    driver.advance(9)
    driver.receive(PAID)
    driver.clear()
    driver.advance(9)
    assert driver.sent == []
    driver.advance(1.1)
    (command,) = driver.sent
    assert isinstance(command, FulfilOrder)


def test_steps_in_time_cost_one_timer_record(driver: ServiceTestDriver) -> None:
    for event in (PLACED, PAID, RESERVED):
        driver.receive(event)
        driver.advance(1)
    assert len(driver.records(TIMERS)) == 1


def test_the_deadline_of_a_step_before_passes_without_a_trace(driver: ServiceTestDriver) -> None:
    # given an order whose second step was begun four seconds after its first
    driver.receive(PLACED)
    driver.advance(4)
    driver.receive(PAID)
    reached = state_of(driver)

    # when the first step's deadline passes, and the service starts again
    driver.advance(7)
    driver.restart()

    # then nothing has happened, and the second step still has its own
    assert state_of(driver) == reached
    driver.clear()
    driver.advance(2.9)
    assert names(driver) == []
    driver.advance(0.2)
    assert names(driver) == ["FulfilOrder"]


def test_a_shorter_deadline_replaces_a_longer_one() -> None:
    # given
    quick = {**POLICIES.steps, "reservation": StepPolicy(deadline_s=2, resends=1)}
    driver = ServiceTestDriver(orchestrator(POLICIES.model_copy(update={"steps": quick})))
    driver.receive(PLACED, PAID)
    driver.clear()

    # when
    driver.advance(2.1)

    # then
    assert names(driver) == ["FulfilOrder"]


def test_an_undo_that_nobody_answers_leaves_the_order_owed(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, DECLINED)
    driver.advance(20.1)
    assert status_of(driver) == "compensation_failed"
    driver.advance(30 * 86_400)
    driver.restart()
    assert status_of(driver) == "compensation_failed"
    driver.receive(UNSHIPPED)
    assert (status_of(driver), names(driver)[-1]) == ("cancelled", "CancelOrder")


def test_forgets_an_order_that_was_never_placed(driver: ServiceTestDriver) -> None:
    """Rule 5: an event of an unknown order makes a placeholder, which expires."""
    driver.receive(SCHEDULED)
    driver.restart()
    driver.advance(3599)
    assert status_of(driver) == "placeholder"
    driver.advance(2)
    assert status_of(driver) is None


def test_keeps_an_order_that_was_placed_in_time(driver: ServiceTestDriver) -> None:
    driver.receive(SCHEDULED)
    driver.receive(PLACED, PAID, RESERVED)
    driver.advance(6 * 86_400)
    assert status_of(driver) == "completed"


def test_reduces_an_ended_order_after_its_retention(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAID, RESERVED, SCHEDULED)
    driver.advance(7 * 86_400 - 1)
    driver.restart()
    whole = size_of_state(driver)
    driver.advance(2)
    assert status_of(driver) == "completed"
    assert size_of_state(driver) < BYTES_OF_AN_ENDED_ORDER < whole


@pytest.mark.parametrize("years", [0.01, 1, 30])
def test_the_first_order_of_an_id_wins_whenever_the_second_comes(driver: ServiceTestDriver, years: float) -> None:
    driver.receive(PLACED, PAID, RESERVED, SCHEDULED)
    driver.advance(years * 365 * 86_400)
    driver.restart()
    driver.clear()
    driver.receive(PLACED, message_id="placed-again")
    driver.receive(PLACED.model_copy(update={"lines": PLACED.lines * 2}), message_id="other-terms")
    driver.advance(1000)
    assert (driver.sent, status_of(driver), len(driver.dead_letters)) == ([], "completed", 1)


def test_an_order_is_reduced_again_after_something_came_for_it(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAID, RESERVED, SCHEDULED)
    driver.advance(8 * 86_400)
    driver.receive(PAID, message_id="paid-again")
    assert [seen.type for seen in state_of(driver).seen] == ["PaymentConfirmed"]
    driver.advance(8 * 86_400)
    assert state_of(driver).seen == ()


def test_all_deadlines_together_undo_what_may_have_happened(driver: ServiceTestDriver) -> None:
    """Rule 4: a deadline means unknown, not failed: sent again, then given up and undone too."""
    driver.receive(PLACED, PAID)
    driver.advance(20.1)
    driver.receive(UNSHIPPED)
    driver.advance(20.1)
    driver.receive(REFUNDED)
    state = driver.state(OrderState, "o-1")
    assert state is not None
    assert (state.status, state.owed, state.undone) == (
        "compensation_failed",
        ("reservation",),
        ("shipment", "payment"),
    )


def test_the_service_conducts_with_the_default_policies() -> None:
    assert orchestrator().roles[0].adapters == {"policies": DEFAULT_POLICIES}


def test_policies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S", "5")
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STUB_S", "60")
    policies = fulfilment_policies()
    assert (policies.steps["payment"].deadline_s, policies.steps["payment"].resends) == (5, 3)
    assert (policies.steps["shipment"].deadline_s, policies.stub_s) == (20, 60)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("STEPS__PAYMENT__DEADLINE_S", "-1", "DEADLINE_S: Input should be greater than 0"),
        ("UNDOS__SHIPMENT__RESENDS", "often", "RESENDS: Input should be a valid integer"),
        ("STEPS__PAYMNT__RESENDS", "1", "PAYMNT: Extra inputs are not permitted"),
        ("STUB_S", "0", "STUB_S: Input should be greater than 0"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    monkeypatch.setenv(f"ENSEMBLE_FULFILMENT_{name}", value)
    with pytest.raises(ConfigurationError, match=expected):
        fulfilment_policies()


def test_a_wrong_setting_ends_the_process_with_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_PLACEHOLDER_S", "soon")
    assert main() == 2
    assert "ENSEMBLE_FULFILMENT_PLACEHOLDER_S: Input should be a valid number" in capsys.readouterr().err


def test_a_wrong_policy_file_ends_the_process_with_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "orchestrator.toml").write_text("[saga.steps.payment]\ndeadline_s = 0\n")
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    assert main() == 2
    assert "line 2: [saga.steps.payment] deadline_s: Input should be greater than 0" in capsys.readouterr().err
