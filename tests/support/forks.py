"""Runs Python programs in forks of a process that has loaded them: loading is most of what a short one costs."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

CHECKOUT: Final = Path(__file__).parents[2]
LIBRARIES: Final = CHECKOUT / "libs"
_LOADED: Final = (
    CHECKOUT / "cli",
    CHECKOUT / "services",
    CHECKOUT / "tests" / "support" / "scripted_service",
    LIBRARIES / "backoffice",
    LIBRARIES / "verifier",
    LIBRARIES / "ensemble" / "operations",
    LIBRARIES / "ensemble" / "command_line" / "commands",
    LIBRARIES / "ensemble" / "kafka" / "worker",
)
_SERVER: Final = get_context("forkserver")
_LIMIT_S: Final = 120.0


def load() -> None:
    """Begin to load the programs, in a process of its own that ends with this one. Again, it does nothing."""
    _SERVER.set_forkserver_preload(list(_modules()))
    forkserver.ensure_running()


def start_function(function: Callable[..., None], *arguments: object) -> ForkServerProcess:
    """Call a function of a module in a process of its own, which has no thread and nothing of this one."""
    load()
    process = _SERVER.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


class Fork:
    """`python -m MODULE ARGUMENTS` in a process of its own, which can be asked what a `subprocess.Popen` is asked.

    Both of its outputs go to `output`. Its input is a pipe, whose other end is `stdin`, if it `has_input`.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        output: int,
        *,
        environment: Mapping[str, str],
        directory: Path | None = None,
        has_input: bool = False,
    ) -> None:
        load()
        theirs, ours = os.pipe() if has_input else (os.open(os.devnull, os.O_RDONLY), None)
        with Connection(theirs) as reader, Connection(os.dup(output)) as writer:
            home = str(directory or Path.cwd())
            self._process = _SERVER.Process(
                target=_run, args=(module, list(arguments), dict(environment), home, reader, writer), daemon=True
            )
            self._process.start()
        self.stdin: IO[bytes] | None = None if ours is None else os.fdopen(ours, "wb", buffering=0)
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self._process.kill()


def run_fork(
    module: str, arguments: Sequence[str], environment: Mapping[str, str] = os.environ, directory: Path | None = None
) -> tuple[int, str]:
    """Run a program to its end, and return its exit code and what it wrote on either output."""
    with TemporaryFile() as output:
        code = Fork(module, arguments, output.fileno(), environment=environment, directory=directory).wait(_LIMIT_S)
        output.seek(0)
        return code, output.read().decode()


def start_member(module: str, output: IO[bytes]) -> Fork:
    """Start a member of a fleet: it is `Fleet`'s `start`."""
    return Fork("launcher.child_process", [module], output.fileno(), environment=os.environ, has_input=True)


def _modules() -> Iterator[str]:
    for folder in _LOADED:
        root = LIBRARIES if folder.is_relative_to(LIBRARIES) else CHECKOUT
        for file in sorted(folder.rglob("*.py")):
            if file.stem != "__main__":
                yield ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _run(  # noqa: PLR0917  what a process is made of
    module: str,
    arguments: list[str],
    environment: dict[str, str],
    directory: str,
    reader: Connection,
    writer: Connection,
) -> None:
    os.setpgid(0, 0)
    os.dup2(reader.fileno(), 0)
    for descriptor in (1, 2):
        os.dup2(writer.fileno(), descriptor)
    reader.close()
    writer.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  all of them stay open until the process ends
    sys.stdout, sys.stderr = (open(descriptor, "w", encoding="utf-8", closefd=False) for descriptor in (1, 2))  # noqa: SIM115  as above
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
