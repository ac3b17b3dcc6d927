"""The process between the broker and its owner: whatever ends the owner, the broker ends, and is given time to."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE
from typing import IO

import pytest

from ensemble.embedded import supervisor
from ensemble.embedded.supervisor import allow_open_files, open_files

LIMIT_S = 30.0
RUNS = "echo up; n=0; while [ $n -lt 2000 ]; do sleep 0.02; n=$((n + 1)); done"
ENDS_IN_ORDER = f"trap 'echo asked; exit 7' TERM; {RUNS}"
HEARS_NOTHING = f"trap '' TERM; {RUNS}"
SIGNALS = {signal.SIGINT, signal.SIGTERM}
IMPATIENT = """
import runpy, sys
_, supervisor, note, *command = sys.argv
sys.exit(runpy.run_path(supervisor)["main"](note, command, 0.1))
"""


class Supervised:
    """A shell in the broker's place, under a supervisor that is started as its owner starts it."""

    def __init__(self, note: Path, script: str, program: list[str]) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # as an owner does that waits for them
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", *program, supervisor.__file__, str(note), "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self.owner, self.pid_line, self.words = self._process.stdin, self._process.stdout, self._process.stderr
        self.pid = self._process.pid

    def read(self, output: IO[bytes]) -> bytes:
        """Return what comes next."""
        ready, _, _ = select.select([output], [], [], LIMIT_S)
        return os.read(output.fileno(), 100) if ready else b"nothing came"

    def end(self) -> int:
        """Return with which code the supervisor ended."""
        return self._process.wait(LIMIT_S)

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.wait(LIMIT_S)
        for pipe in (self.owner, self.pid_line, self.words):
            pipe.close()


Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Return what starts supervisors, of which none is left."""
    started = list[Supervised]()

    def start(script: str, *program: str) -> Supervised:
        started.append(Supervised(tmp_path / "note", script, [*program]))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def close_input(supervised: Supervised) -> None:
    supervised.owner.close()


def ask_to_stop(supervised: Supervised) -> None:
    os.kill(supervised.pid, signal.SIGTERM)


def interrupt_and_close_input(supervised: Supervised) -> None:
    os.kill(supervised.pid, signal.SIGINT)
    os.kill(supervised.pid, signal.SIGHUP)
    supervised.owner.write(b"what an owner writes means nothing")
    close_input(supervised)


@pytest.mark.parametrize("act", [close_input, ask_to_stop, interrupt_and_close_input])
def test_a_broker_is_asked_to_stop_when_its_owner_is_gone_or_asks(
    supervise: Supervise, act: Callable[[Supervised], None]
) -> None:
    supervised = supervise(ENDS_IN_ORDER)
    assert supervised.read(supervised.words) == b"up\n"
    act(supervised)
    assert supervised.read(supervised.words) == b"asked\n"
    assert supervised.end() == 7


def test_a_broker_that_does_not_stop_is_killed(supervise: Supervise) -> None:
    supervised = supervise(HEARS_NOTHING, "-c", IMPATIENT)
    assert supervised.read(supervised.words) == b"up\n"
    close_input(supervised)
    assert supervised.end() == 256 - signal.SIGKILL


def test_a_broker_that_ends_by_itself_leaves_no_note(tmp_path: Path, supervise: Supervise) -> None:
    note = tmp_path / "note"
    note.touch()
    supervised = supervise("echo $$; read line; exit 3")
    assert supervised.read(supervised.pid_line) == supervised.read(supervised.words), "the owner learns its number"
    assert supervised.end() == 3, "it has no input"
    assert not note.exists()


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (256, 4_096, 4_096),
        (256, 20_000, 10_000),
        (256, RLIM_INFINITY, 10_000),
        (12_000, 20_000, 12_000),
        (12_000, RLIM_INFINITY, 12_000),
        (RLIM_INFINITY, RLIM_INFINITY, RLIM_INFINITY),
    ],
)
def test_a_broker_may_open_the_files_that_it_needs_as_far_as_the_user_may(soft: int, hard: int, expected: int) -> None:
    assert open_files(soft, hard) == expected


@pytest.mark.parametrize(
    ("soft", "hard", "calls"),
    [
        (256, 4_096, [(RLIMIT_NOFILE, (4_096, 4_096))]),
        (4_096, 4_096, []),
        (20_000, RLIM_INFINITY, []),
        (RLIM_INFINITY, RLIM_INFINITY, []),
    ],
)
def test_a_limit_that_is_high_enough_is_not_touched(soft: int, hard: int, calls: list[object]) -> None:
    """Some systems refuse to set it at all, and the broker did not start."""
    told = list[object]()
    allow_open_files(soft, hard, lambda *what: told.append(what))
    assert told == calls
