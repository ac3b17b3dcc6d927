"""Runs of this machine: how far each is, and stopping one from another terminal."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ensemble.command_line.errors import UnknownName
from ensemble.command_line.run_records import Subject, follow, list_runs, request_stop
from ensemble.operations import (
    Actor,
    EventStream,
    Finished,
    Intent,
    Plan,
    PlanItem,
    Resolved,
    Rollout,
    RunEvent,
    Stopped,
)
from tests.support.command_line import CommandLine

SUBJECT = Subject("resume orders", "test:9092", 3)
INTENT = Intent(actor=Actor(name="ann", via="cli"), reason="mended")


class Waves(EventStream):
    """Three waves of one order each, the second of which fails."""

    def __init__(self) -> None:
        plan: Plan[PlanItem] = Plan(items=(), as_of=datetime.now(UTC))
        super().__init__(plan, INTENT, Rollout(), 3)

    def _work(self) -> Generator[RunEvent, None, Stopped | Finished]:
        for wave in range(3):
            if self._stopping.is_set():
                return Stopped(why="requested", remaining=3 - wave)
            yield Resolved(name=f"o-{wave}", wave=wave, outcome="progressed", is_good=wave != 1)
        return Finished(succeeded=2, failed=1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    return tmp_path


def test_a_run_is_listed_while_it_goes_on_and_kept_when_it_has_ended() -> None:
    events = follow(Waves(), SUBJECT, INTENT)
    next(events)
    (running,) = list_runs(running_only=True)
    assert (running.what, running.by, running.reason, running.pid) == ("resume orders", "ann", "mended", os.getpid())
    list(events)
    assert list_runs(running_only=True) == []
    (ended,) = list_runs(running_only=False)
    assert (ended.state, ended.succeeded, ended.failed, ended.total) == ("finished", 2, 1, 3)


def test_a_run_is_stopped_before_its_next_wave(capsys: pytest.CaptureFixture[str]) -> None:
    run = Waves()
    events = follow(run, SUBJECT, INTENT)
    next(events)
    request_stop(run.id)
    *_, last = events
    assert isinstance(last, Stopped)
    assert (last.why, last.remaining) == ("requested", 1)
    assert "ends before the next wave" in capsys.readouterr().err
    assert list_runs(running_only=False)[0].state == "stopped"
    with pytest.raises(UnknownName, match=f"no run '{run.id}' goes on here"):
        request_stop(run.id)


class DeafWaves(Waves):
    """Waves that go on for some time when they are to stop."""

    stops = 0

    def stop(self) -> None:
        self.stops += 1


def test_that_a_run_is_to_stop_is_said_once_however_long_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    run = DeafWaves()
    events = follow(run, SUBJECT, INTENT)
    next(events)
    request_stop(run.id)
    list(events)
    assert (run.stops, capsys.readouterr().err.count("ends before the next wave")) == (1, 1)


def test_a_run_whose_terminal_was_closed_is_interrupted(home: Path) -> None:
    events = follow(Waves(), SUBJECT, INTENT)
    next(events)
    events.close()  # type: ignore[attr-defined]  # a generator
    assert list_runs(running_only=False)[0].state == "interrupted"


def test_a_run_is_noted_twice_a_second_at_most() -> None:
    seconds = [100.0]
    events = follow(Waves(), SUBJECT, INTENT, lambda: seconds[0])
    noted = []
    for now in (100.0, 100.5, 100.6):
        seconds[0] = now
        next(events)
        noted.append((list_runs(running_only=True)[0].succeeded, list_runs(running_only=True)[0].failed))
    assert noted == [(0, 0), (0, 0), (2, 1)]
    list(events)
    assert list_runs(running_only=False)[0].succeeded == 2


def test_a_run_that_has_ended_is_kept_for_a_day_and_one_that_goes_on_for_as_long_as_it_does(home: Path) -> None:
    running = follow(Waves(), SUBJECT, INTENT)
    next(running)
    list(follow(Waves(), SUBJECT, INTENT))
    files = list((home / "runs").glob("*.json"))
    for age_s, states in ((86_000, ["finished", "running"]), (90_000, ["running"])):
        for file in files:
            if file.exists():
                os.utime(file, (time.time() - age_s,) * 2)
        assert sorted(record.state for record in list_runs(running_only=False)) == states
    assert [file.exists() for file in files].count(True) == 1


def test_a_process_of_another_user_is_alive_and_a_note_that_is_none_is_passed_over(home: Path) -> None:
    list(follow(Waves(), SUBJECT, INTENT))
    (file,) = (home / "runs").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "pid": 1, "state": "running"}))
    for number, text in enumerate(("no JSON", "{}", "[1]")):
        (home / "runs" / f"{number}.json").write_text(text)
    assert [(record.pid, record.state) for record in list_runs(running_only=True)] == [(1, "running")]


def test_a_run_of_a_process_that_was_killed_is_interrupted(home: Path) -> None:
    events = follow(Waves(), SUBJECT, INTENT)
    next(events)
    (file,) = (home / "runs").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "pid": 2**22 + 1}))
    assert list_runs(running_only=True) == []
    assert list_runs(running_only=False)[0].state == "interrupted"


def test_commands_list_and_stop_runs(capsys: pytest.CaptureFixture[str]) -> None:
    ensemble, run = CommandLine(capsys), Waves()
    events = follow(run, SUBJECT, INTENT)
    next(events)
    assert ensemble("runs", "list", "-o", "name").out == f"{run.id}\n"
    assert ensemble("runs", "stop", run.id, "-o", "json").document["what"] == "resume orders"
    ensemble("runs", "stop", "gone").assert_not_found("RUN", "runs list")
    *_, last = events
    assert isinstance(last, Stopped)
