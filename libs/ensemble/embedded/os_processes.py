"""Looks at and ends processes of the operating system that are not our children."""

import contextlib
from collections.abc import Callable

from ensemble.clock import until
from ensemble.embedded.supervisor import STOP_LIMIT_S
from ensemble.extras import imports_of_extra

with imports_of_extra("embedded", "the embedded broker"):
    import psutil

CLOCK_TOLERANCE_S = 2.0
_SUSPEND_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.001


def exists(pid: int) -> bool:
    """Return whether some process has this number."""
    return psutil.pid_exists(pid)


def started_at(pid: int) -> float:
    """Return when the process was started, which identifies it together with its number. 0 if it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """Return whether the process lives that had this number and was started at that time."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < CLOCK_TOLERANCE_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def suspend(pid: int, limit_s: float = _SUSPEND_LIMIT_S) -> None:
    """Stop a process without ending it, and return when it stands still: on a busy machine it goes on for a moment.

    Raises TimeoutError if it does not stop within the limit, psutil.NoSuchProcess if it is gone.
    """
    process = psutil.Process(pid)
    process.suspend()
    for _ in until(limit_s, _LOOK_EVERY_S):
        if process.status() == psutil.STATUS_STOPPED:
            return
    raise TimeoutError(f"process {pid} has not stood still for {limit_s:g} s after SIGSTOP")


def end(pid: int, grace_s: float, process_of: Callable[[int], psutil.Process] = psutil.Process) -> None:
    """End a process that is not our child, forcibly after the grace, and wait until it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = process_of(pid)
        if grace_s:
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(grace_s)
                return
        process.kill()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
