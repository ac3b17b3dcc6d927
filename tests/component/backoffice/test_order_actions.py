"""Actions on orders, planned and run by programs: a page, a test, several at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from backoffice.order_actions import Compensate, Pause, Resume, Retry, SendAgain, TurnBack, WhyNot
from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_runs import OrderActions, OrderItem, OrderOutcome, OrderPlan, order_projections
from ensemble.command_line.connection import sources
from ensemble.command_line.publishing import publish
from ensemble.operations import Actor, Intent, NotFound, NotPossible, Resolved, Rollout, Run, Session, Stopped
from ensemble.operations.view import View
from services.app import APP
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

FULFILLED = OrderFilter((Condition("status", "=", "fulfilled"),))
PAUSED = OrderFilter((Condition("paused", "=", "true"),))
ALL = OrderFilter()


def intent(name: str = "ann") -> Intent:
    return Intent(actor=Actor(name=name, via="control-room"), reason="mended")


@pytest.fixture
def flow() -> Iterator[Any]:
    """Two orders whose reservation is awaited, and one that is completed."""
    with capture_logs():
        flow: Any = FlowInMemory()
        publish(flow, place_order(order_id="o-0"))
        flow.settle()
        flow.stopped = {"inventory"}
        for name in ("o-1", "o-2"):
            publish(flow, place_order(order_id=name))
        flow.settle()
        yield flow


@pytest.fixture
def session(flow: Any) -> Session:
    return Session(APP, flow, sources())


@pytest.fixture
def actions(session: Session) -> Iterator[OrderActions]:
    with View(session.client, order_projections(session)) as view:
        yield OrderActions(session, view)


def outcomes(run: Run[OrderItem]) -> dict[str, str]:
    return {event.name: event.outcome for event in run.events() if isinstance(event, Resolved)}


def test_a_plan_says_what_would_be_done_and_what_is_left_out_and_changes_nothing(
    flow: Any, actions: OrderActions
) -> None:
    plan = actions.plan(Retry(), ALL)

    assert [(item.name, item.effect) for item in plan.items] == [
        ("o-1", SendAgain(step="reservation", attempt=2)),
        ("o-2", SendAgain(step="reservation", attempt=2)),
    ]
    assert [(skipped.name, skipped.why, skipped.detail) for skipped in plan.skipped] == [
        ("o-0", WhyNot.ENDED, "completed")
    ]
    assert all_states(flow)["o-1"]["attempt"] == 1
    assert OrderPlan.model_validate_json(plan.model_dump_json()) == plan


def test_one_order_is_planned_without_a_view(session: Session) -> None:
    actions = OrderActions(session)
    (item,) = actions.plan(Compensate(), "o-1").items
    assert isinstance(item.effect, TurnBack)
    assert [undo.step for undo in item.effect.undos or ()] == ["shipment", "reservation", "payment"]
    with pytest.raises(NotFound, match="no order 'o-9'"):
        actions.plan(Pause(), "o-9")
    with pytest.raises(NotPossible, match="cannot pause o-0: it is already completed"):
        actions.plan(Pause(), "o-0")


def test_a_run_tells_of_each_order_and_says_who_asked_through_which_program(flow: Any, actions: OrderActions) -> None:
    run = actions.run(actions.plan(Pause(), "o-1"), intent())

    assert [event.kind for event in run.events()] == [
        "submitted", "acknowledged", "resolved", "wave_finished", "finished",
    ]  # fmt: skip
    assert all_states(flow)["o-1"]["paused_by"] == "operator ann"
    *_, command = flow.read(flow.places(["orchestrator.commands"]))
    assert command.headers["ce_source"] == b"/control-room"


def test_a_plan_that_is_run_again_with_the_same_intent_has_no_second_effect(flow: Any, actions: OrderActions) -> None:
    plan, same = actions.plan(Retry(), FULFILLED), intent()
    for _ in range(2):
        assert set(outcomes(actions.run(plan, same)).values()) == {OrderOutcome.ACKNOWLEDGED}
    assert all_states(flow)["o-1"]["attempt"] == 2


def test_what_has_changed_since_the_plan_is_skipped(flow: Any, actions: OrderActions) -> None:
    plan = actions.plan(Pause(), FULFILLED)
    list(actions.run(actions.plan(Pause(), "o-1"), intent("bob")).events())

    assert outcomes(actions.run(plan, intent())) == {"o-1": OrderOutcome.SKIPPED, "o-2": OrderOutcome.ACKNOWLEDGED}
    assert all_states(flow)["o-1"]["paused_by"] == "operator bob"


def test_an_order_that_is_forgotten_since_the_plan_is_skipped(flow: Any, actions: OrderActions) -> None:
    plan = actions.plan(Pause(), FULFILLED)
    flow.flow.write("orchestrator.order-state", b"o-1", None)

    run = actions.run(plan, intent())

    details = {event.name: event.detail for event in run.events() if isinstance(event, Resolved)}
    assert details["o-1"] == "gone"
    assert outcomes(run) == {"o-1": OrderOutcome.SKIPPED, "o-2": OrderOutcome.ACKNOWLEDGED}


def test_what_the_orchestrator_does_not_hear_in_time_has_failed(flow: Any, actions: OrderActions) -> None:
    plan = actions.plan(Pause(), "o-1")
    flow.stopped |= {"orchestrator"}
    run = actions.run(plan, intent(), Rollout.at_once(0.2))
    assert outcomes(run) == {"o-1": OrderOutcome.NOT_ACKNOWLEDGED}
    assert run.summary.failed == 1


def test_paused_orders_go_on_in_waves_until_a_probe_makes_no_progress(flow: Any, actions: OrderActions) -> None:
    list(actions.run(actions.plan(Pause(), FULFILLED), intent()).events())

    run = actions.run(actions.plan(Resume(), PAUSED), intent(), Rollout(probe=1, timeout_s=0.2))
    last = list(run.events())[-1]
    assert isinstance(last, Stopped)
    assert (last.why, last.remaining) == ("too_many_failed", 1)

    flow.stopped = set()
    run.resume()
    assert outcomes(run) == {"o-1": OrderOutcome.NO_PROGRESS, "o-2": OrderOutcome.PROGRESSED}


def test_two_threads_plan_and_run_at_once_with_the_same_actions(flow: Any, actions: OrderActions) -> None:
    problems: list[BaseException] = []

    def work(order_id: str) -> None:
        try:
            for action in (Pause(), Resume(), Pause()):
                run = actions.run(actions.plan(action, order_id), intent(order_id))
                assert outcomes(run) == {order_id: OrderOutcome.ACKNOWLEDGED}
                assert len(actions.plan(Compensate(), FULFILLED).items) == 2
        except BaseException as problem:  # noqa: BLE001  raised below, in the thread of the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("o-1", "o-2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert problems == []
    states = all_states(flow)
    assert {states[name]["paused_by"] for name in ("o-1", "o-2")} == {"operator o-1", "operator o-2"}
