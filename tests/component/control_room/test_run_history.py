"""What runs have done outlives the process that carried them out."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs

from backoffice.order_placement import NewOrder
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import (
    Actor,
    EventStream,
    Intent,
    NotFound,
    NotPossible,
    Resolved,
    Rollout,
    Run,
    RunEvent,
    RunState,
    RunSummary,
    Session,
    Stopped,
    Unreachable,
)
from services.app import APP
from services.control_room.actions import Actions
from services.control_room.control_room import ControlRoom
from services.control_room.live_events import LiveEvent, LiveEvents
from services.control_room.own_file import OwnFile
from services.control_room.plan_outlines import PlanOutline
from services.control_room.planner import Planner
from services.control_room.run_history import RunHistory
from services.control_room.settings import ControlRoomSettings
from services.control_room.work_actions import PlaceOrders, RetryParked, StartPause
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_placing import ORDER
from tests.support.rehearsal_in_memory import rehearse_in_memory

INTENT = Intent(actor=Actor(name="ann", via="control-room"), reason="mended")
EVENT = Resolved(name="payment.dead-letter/0/1", wave=1, outcome="succeeded", is_good=True)


def summary(number: int = 0, state: RunState = RunState.RUNNING) -> RunSummary:
    shared = {"plan_id": f"plan-{number}", "intent": INTENT, "rollout": Rollout(), "total": 2, "failed": 0}
    return RunSummary(id=f"run-{number}", state=state, succeeded=1, **shared)


def test_a_run_whose_process_ended_is_interrupted_and_has_its_events(tmp_path: Path) -> None:
    before = RunHistory(tmp_path / "runs.db")
    for number, state in enumerate((RunState.RUNNING, RunState.FINISHED)):
        before.add(RetryParked(key="o-1"), summary(number))
        before.note(summary(number, state), 0, EVENT)
    before.close()

    after = RunHistory(tmp_path / "runs.db")

    assert [(each.summary.id, each.summary.state) for each in after.runs()] == [
        ("run-1", "finished"), ("run-0", "interrupted"),
    ]  # fmt: skip
    assert after.events("run-0") == (EVENT,)
    assert after.find_of_plan("plan-0") == after.find("run-0")
    after.close()


def test_what_another_release_has_written_is_left_out_and_hinders_no_start(tmp_path: Path) -> None:
    before = RunHistory(tmp_path / "runs.db")
    for number in range(2):
        before.add(RetryParked(key="o-1"), summary(number))
        before.note(summary(number), 0, EVENT)
    with before._file.transaction() as db:
        db.execute("""UPDATE runs SET action = '{"kind": "of_tomorrow"}' WHERE id = 'run-0'""")
        db.execute("INSERT INTO run_events VALUES ('run-1', 1, '{\"kind\": \"of_tomorrow\"}')")
    before.close()

    with capture_logs() as logs:
        after = RunHistory(tmp_path / "runs.db")
        runs, events = after.runs(), after.events("run-1")
    after.close()

    assert ([run.summary.id for run in runs], events) == (["run-1"], (EVENT,))
    assert {(log["event"], log["run"]) for log in logs} == {("run.unreadable", "run-0"), ("run.unreadable", "run-1")}


def test_the_latest_runs_are_kept(tmp_path: Path) -> None:
    history = RunHistory()
    for number in range(205):
        history.add(RetryParked(key="o-1"), summary(number), PlanOutline(names=("o-1",)))
        history.note(summary(number), 0, EVENT)

    assert len(history.runs()) == 200
    assert (history.find("run-4"), history.events("run-4"), history.outline("run-4")) == (None, (), None)
    assert (history.events("run-5"), history.outline("run-5")) == ((EVENT,), PlanOutline(names=("o-1",)))
    history.note(summary(5, RunState.FINISHED), 1, EVENT)
    assert (history.events("run-5"), history.outline("run-5")) == ((EVENT, EVENT), None)
    history.close()


def test_a_room_that_was_started_anew_shows_what_was_run_before(room: RoomInMemory, tmp_path: Path) -> None:
    with capture_logs():
        session = Session(APP, room.room.session.client, DirectorySourceSelector())
        first = ControlRoom.open(session, ControlRoomSettings(), tmp_path)
        first.updates.update()
    first.history.add(RetryParked(key="o-1"), summary())
    first.history.note(summary(), 0, EVENT)
    first.history.add(RetryParked(key="o-2"), summary(1))
    first.history.note(summary(1, RunState.FINISHED), 0, EVENT)
    first.close()

    second = ControlRoom.open(session, ControlRoomSettings(), tmp_path)
    seen = second.actions.look_up("run-0").summary

    assert (seen.state, seen.succeeded, second.actions.history_of("run-0")) == ("interrupted", 1, (EVENT,))
    events = second.actions.events_of("run-0").after(0).events
    assert [event.name for event, _ in events] == ["resolved", "interrupted"]
    assert json.loads(events[-1][0].data) == {"kind": "interrupted", "remaining": 1}
    events = second.actions.events_of("run-1").after(0).events
    assert [event.name for event, _ in events] == ["resolved"], "it had finished"
    assert second.actions.start("plan-0", INTENT, None)[1] is False
    with pytest.raises(NotPossible, match="go on with it"):
        second.actions.stop("run-0")
    with pytest.raises(NotPossible, match="what it was about was not kept; plan anew"):
        second.actions.resume("run-0")
    with pytest.raises(NotFound):
        second.actions.look_up("run-9")
    second.close()


def test_a_run_of_more_events_than_are_kept_encoded_tells_each_from_the_first_on(room: RoomInMemory) -> None:
    order = NewOrder(**ORDER)
    planned = room.room.actions.plan_work(PlaceOrders(order=order, count=200)).plan
    started, _ = room.room.actions.start(planned.id, INTENT, None)
    events = room.room.actions.events_of(started.id)
    limit = time.monotonic() + 20
    while room.room.actions.look_up(started.id).summary.state != "finished":
        assert time.monotonic() < limit
        Event().wait(0.02)
    run = room.room.actions._find_started(started.id)
    few = LiveEvents(limit=10, head=run._head)
    few._epoch = events._epoch
    few.publish(event for event, _ in every(events))

    assert every(few) == every(events)
    assert len(every(few)) == len(run.run.history) > 600


def every(events: LiveEvents) -> list[tuple[LiveEvent, bytes]]:
    """Return all events, and assert that none is lost."""
    read, taken = list[tuple[LiveEvent, bytes]](), events.after(0)
    while True:
        assert taken.lost == 0
        read += taken.events
        if taken.is_all:
            return read
        taken = events.after(taken.position)


class FullDisk(RunHistory):
    """Takes a run, and none of its events."""

    def note(self, summary: RunSummary, number: int, event: RunEvent) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_a_run_goes_on_when_its_file_cannot_be_written(room: RoomInMemory) -> None:
    session, view = room.room.session, room.room.view
    actions = Actions(Planner.on(session, view, rehearse_in_memory, room.room.placement), LiveEvents(), FullDisk())
    planned = actions.plan_work(StartPause(scope="step", name="payment")).plan

    started, _ = actions.start(planned.id, INTENT, None)
    events = actions.events_of(started.id)
    limit = time.monotonic() + 20
    while not any(event.name == "finished" for event, _ in events.after(0).events):
        assert time.monotonic() < limit
        Event().wait(0.02)

    assert actions.look_up(started.id).summary.state == "finished"


class Unreachables(Planner):
    """Makes runs that Kafka is gone for."""

    def run(self, plan: Any, intent: Intent, rollout: Rollout | None) -> EventStream:
        return Run(plan, intent, rollout or Rollout(), fail)


def fail() -> Any:
    raise Unreachable("all brokers are down")


def test_why_a_run_has_stopped_by_itself_is_its_last_event_and_in_the_log(room: RoomInMemory) -> None:
    session, view = room.room.session, room.room.view
    planner = Unreachables.on(session, view, rehearse_in_memory, room.room.placement)
    actions = Actions(planner, LiveEvents(), RunHistory())
    planned = actions.plan_work(StartPause(scope="step", name="payment")).plan

    with capture_logs() as logs:
        started, _ = actions.start(planned.id, INTENT, None)
        limit = time.monotonic() + 20
        while not logs:
            assert time.monotonic() < limit
            Event().wait(0.02)

    (stopped,) = actions.history_of(started.id)
    assert isinstance(stopped, Stopped)
    assert (stopped.why, stopped.detail) == ("error", "all brokers are down")
    assert [(log["event"], log["run"], log["reason"]) for log in logs] == [
        ("run.interrupted", started.id, "all brokers are down")
    ]


def test_nobody_waits_for_the_disk_of_its_file(tmp_path: Path) -> None:
    file = OwnFile(tmp_path / "runs.db", "CREATE TABLE a (b)")
    with file.transaction() as db:
        pragmas = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    file.close()
    assert pragmas == ["wal", 1]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=f"^{re.escape(str(tmp_path))} cannot be opened: ") as error:
        OwnFile(tmp_path, "CREATE TABLE a (b)")
    assert error.value.subject == str(tmp_path)
