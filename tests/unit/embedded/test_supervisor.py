"""What a supervisor asks of its system and of its broker, each in its order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RLIMIT_NOFILE
from typing import Any

import pytest

from ensemble.embedded.supervisor import main

LIMIT_S = 30.0


class Broker:
    """A broker that ends when it is asked to, or only when it is killed."""

    pid = 4711

    def __init__(self, *, hears: bool) -> None:
        self.asked = list[object]()
        self.while_it_runs: Callable[[], object] = bool
        self._hears, self._is_over = hears, threading.Event()

    def terminate(self) -> None:
        self.asked.append("terminate")
        if self._hears:
            self._is_over.set()

    def kill(self) -> None:
        self.asked.append("kill")
        self._is_over.set()

    def wait(self, limit_s: float | None = None) -> int:
        if limit_s is None:
            self.while_it_runs()
            assert self._is_over.wait(LIMIT_S), "nothing ends it"
            return 7
        self.asked.append(limit_s)
        if not self._hears:
            raise subprocess.TimeoutExpired("broker", limit_s)
        return 7


class Machine:
    """A system that tells what is asked of it, and on which an owner lives until `leave`."""

    def __init__(self) -> None:
        self.asked, self.handlers = list[object](), dict[int, Any]()
        self.broker, self._before = Broker(hears=True), set(threading.enumerate())
        self.owner, self._owner_end = os.pipe()
        self._reader_end, self.reader = os.pipe()
        self.while_it_starts: Callable[[], object] = bool

    def set_mask(self, how: int, mask: object) -> None:
        self.asked.append(("mask", how, mask))

    def on_signal(self, number: int, handler: Any) -> None:
        self.asked.append(("ignore" if handler is signal.SIG_IGN else "hear", number))
        self.handlers[number] = handler

    def limits_of(self, resource: int) -> tuple[int, int]:
        return {RLIMIT_NOFILE: (256, 4_096)}[resource]

    def set_limit(self, resource: int, limits: tuple[int, int]) -> None:
        self.asked.append(("limit", resource, limits))

    def start(self, command: list[str], **pipes: object) -> Broker:
        self.asked.append(("start", command, pipes))
        self.while_it_starts()
        return self.broker

    def terminate(self) -> None:
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)

    def pid_line(self) -> bytes:
        return os.read(self._reader_end, 100)

    def leave(self) -> None:
        os.write(self._owner_end, b"what an owner writes means nothing")
        os.close(self._owner_end)

    @property
    def threads(self) -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each not in self._before]

    def await_threads(self) -> None:
        for each in self.threads:
            each.join(LIMIT_S)

    def close(self) -> None:
        self.await_threads()
        for descriptor in (self.owner, self._reader_end, self.reader):
            os.close(descriptor)


@pytest.fixture
def machine() -> Iterator[Any]:
    machine = Machine()
    yield machine
    machine.close()


def test_a_supervisor_tells_the_number_of_its_broker_and_removes_the_note_at_its_end(
    machine: Any, tmp_path: Path
) -> None:
    # given
    note = tmp_path / "note"
    note.touch()
    machine.leave()

    # when
    code = main(str(note), ["java", "kafka"], 5.0, machine)

    # then
    assert (code, machine.pid_line(), note.exists()) == (7, b"4711\n", False)
    assert machine.asked == [
        ("mask", signal.SIG_SETMASK, ()),
        ("ignore", signal.SIGINT),
        ("ignore", signal.SIGHUP),
        ("limit", RLIMIT_NOFILE, (4_096, 4_096)),
        ("hear", signal.SIGTERM),
        ("start", ["java", "kafka"], {"stdin": subprocess.DEVNULL, "stdout": sys.stderr}),
        ("hear", signal.SIGTERM),
    ]


@pytest.mark.parametrize(("hears", "asked"), [(True, ["terminate", 5.0]), (False, ["terminate", 5.0, "kill"])])
def test_a_broker_whose_owner_is_gone_is_stopped_and_killed_past_the_limit(
    machine: Any, tmp_path: Path, *, hears: bool, asked: list[object]
) -> None:
    broker = machine.broker = Broker(hears=hears)
    machine.leave()
    main(str(tmp_path / "no-note"), [], 5.0, machine)
    machine.await_threads()
    assert broker.asked == asked


def test_a_supervisor_that_is_told_to_stop_stops_its_broker_alone(machine: Any, tmp_path: Path) -> None:
    machine.broker.while_it_runs = machine.terminate
    main(str(tmp_path / "no-note"), [], 5.0, machine)
    assert machine.broker.asked == ["terminate"]
    assert [each.daemon for each in machine.threads] == [True], "an owner that lives does not keep it"
    machine.leave()


def test_a_supervisor_that_is_told_to_stop_while_its_broker_starts_stops_it_then(machine: Any, tmp_path: Path) -> None:
    machine.while_it_starts = machine.terminate
    main(str(tmp_path / "no-note"), [], 5.0, machine)
    assert machine.broker.asked == ["terminate"]
    machine.leave()
