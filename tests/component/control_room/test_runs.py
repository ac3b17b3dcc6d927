"""Actions over HTTP: planned, run once, followed, and refused in words."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from backoffice.order_actions import Pause
from ensemble.operations import NotFound
from services.control_room.live_events import LiveEvents
from services.control_room.planner import KeptPlan
from tests.component.control_room.conftest import RoomInMemory
from tests.support.order_messages import place_order

REASON = {"reason": "asked to by the customer"}


@pytest.fixture
def waiting(room: RoomInMemory) -> RoomInMemory:
    """Give a control room with an order that waits for inventory."""
    room.flow.stopped = {"inventory"}
    room.flow.flow.publish(place_order(order_id="o-1"))
    room.update()
    return room


def post(room: RoomInMemory, path: str, **body: Any) -> Any:
    return room.browser.post(path, json=body)


def plan(room: RoomInMemory, kind: str, **which: Any) -> Any:
    return post(room, "/api/plans", action={"kind": kind}, **(which or {"order": "o-1"}))


def make_old(plans: Any, kept: KeptPlan) -> None:
    """Have a plan be expired."""
    plan: Any = kept.plan
    old = plan.model_copy(update={"as_of": plan.as_of - timedelta(minutes=16)})
    plans[plan.id] = replace(kept, plan=old)


def ended(room: RoomInMemory, run_id: str) -> Any:
    """Return the run's summary once it has ended."""
    limit = time.monotonic() + 20
    while (summary := room.browser.get(f"/api/runs/{run_id}").json())["state"] not in {"finished", "stopped"}:
        assert time.monotonic() < limit, summary
        Event().wait(0.02)
    return summary


def test_a_plan_says_what_would_be_done_and_does_nothing(waiting: RoomInMemory) -> None:
    response = plan(waiting, "pause")

    document = response.json()
    assert response.status_code == 201
    assert [(item["name"], item["effect"]["kind"]) for item in document["items"]] == [("o-1", "hold")]
    assert waiting.browser.get(response.headers["Location"]).json() == document
    assert waiting.browser.get("/api/orders/o-1").json()["order"]["paused"] is None


def test_a_run_does_it_under_the_person_s_name_and_tells_each_step(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause", where=["status=fulfilled"]).json()

    response = post(waiting, "/api/runs", plan=planned["id"], **REASON)
    summary = ended(waiting, response.json()["id"])
    waiting.update()

    order = waiting.browser.get("/api/orders/o-1").json()["order"]
    events: LiveEvents = waiting.room.actions.events_of(summary["id"])
    assert (response.status_code, summary["state"], summary["succeeded"]) == (202, "finished", 1)
    assert order["paused"]["reason"] == REASON["reason"]
    assert summary["intent"]["actor"] == {"name": waiting.room.access.local_name, "via": "control-room"}
    assert [event.name for event, _ in events.after(0).events] == [
        "submitted", "acknowledged", "resolved", "wave_finished", "finished",
    ]  # fmt: skip


def test_of_two_tabs_the_second_gets_what_the_first_has_started(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause").json()
    first = post(waiting, "/api/runs", plan=planned["id"], **REASON)
    ended(waiting, first.json()["id"])

    second = post(waiting, "/api/runs", plan=planned["id"], reason="me too")
    waiting.update()
    again = plan(waiting, "pause")

    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert [run["id"] for run in waiting.browser.get("/api/runs").json()] == [first.json()["id"]]
    assert (again.status_code, "already paused" in again.json()["detail"]) == (409, True)


def test_a_plan_that_has_expired_is_not_run(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause").json()
    actions = waiting.room.actions
    old = actions.find_plan(planned["id"])
    make_old(actions._plans, old)

    response = post(waiting, "/api/runs", plan=old.plan.id, **REASON)

    assert (response.status_code, "has expired" in response.json()["detail"]) == (409, True)
    assert "plan it anew" in response.json()["hint"]


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/api/plans", {"action": {"kind": "pause"}}, (422, "order")),
        ("/api/plans", {"action": {"kind": "pause"}, "order": "o-1", "where": ["age>1h"]}, (422, "order")),
        ("/api/plans", {"action": {"kind": "explode"}, "order": "o-1"}, (422, "action")),
        ("/api/plans", {"action": {"kind": "pause"}, "order": "o-9"}, (404, "order")),
        ("/api/plans", {"action": {"kind": "resume"}, "order": "o-1"}, (409, "order")),
        ("/api/plans", {"action": {"kind": "pause"}, "where": ["age>soon"]}, (422, "where")),
        ("/api/runs", {"plan": "none", "reason": "why"}, (404, "plan")),
        ("/api/runs", {"plan": "none", "reason": ""}, (422, "reason")),
        ("/api/runs", {"plan": "none", "reason": "  "}, (422, "reason")),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    waiting: RoomInMemory, path: str, body: dict[str, Any], answer: tuple[int, str]
) -> None:
    response = waiting.browser.post(path, json=body)

    assert (response.status_code, response.json()["field"]) == answer


def test_while_kafka_is_away_nothing_is_done_and_the_last_known_is_shown(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause").json()
    waiting.room.updates._note_problem("Kafka: all brokers are down")

    refused = post(waiting, "/api/runs", plan=planned["id"], **REASON)
    unplanned = plan(waiting, "pause")
    order = waiting.browser.get("/api/orders/o-1").json()

    assert (refused.status_code, refused.headers["Retry-After"], unplanned.status_code) == (503, "2", 503)
    assert "not up to date since" in refused.json()["detail"]
    assert (order["order"]["order_id"], order["story"]) == ("o-1", None)
    assert "all brokers are down" in order["problem"]
    assert len(waiting.browser.get("/api/orders").json()["orders"]) == 1


def test_a_run_is_found_when_its_plan_is_forgotten(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause").json()
    first = post(waiting, "/api/runs", plan=planned["id"], **REASON).json()
    ended(waiting, first["id"])
    waiting.room.actions._plans.clear()

    assert post(waiting, "/api/runs", plan=planned["id"], **REASON).json()["id"] == first["id"]


def test_plans_that_have_expired_are_forgotten(waiting: RoomInMemory) -> None:
    actions = waiting.room.actions
    old = actions.find_plan(plan(waiting, "pause").json()["id"])
    make_old(actions._plans, old)

    fresh = plan(waiting, "pause").json()

    assert list(actions._plans) == [fresh["id"]]


def test_the_oldest_of_too_many_plans_is_forgotten(waiting: RoomInMemory) -> None:
    plans = [waiting.room.actions.plan(Pause(), "o-1").plan.id for _ in range(201)]
    assert list(waiting.room.actions._plans) == plans[1:]


def test_each_event_of_a_run_is_published_once_whoever_follows_it(waiting: RoomInMemory) -> None:
    planned = plan(waiting, "pause").json()
    run_id = post(waiting, "/api/runs", plan=planned["id"], **REASON).json()["id"]
    started = waiting.room.actions._find_started(run_id)
    for _ in range(3):
        waiting.room.actions._carry_on(started)
    ended(waiting, run_id)
    waiting.room.actions._drain(started)

    names = [event.name for event, _ in started.events.after(0).events]
    assert names == ["submitted", "acknowledged", "resolved", "wave_finished", "finished"]


def test_a_stream_of_a_run_does_not_hold_up_the_event_loop(
    waiting: RoomInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = list[threading.Thread]()

    def refuse(*_: object) -> None:
        callers.append(threading.current_thread())
        raise NotFound("no run 'none'", field="run")

    monkeypatch.setattr(type(waiting.room.actions), "events_of", refuse)

    assert waiting.browser.get("/api/runs/none/events").status_code == 404
    assert [caller.name.partition(" ")[0] for caller in callers] == ["AnyIO"]
