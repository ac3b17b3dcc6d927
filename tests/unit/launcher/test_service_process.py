"""What a fleet asks of a child's process, each in its order, and how long it waits for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from launcher import Fleet, FleetError, Member
from launcher.service_process import ServiceProcess


class Pipe:
    """The input of a child, which takes what it is told unless it is broken."""

    def __init__(self, breaks_at: str = "") -> None:
        self.asked, self._breaks_at = list[tuple[Any, ...]](), breaks_at

    def write(self, line: bytes) -> None:
        self._act("write", json.loads(line), line.count(b"\n"))

    def flush(self) -> None:
        self._act("flush")

    def close(self) -> None:
        self._act("close")

    def _act(self, name: str, *what: object) -> None:
        if name == self._breaks_at:
            raise BrokenPipeError
        self.asked.append((name, *what))


class ChildDouble:
    """A child that has ended, or waits for its end with patience or without."""

    pid = 2**22 + 1
    """More than a system has."""
    exit_code: int | None = 0

    def __init__(self, module: str = "", *, hears: bool = True, pipe: Pipe | None = None) -> None:
        self.module, self.stdin, self.asked = module, pipe, list[object]()
        self._hears = hears

    def poll(self) -> int | None:
        return self.exit_code

    def wait(self, timeout: float | None = None) -> int:
        self.asked.append(timeout)
        if not self._hears and len(self.asked) == 1:
            raise subprocess.TimeoutExpired("child", timeout or 0)
        return 7

    def kill(self) -> None:
        self.asked.append("kill")


def process_of(child: Any, directory: Path) -> ServiceProcess:
    return ServiceProcess(Member("payment", 9), directory / "logs" / "payment.log", lambda *_: child)


@pytest.mark.parametrize(("hears", "asked"), [(True, [5.0]), (False, [5.0, "kill", None])])
def test_a_child_is_waited_for_and_killed_past_the_limit(tmp_path: Path, *, hears: bool, asked: list[object]) -> None:
    for pipe in (Pipe(), None):
        child = ChildDouble(hears=hears, pipe=pipe)
        assert process_of(child, tmp_path).wait(5.0) == 7
        assert child.asked == asked
        assert pipe is None or pipe.asked == [("close",)]


def test_a_child_is_told_its_environment_in_one_line_its_own_settings_last(tmp_path: Path) -> None:
    pipe = Pipe()
    process_of(ChildDouble(pipe=pipe), tmp_path).release({"A": "1", "ENSEMBLE_HTTP_PORT": "8"})
    own = {"ENSEMBLE_HTTP_PORT": "9", "ENSEMBLE_INSTANCE_ID": "0", "ENSEMBLE_LOG_FORMAT": "json"}
    assert pipe.asked == [("write", {"A": "1", **own}, 1), ("flush",)]


@pytest.mark.parametrize("breaks_at", ["write", "flush"])
def test_a_child_that_has_ended_is_told_nothing(tmp_path: Path, breaks_at: str) -> None:
    pipe = Pipe(breaks_at)
    process_of(ChildDouble(pipe=pipe), tmp_path).release({})
    assert len(pipe.asked) == (breaks_at == "flush")


def test_a_module_writes_to_its_log_behind_what_is_there(tmp_path: Path) -> None:
    # given
    started = list[str]()

    def start(module: str, output: IO[bytes]) -> Any:
        started.append(module)
        output.write(f"start {len(started)}\n".encode())
        return ChildDouble()

    # when
    log = tmp_path / "run" / "logs" / "control-room.log"
    processes = [ServiceProcess(Member("control-room", 9), log, start) for _ in range(2)]

    # then
    assert started == ["services.control_room"] * 2
    assert log.read_text() == "start 1\nstart 2\n"
    assert [each.last_lines(1) for each in processes] == [["start 2"]] * 2


def test_a_child_that_is_gone_is_not_suspended(tmp_path: Path) -> None:
    assert not process_of(ChildDouble(), tmp_path).is_paused


class Peers(list[ChildDouble]):
    """The children of a fleet, in the order of their starts."""

    def start(self, module: str, _: IO[bytes]) -> Any:
        self.append(ChildDouble(module.removeprefix("services."), pipe=Pipe()))
        return self[-1]


@pytest.mark.parametrize(("limit_s", "least", "most"), [(0, 0.1, 0.1), (90.0, 1.0, 90.0)])
def test_a_fleet_waits_for_each_of_its_children_in_what_is_left_of_the_time(
    tmp_path: Path, limit_s: float, least: float, most: float
) -> None:
    fleet, peers = Fleet(None, tmp_path, ["payment-sandbox", "order", "payment"]), Peers()
    fleet.start_with(peers.start)
    fleet.launch()
    fleet.stop(limit_s)
    waits = [wait for child in peers for wait in child.asked]
    assert [child.module for child in peers] == ["payment_sandbox", "order", "payment"]
    assert len(waits) == 3
    assert all(isinstance(wait, float) and least <= wait <= most for wait in waits)


def test_a_member_that_has_ended_is_let_go_before_it_starts_again(tmp_path: Path) -> None:
    fleet, peers = Fleet("b:1", tmp_path, ["order"]), Peers()
    fleet.start_with(peers.start)
    fleet.launch()
    assert not fleet.is_alive("order")
    fleet.restart("order", {"A": "1"})
    first, second = peers
    assert (first.asked, first.stdin and first.stdin.asked) == ([20.0], [("close",)])
    assert second.asked == []
    assert second.stdin is not None
    (_, told, _), _ = second.stdin.asked
    assert (told["A"], told["KAFKA_BOOTSTRAP_SERVERS"]) == ("1", "b:1")


def test_a_fleet_without_members_is_ready_and_one_that_ends_is_not(tmp_path: Path) -> None:
    Fleet(None, tmp_path, []).await_ready(0)
    fleet = Fleet(None, tmp_path, ["order"])
    fleet.start_with(Peers().start)
    fleet.launch()
    with pytest.raises(
        FleetError, match=r"^order ended with exit code 0; last lines of its log:\n    \(its log is emp"
    ):
        fleet.await_ready(0)
