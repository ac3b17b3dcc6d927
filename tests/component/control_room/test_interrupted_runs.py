"""A run whose process was killed is gone on with by the next: what is left is done, and nothing twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from backoffice.order_actions import Pause, Resume
from backoffice.order_conditions import parse_conditions
from backoffice.order_placement import NewOrder
from contracts import PlaceOrder, ResumeOrder
from ensemble.operations import Actor, Intent, NotPossible, Resolved, Rollout, RunState
from ensemble.system_messages import RedriveRecord
from services.control_room.actions import Actions, StartedRun
from services.control_room.application import create_app
from services.control_room.live_events import LiveEvents
from services.control_room.planner import KeptPlan, Planner
from services.control_room.run_history import RunHistory
from services.control_room.work_actions import DeadLetterConditions, EndPause, PlaceOrders, Redrive, StartPause
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_placing import ORDER
from tests.support.order_messages import place_order

INTENT = Intent(actor=Actor(name="ann", via="control-room"), reason="the provider is back")
ONE_BY_ONE = Rollout(probe=1, wave=1, max_failed=1)


@dataclass(frozen=True)
class Restart:
    """The control room's process is killed in the middle of a run, and started anew."""

    room: RoomInMemory
    path: Path

    def kill_in(self, kept: KeptPlan, is_enough: Callable[[Counter[str]], bool], rollout: Rollout = ONE_BY_ONE) -> str:
        """Have a process carry out a part of a plan, and be no more; returns the id of the run."""
        planner, history = self.planner, RunHistory(self.path)
        run = planner.run(kept.plan, INTENT, rollout)
        started, kinds = StartedRun(kept.action, run, history), Counter[str]()
        history.add(kept.action, started.summary, planner.outline(kept.plan))
        for number, event in enumerate(run.events()):
            started.publish(number, event)
            kinds[event.kind] += 1
            if is_enough(kinds):
                break
        history.close()
        return run.id

    @property
    def planner(self) -> Planner:
        return self.room.room.actions._planner

    def start(self) -> tuple[Actions, TestClient]:
        """Return what the next process has, and a browser that asks it."""
        history = RunHistory(self.path)
        actions = Actions(self.planner, LiveEvents(), history)
        after = replace(self.room.room, actions=actions, history=history)
        return actions, TestClient(create_app(after), base_url="http://127.0.0.1:8100")

    def written(self, message: type) -> Counter[str]:
        """Count the messages of a type by their id."""
        headers = [dict(record.headers()) for record in self.room.flow.flow.log]
        ids = ((each["ce_id"], each["ce_type"]) for each in headers if "ce_type" in each)
        return Counter(name.decode() for name, kind in ids if kind.decode().endswith(message.__name__))


@pytest.fixture
def restart(room: RoomInMemory, tmp_path: Path) -> Restart:
    return Restart(room, tmp_path / "runs.db")


def ended(actions: Actions, run_id: str) -> Any:
    limit = time.monotonic() + 20
    while (summary := actions.look_up(run_id).summary).state not in {RunState.FINISHED, RunState.STOPPED}:
        assert time.monotonic() < limit, summary
        Event().wait(0.02)
    return summary


def resolved_in(actions: Actions, run_id: str) -> list[str]:
    return [event.name for event in actions.history_of(run_id) if isinstance(event, Resolved)]


@pytest.fixture
def paused(restart: Restart) -> Restart:
    """Give four orders that wait for inventory and are paused."""
    restart.room.flow.stopped = {"inventory"}
    for number in range(4):
        restart.room.flow.flow.publish(place_order(order_id=f"o-{number}"))
    restart.room.update()
    kept = restart.planner.plan_orders(Pause(), parse_conditions(["status=fulfilled"]))
    assert list(restart.planner.run(kept.plan, INTENT, None).events())
    restart.room.flow.stopped = set()
    restart.room.update()
    return restart


def test_orders_that_were_resumed_in_waves_are_resumed_once_each(paused: Restart) -> None:
    kept = paused.planner.plan_orders(Resume(), parse_conditions(["paused=true"]))
    run_id = paused.kill_in(kept, lambda kinds: kinds["submitted"] == 2)
    actions, _ = paused.start()
    assert (actions.look_up(run_id).summary.state, len(resolved_in(actions, run_id))) == ("interrupted", 1)

    actions.resume(run_id)
    summary = ended(actions, run_id)

    assert (summary.state, summary.total, summary.succeeded, summary.failed) == ("finished", 4, 4, 0)
    assert sorted(resolved_in(actions, run_id)) == ["o-0", "o-1", "o-2", "o-3"]
    assert set(paused.written(ResumeOrder).values()) == {1}


def test_the_numbers_of_waves_go_on(paused: Restart) -> None:
    kept = paused.planner.plan_orders(Resume(), parse_conditions(["paused=true"]))
    run_id = paused.kill_in(kept, lambda kinds: kinds["wave_finished"] == 2)
    actions, _ = paused.start()

    actions.resume(run_id)
    ended(actions, run_id)

    assert [event.wave for event in actions.history_of(run_id) if event.kind == "wave_finished"] == [0, 1, 2, 3]


@pytest.fixture
def failed(restart: Restart) -> Restart:
    """Give three charges that payment has given up while the provider was down; now it is back."""
    flow = restart.room.flow
    flow.gateway.available = False
    for number in range(3):
        flow.flow.publish(place_order(order_id=f"o-{number}"))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.gateway.available, flow.stopped = True, set()
    restart.room.update()
    return restart


def test_what_was_redriven_in_the_middle_is_not_redriven_again(failed: Restart) -> None:
    restart = failed
    kept = restart.planner.plan_work(Redrive(where=DeadLetterConditions(service="payment")))
    run_id = restart.kill_in(kept, lambda kinds: kinds["submitted"] == 2, Rollout(probe=0, wave=1, max_failed=1))
    actions, _ = restart.start()

    actions.resume(run_id)
    summary = ended(actions, run_id)

    assert (summary.state, summary.total, summary.remaining) == ("finished", 3, 0)
    assert len(set(resolved_in(actions, run_id))) == 3
    assert len(restart.written(RedriveRecord)) == 3


def test_a_burst_goes_on_with_the_token_that_was_not_kept_and_places_no_order_twice(restart: Restart) -> None:
    kept = restart.planner.plan_work(PlaceOrders(order=NewOrder(**ORDER), count=5))
    run_id = restart.kill_in(kept, lambda kinds: kinds["submitted"] == 2, Rollout(rate=1000))
    actions, browser = restart.start()
    shown = browser.get(f"/runs/{run_id}").text

    refused = browser.post(f"/api/runs/{run_id}/resume")
    accepted = browser.post(f"/api/runs/{run_id}/resume", json={"payment_token": ORDER["payment_token"]})
    summary = ended(actions, run_id)
    restart.room.update()

    assert ('name="payment_token"' in shown, ORDER["payment_token"] in restart.path.read_text("latin-1")) == (
        True,
        False,
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "payment_token")
    assert (accepted.status_code, summary.state, summary.succeeded) == (200, "finished", 5)
    assert len(restart.written(PlaceOrder)) == restart.room.browser.get("/api/orders/counts").json()[0]["orders"] == 5


def test_the_end_of_a_pause_goes_on(paused: Restart) -> None:
    started = paused.planner.plan_work(StartPause(scope="step", name="reservation"))
    assert list(paused.planner.run(started.plan, INTENT, None).events())
    paused.room.update()
    run_id = paused.kill_in(
        paused.planner.plan_work(EndPause(scope="step", name="reservation")), lambda kinds: kinds["submitted"] == 1
    )
    actions, _ = paused.start()

    actions.resume(run_id)
    summary = ended(actions, run_id)
    paused.room.update()

    assert (summary.state, summary.failed) == ("finished", 0)
    assert paused.room.browser.get("/api/pauses").json() == []


def test_the_page_goes_on_and_whoever_comes_second_is_told_so(paused: Restart) -> None:
    kept = paused.planner.plan_orders(Resume(), parse_conditions(["paused=true"]))
    run_id = paused.kill_in(kept, lambda kinds: kinds["submitted"] == 1)
    actions, browser = paused.start()

    shown = browser.get(f"/runs/{run_id}").text
    first = browser.post(f"/runs/{run_id}/resume", follow_redirects=False)
    ended(actions, run_id)
    second = browser.post(f"/runs/{run_id}/resume", follow_redirects=False)

    assert ("Go on with the rest" in shown, "nothing is done twice" in shown) == (True, True)
    assert (first.status_code, second.status_code, "is finished" in second.text) == (303, 409, True)


def test_of_two_that_take_a_run_up_at_once_one_does(paused: Restart) -> None:
    kept = paused.planner.plan_orders(Resume(), parse_conditions(["paused=true"]))
    run_id = paused.kill_in(kept, lambda kinds: kinds["submitted"] == 1)
    actions, _ = paused.start()
    past = actions.look_up(run_id)
    actions._take_up(past, None)

    with pytest.raises(NotPossible, match="goes on already"):
        actions._take_up(past, None)


def test_an_edit_is_not_kept_and_has_to_be_planned_anew(failed: Restart) -> None:
    restart = failed
    letter = restart.room.browser.get("/api/dead-letters").json()["dead_letters"][0]
    place = "{topic}/{partition}/{offset}".format(**letter["position"])
    fields = restart.room.browser.get(f"/api/dead-letters/{place}/record").json()["fields"]
    kept = restart.planner.plan_work(Redrive(dead_letters=(place,), edit=fields))
    run_id = restart.kill_in(kept, lambda kinds: kinds["submitted"] == 1)
    actions, browser = restart.start()

    with pytest.raises(NotPossible, match="plan anew what is left"):
        actions.resume(run_id)

    assert "Go on with the rest" not in browser.get(f"/runs/{run_id}").text
