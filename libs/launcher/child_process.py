"""Runs a module as a child that never outlives its parent: `python -m launcher.child_process MODULE [ARGUMENTS]`.

Standard input is a pipe that the parent holds open. The child imports what it will need, waits for one line, a JSON
object with the environment that was not known before, and runs. When the pipe closes, because the parent let go or
died in whatever way, the child stops like after SIGTERM, and is gone at the latest after the grace.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

GRACE_S = 10.0
_ORPHANED = 70


def main(module: str, arguments: list[str], parent: IO[bytes], watch: Callable[[], object]) -> None:
    """Run `module` as `__main__` once the parent sends the environment; its exit code is this process's.

    Meanwhile a thread of its own does `watch`.
    """
    _warm_up(module)
    line = parent.readline()
    if not line:
        return
    os.environ.update(json.loads(line))
    threading.Thread(target=watch, name="parent", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _warm_up(module: str) -> None:
    """Import what the module will need. Imports that fail here are reported when the module runs."""
    with contextlib.suppress(ImportError):
        for name in (f"{module}.service", f"{module}.server", f"{module}.application"):
            if importlib.util.find_spec(name):
                importlib.import_module(name)
        importlib.import_module("ensemble.kafka.worker.process")


def end_with_the_parent(parent: int = 0, grace_s: float = GRACE_S, end: Callable[[int], object] = os._exit) -> None:
    """Read the pipe that the parent holds open until it closes; then stop this process, and end it after the grace."""
    while os.read(parent, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    end(_ORPHANED)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:], sys.stdin.buffer, end_with_the_parent)
