"""A process is known by its number and its start, and is gone once it was ended."""

import os
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from ensemble.embedded.os_processes import CLOCK_TOLERANCE_S, end, exists, is_alive, started_at, suspend

GONE = 2**22 + 1
"""More than a system has."""
SLEEPS = """import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"asked"), os._exit(0)))
os.write(1, b"up"); time.sleep(600)"""


def test_this_process_lives_and_another_start_is_another_process() -> None:
    pid, started = os.getpid(), started_at(os.getpid())
    assert exists(pid)
    assert abs(started - time.time()) < 86_400
    assert is_alive(pid, started)
    for off_s, lives in ((0.5, True), (CLOCK_TOLERANCE_S - 0.5, True), (CLOCK_TOLERANCE_S, False), (-9.0, False)):
        assert is_alive(pid, started - off_s) is lives


def test_a_process_that_is_gone_is_neither_there_nor_alive_nor_ended() -> None:
    assert not exists(GONE)
    assert started_at(GONE) == 0.0
    assert not is_alive(GONE, 0.0)
    end(GONE, grace_s=0)


def test_a_process_that_has_ended_is_not_alive_though_nobody_has_asked_for_its_end() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = started_at(process.pid)
        assert is_alive(process.pid, started)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert exists(process.pid)
        assert not is_alive(process.pid, started)


def test_a_process_that_is_suspended_stands_still_when_that_returns() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", "while True: pass"]) as process:
        suspend(process.pid, limit_s=30.0)
        state = psutil.Process(process.pid).status()
        end(process.pid, grace_s=0)
    assert state == psutil.STATUS_STOPPED


@pytest.mark.parametrize(("grace_s", "words"), [(60.0, b"asked"), (0, b"")])
def test_a_process_is_ended_with_a_grace_or_at_once(grace_s: float, words: bytes) -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", SLEEPS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"up"
        started = started_at(process.pid)
        end(process.pid, grace_s)
        assert not is_alive(process.pid, started)
        assert process.stdout.read() == words


class Recorded:
    """Stands in a process's place, which ends only when it is killed."""

    def __init__(self) -> None:
        self.asked = list[object]()

    def terminate(self) -> None:
        self.asked.append("terminate")

    def kill(self) -> None:
        self.asked.append("kill")

    def wait(self, limit_s: float) -> None:
        self.asked.append(limit_s)
        if self.asked[0] == "terminate" or len(self.asked) > 2:
            raise psutil.TimeoutExpired(limit_s)


@pytest.mark.parametrize(("grace_s", "asked"), [(0, ["kill", 15.0]), (1.0, ["terminate", 1.0, "kill", 15.0])])
def test_a_process_that_does_not_end_is_killed_after_its_grace(grace_s: float, asked: list[object]) -> None:
    process: Any = Recorded()
    end(GONE, grace_s, {GONE: process}.__getitem__)
    assert process.asked == asked


def test_a_process_that_ends_in_its_grace_is_not_killed() -> None:
    process: Any = Recorded()
    process.wait = process.asked.append
    end(GONE, 1.0, {GONE: process}.__getitem__)
    assert process.asked == ["terminate", 1.0]
