"""The process between the broker and its owner: whatever ends the owner, the broker ends, and is given time to."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE

import pytest

from ensemble.embedded.supervisor import allow_open_files, main, open_files

LIMIT_S = 30.0
RUNS = "echo up; n=0; while [ $n -lt 2000 ]; do sleep 0.02; n=$((n + 1)); done"
ENDS_IN_ORDER = f"trap 'echo asked; exit 7' TERM; {RUNS}"
HEARS_NOTHING = f"trap '' TERM; {RUNS}"
SIGNALS = {signal.SIGINT, signal.SIGTERM}

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it is multi-threaded, and forks


class Supervised:
    """A shell in the broker's place, under a supervisor that is a fork of this process."""

    def __init__(self, note: Path, script: str, stop_limit_s: float) -> None:
        self._input, self.owner = os.pipe()
        self.pid_line, self._output = os.pipe()
        self.words, self._errors = os.pipe()
        self._theirs = (self._input, self._output, self._errors)
        run = (str(note), ["sh", "-c", script], stop_limit_s)
        self._process = get_context("fork").Process(target=self._supervise, args=run, daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0
        for descriptor in self._theirs:
            os.close(descriptor)

    def _supervise(self, note: str, command: list[str], stop_limit_s: float) -> None:
        for place, descriptor in enumerate(self._theirs):
            os.dup2(descriptor, place)
        for descriptor in (self.owner, self.pid_line, self.words):
            os.close(descriptor)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  it is open until the process ends
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # as the owner does, which waits for them
        sys.exit(main(note, command, stop_limit_s) % 256)

    def read(self, descriptor: int) -> bytes:
        """Return what comes next."""
        ready, _, _ = select.select([descriptor], [], [], LIMIT_S)
        return os.read(descriptor, 100) if ready else b"nothing came"

    def end(self) -> int | None:
        """Return with which code the supervisor ended."""
        self._process.join(LIMIT_S)
        return self._process.exitcode

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.join(LIMIT_S)
        for descriptor in (self.pid_line, self.words):
            os.close(descriptor)


Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Return what starts supervisors, of which none is left."""
    started = list[Supervised]()

    def start(script: str, stop_limit_s: float = LIMIT_S) -> Supervised:
        started.append(Supervised(tmp_path / "note", script, stop_limit_s))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def close_input(supervised: Supervised) -> None:
    os.close(supervised.owner)


def ask_to_stop(supervised: Supervised) -> None:
    os.kill(supervised.pid, signal.SIGTERM)


def interrupt_and_close_input(supervised: Supervised) -> None:
    os.kill(supervised.pid, signal.SIGINT)
    os.kill(supervised.pid, signal.SIGHUP)
    os.write(supervised.owner, b"what an owner writes means nothing")
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
    if act is ask_to_stop:
        close_input(supervised)


def test_a_broker_that_does_not_stop_is_killed(supervise: Supervise) -> None:
    supervised = supervise(HEARS_NOTHING, stop_limit_s=0.1)
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
    close_input(supervised)


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
