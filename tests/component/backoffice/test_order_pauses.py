"""Wide pauses started and ended by programs: who has to know, and what goes on in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from backoffice.order_pauses import OrderPauses
from ensemble.command_line.connection import sources
from ensemble.command_line.publishing import publish
from ensemble.operations import Actor, Intent, NotFound, Resolved, Rollout, Session, Stopped, WorkPauses
from services.app import APP
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

INTENT = Intent(actor=Actor(name="ann", via="control-room"), reason="the stock is counted")
SOON = Rollout(timeout_s=0.3)


@pytest.fixture
def flow() -> Iterator[Any]:
    with capture_logs():
        flow: Any = FlowInMemory()
        yield flow


@pytest.fixture
def session(flow: Any) -> Session:
    return Session(APP, flow, sources())


@pytest.fixture
def held(flow: Any, session: Session) -> Any:
    """Two orders that the pause of a step holds."""
    pauses = WorkPauses(session)
    list(pauses.run(pauses.plan_start("step", "reservation"), INTENT).events())
    for name in ("o-1", "o-2"):
        publish(flow, place_order(order_id=name))
    flow.settle()
    return flow


def test_a_start_tells_every_partition_and_says_which_has_not_answered(flow: Any, session: Session) -> None:
    pauses = WorkPauses(session)
    plan = pauses.plan_start("command", "ProcessPayment")
    assert {item.service for item in plan.items} == {"payment", "orchestrator"}
    flow.stopped = {"payment"}

    events = [event for event in pauses.run(plan, INTENT, 0.3).events() if isinstance(event, Resolved)]

    late = {event.name for event in events if event.outcome == "no_answer"}
    assert late == {item.name for item in plan.items if item.service == "payment"}
    with pytest.raises(NotFound, match="no step 'x'"):
        pauses.plan_end("step", "x")


def test_the_orders_of_a_step_go_first_and_then_its_pause_ends(held: Any, session: Session) -> None:
    pauses = OrderPauses(session)
    plan = pauses.plan_end("step", "reservation")
    assert plan.names == ("o-1", "o-2")

    events = list(pauses.end(plan, INTENT, SOON).events())

    resolved = [event.name for event in events if isinstance(event, Resolved)]
    assert resolved[:2] == ["o-1", "o-2"]
    assert set(resolved[2:]) == set(plan.pause.names)
    assert events[-1].kind == "finished"
    assert {state["status"] for state in all_states(held).values()} == {"completed"}


def test_a_probe_that_fails_leaves_the_step_paused(held: Any, session: Session) -> None:
    held.stopped = {"inventory"}
    pauses = OrderPauses(session)
    plan = pauses.plan_end("step", "reservation")

    *_, last = pauses.end(plan, INTENT, SOON).events()

    assert isinstance(last, Stopped)
    assert last.why == "too_many_failed"
    assert "o-2" in pauses.held_by(plan.pause).names
