"""A process that stood still runs on only once its successor has its slot, and has to end then."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from launcher import Member
from tests.chaos.exits import FENCED_S, Finding
from tests.chaos.zombies import Zombies
from tests.support.steady_clock import SteadyClock

FENCED = json.dumps({"event": "service.failed", "error": "Fenced"})


class StillProcess:
    """A process that stands still: it notes its signals, and ends when the test says so."""

    def __init__(self, log: Path) -> None:
        self.log, self.exit_code, self.signals = log, None, list[signal.Signals]()

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)

    def wait(self, _: float) -> None: ...


class FleetOfOne:
    """Hands its process over, and says of the successor what the test says."""

    def __init__(self, process: StillProcess) -> None:
        self.members, self.state, self._process = {"order": Member("order", 1)}, "starting", process

    def replace(self, member: Member) -> StillProcess:
        assert (member.service, member.instance) == ("order", 0)
        return self._process

    def state_of(self, _: str) -> str:
        return self.state


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def process(tmp_path: Path) -> Any:
    log = tmp_path / "order.log"
    log.write_text(FENCED + "\n")
    return StillProcess(log)


@pytest.fixture
def fleet(process: Any) -> Any:
    return FleetOfOne(process)


@pytest.fixture
def zombies(fleet: Any, clock: SteadyClock) -> Zombies:
    zombies = Zombies(fleet, clock)
    zombies.replace("order")
    return zombies


def resumed(zombies: Zombies, fleet: Any, clock: SteadyClock) -> None:
    fleet.state = ""
    clock.now += 1
    assert list(zombies.watch()) == []


def test_it_runs_on_only_behind_a_successor_that_is_ready(
    zombies: Zombies, fleet: Any, process: Any, clock: SteadyClock
) -> None:
    assert list(zombies.watch()) == []
    assert (process.signals, zombies.has("order"), zombies.has("payment")) == ([], True, False)
    resumed(zombies, fleet, clock)
    assert process.signals == [signal.SIGCONT]


def test_it_is_as_it_should_be_once_it_has_said_that_it_was_fenced(
    zombies: Zombies, fleet: Any, process: Any, clock: SteadyClock
) -> None:
    resumed(zombies, fleet, clock)
    with process.log.open("a") as log:
        log.write(FENCED + "\n")
    process.exit_code = 1
    assert list(zombies.watch()) == ["zombie fenced, and said so"]
    assert not zombies.are_left


def test_what_was_logged_before_it_ran_on_does_not_count(
    zombies: Zombies, fleet: Any, process: Any, clock: SteadyClock
) -> None:
    resumed(zombies, fleet, clock)
    process.exit_code = 1
    (result,) = zombies.watch()
    assert isinstance(result, Finding)


def test_one_that_runs_on_is_found_and_killed(zombies: Zombies, fleet: Any, process: Any, clock: SteadyClock) -> None:
    resumed(zombies, fleet, clock)
    clock.now += FENCED_S
    assert list(zombies.watch()) == []
    clock.now += 1
    (result,) = zombies.watch()
    assert isinstance(result, Finding)
    assert process.signals == [signal.SIGCONT, signal.SIGKILL]
