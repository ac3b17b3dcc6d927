"""Runs jobs in processes of their own, beside this one."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, Generic, TypeVar

from verifier.source import CannotCheck

T = TypeVar("T")
_CHILD: Final = "from verifier.processes import do_the_job; do_the_job()"
_OBJECTS: Final = 200_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Have garbage in cycles looked for rarely: records make none, and looking takes a quarter of their reading."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Processes(AbstractContextManager["Processes[T]"], Generic[T]):
    """Jobs under way, each one in a new process; those that still run when the block ends, or this one, are ended."""

    def __init__(self, jobs: Iterable[Callable[[], T]]) -> None:
        """Start the jobs, which have to be picklable, and so have their results."""
        self._running: list[Any] = []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command, pipe = [sys.executable, "-P", "-c", _CHILD], subprocess.PIPE
        for job in jobs:
            child: Any = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)
            self._running.append(child)
            with suppress(BrokenPipeError):  # it has ended already, which its missing result will say
                pickle.dump(job, child.stdin)
                child.stdin.flush()

    def results(self) -> Iterator[T]:
        """Yield what each job has returned, in order. Raises what it has raised, and CannotCheck if it was killed."""
        for child in self._running:
            try:
                is_result, outcome = pickle.load(child.stdout)  # noqa: S301  our own process has written it
            except (EOFError, pickle.UnpicklingError):
                raise CannotCheck(
                    f"a process of the check was ended with exit code {child.wait()}: is there memory enough?"
                ) from None
            if not is_result:
                raise outcome
            yield outcome

    def __exit__(self, *_: object) -> None:
        for child in self._running:
            child.kill()
            with suppress(BrokenPipeError):
                child.communicate()


def do_the_job() -> None:
    """Run the job at standard input, and write whether it has returned, and what; or what it has raised."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C the process that asked thinks for both
    answer, sys.stdout = sys.stdout.buffer, sys.stderr
    logging.disable()  # what is wrong with the cluster is the job's error, which the process that asked tells of
    job = pickle.load(sys.stdin.buffer)  # noqa: S301  the process that started this one has written it
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    pickle.dump(outcome_of(job), answer)
    answer.flush()


def outcome_of(job: Callable[[], T]) -> tuple[bool, T | Exception]:
    """Return whether the job has returned, and what; or what it has raised."""
    try:
        with rare_collections():
            return True, job()
    except Exception as error:  # noqa: BLE001  whatever it is, the process that asked has to know
        return False, error


def _end_with_the_other() -> None:
    """End this process when the one that asked has ended in any way, for its end of the pipe is then closed."""
    sys.stdin.buffer.read()
    os._exit(1)
