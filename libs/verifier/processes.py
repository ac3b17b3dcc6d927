"""Runs jobs in processes of their own, beside this one."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Final, Generic, TypeVar

from verifier.source import CannotCheck

T = TypeVar("T")
_CHILD: Final = "verifier.child"
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
        self._running: list[subprocess.Popen[bytes]] = []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for job in jobs:
            command = [sys.executable, "-P", "-m", _CHILD]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self._running.append(child)
            assert child.stdin is not None, "it was asked for"
            with suppress(BrokenPipeError):  # it has ended already, which its missing result will say
                pickle.dump(job, child.stdin)
                child.stdin.flush()

    def results(self) -> Iterator[T]:
        """Yield what each job has returned, in order. Raises what it has raised, and CannotCheck if it was killed."""
        for child in self._running:
            assert child.stdout is not None, "it was asked for"
            try:
                is_result, outcome = pickle.load(child.stdout)  # noqa: S301  our own process has written it
            except (EOFError, pickle.UnpicklingError):
                raise CannotCheck(
                    f"a process of the check was ended with exit code {child.wait()}: is there memory enough?"
                ) from None
            if not is_result:
                raise outcome
            yield outcome

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._running:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(BrokenPipeError):
                    pipe.close() if pipe else None
