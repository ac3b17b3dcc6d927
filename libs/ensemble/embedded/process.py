"""The broker's process and the supervisor that holds it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ensemble.clock import until
from ensemble.embedded import running
from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.java import java_environment
from ensemble.embedded.last_words import cause_of_end
from ensemble.embedded.layout import Layout
from ensemble.embedded.os_processes import end, exists
from ensemble.embedded.supervisor import STOP_LIMIT_S

SUPERVISOR = Path(__file__).with_name("supervisor.py")
STEP_S = 0.02
_END_LIMIT_S = STOP_LIMIT_S + 5
"""For a supervisor, which kills a broker that has not stopped by itself."""


@dataclass(frozen=True)
class BrokerProcess:
    """A broker under its supervisor; it lives as long as this process does, or until it is stopped."""

    supervisor: "subprocess.Popen[bytes]"
    pid: int

    @property
    def is_over(self) -> bool:
        return self.supervisor.poll() is not None

    def stop(self) -> None:
        """Let the broker finish and wait for it; past the limit it is killed."""
        if self.supervisor.stdin:
            self.supervisor.stdin.close()
        try:
            self.supervisor.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def kill(self) -> None:
        """End the broker as a crash would, if it runs, and wait until it is gone."""
        if not self.is_over:
            end(self.pid, grace_s=0)
        self.supervisor.wait(STOP_LIMIT_S)
        self._close()

    def _close(self) -> None:
        for pipe in (self.supervisor.stdin, self.supervisor.stdout):
            if pipe:
                pipe.close()


def launch(layout: Layout, command: list[str], lock: int) -> BrokerProcess:
    """Start the broker under a supervisor, which takes the directory's lock over."""
    layout.keep_last_log()
    with layout.output.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(layout.state), *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, pass_fds=(lock,), start_new_session=True,
            cwd=layout.directory, env=java_environment(),
        )  # fmt: skip
    os.close(lock)
    first_line = supervisor.stdout.readline() if supervisor.stdout else b""
    broker = BrokerProcess(supervisor, int(first_line or 0))
    if not broker.pid:
        broker.stop()
        raise EmbeddedKafkaError(f"Kafka could not be started: {cause_of_end(layout)}")
    return broker


def lock(layout: Layout) -> int:
    """Take the directory for one broker; wait for a broker that is stopping, and end an orphaned one."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        take(descriptor, layout)
    except EmbeddedKafkaError:
        os.close(descriptor)
        raise
    orphan = running.read(layout)
    if orphan and orphan.is_process_alive:
        end(orphan.pid, grace_s=STOP_LIMIT_S)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(
    descriptor: int, layout: Layout, try_lock: Callable[[int], bool] = _try_lock, limit_s: float = _END_LIMIT_S
) -> None:
    """Lock the directory, and note this process as its owner.

    Raises EmbeddedKafkaError at once if its owner lives, else if its broker has not stopped within the limit.
    """
    for _ in until(limit_s, STEP_S):
        if try_lock(descriptor):
            break
        if _is_owned(layout):
            raise _in_use(layout)
    else:
        raise _in_use(layout)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _in_use(layout: Layout) -> EmbeddedKafkaError:
    note = running.read(layout)
    state = f"runs at {note.bootstrap_servers}" if note else "is being started"
    return EmbeddedKafkaError(f"A broker of {layout.directory} {state}: use it, or stop what started it.")


def _is_owned(layout: Layout) -> bool:
    """Return whether the process that took the lock is alive; if not, its broker is about to stop."""
    owner = layout.lock.read_text(encoding="utf-8")
    return owner.isdigit() and exists(int(owner))
