"""Runs `./ensemble` in a fork of a process that has loaded it: loading is most of what a short command costs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
PROGRAM: Final = "./ensemble"
_LIBRARIES: Final = CHECKOUT / "libs"
_LOADED: Final = (
    CHECKOUT / "cli",
    _LIBRARIES / "backoffice",
    _LIBRARIES / "verifier",
    _LIBRARIES / "ensemble" / "operations",
    _LIBRARIES / "ensemble" / "command_line" / "commands",
)
_SERVER: Final = get_context("forkserver")


def load() -> None:
    """Begin to load the program, in a process of its own that ends with this one. Again, it does nothing."""
    _SERVER.set_forkserver_preload(list(_modules()))
    forkserver.ensure_running()


def start(arguments: Sequence[str], environment: Mapping[str, str], terminal: int) -> ForkServerProcess:
    """Run a command of the program in the checkout, with a descriptor of a terminal as both of its outputs."""
    load()
    with Connection(os.dup(terminal)) as outputs:
        process = _SERVER.Process(target=_run, args=(list(arguments), dict(environment), outputs))
        process.start()
    return process


def _modules() -> Iterator[str]:
    for folder in _LOADED:
        root = _LIBRARIES if folder.is_relative_to(_LIBRARIES) else CHECKOUT
        for file in sorted(folder.rglob("*.py")):
            if file.stem != "__main__":
                yield ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _run(arguments: list[str], environment: dict[str, str], outputs: Connection) -> None:
    for descriptor in (1, 2):
        os.dup2(outputs.fileno(), descriptor)
    outputs.close()
    sys.stdout, sys.stderr = (open(descriptor, "w", encoding="utf-8", closefd=False) for descriptor in (1, 2))  # noqa: SIM115  they stay open until the process ends
    os.chdir(CHECKOUT)
    os.environ.clear()
    os.environ.update(environment, ENSEMBLE_PROGRAM=PROGRAM, PYTHONPATH=f"{_LIBRARIES}{os.pathsep}{CHECKOUT}")
    from cli.__main__ import run

    sys.exit(run(arguments))
