"""A command as an operator sees it run: on a terminal, of a fixed width, without colours."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.support.forks import CHECKOUT, LIBRARIES, Fork

_ROWS, _COLUMNS = 50, 128
_STYLES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LIMIT_S: Final = 600.0
PROGRAM: Final = "./ensemble"


@dataclass(frozen=True)
class CommandResult:
    """What it printed, on either output, and how it ended."""

    text: str
    code: int

    def head(self, lines: int | None) -> str:
        """Return the first so many lines, and how many more there are."""
        all_ = self.text.splitlines()
        if lines is None or len(all_) <= lines + 1:
            return self.text
        return "\n".join([*all_[:lines], f"... and {len(all_) - lines} more lines"])


def run(line: str, environment: Mapping[str, str]) -> CommandResult:
    """Run a command line in the checkout, to its end."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    try:
        wait = _start(shlex.split(line), environment, theirs)
    finally:
        os.close(theirs)
    try:
        output = b"".join(_chunks(ours))
    finally:
        os.close(ours)
    return CommandResult(_on_screen(output.decode(errors="replace")), wait())


def _start(words: list[str], environment: Mapping[str, str], terminal: int) -> Callable[[], int]:
    """Start a command and return what waits for its exit code."""
    if words[0] == PROGRAM:
        return partial(_start_program(words[1:], environment, terminal).wait, _LIMIT_S)
    process = subprocess.Popen(
        words, cwd=CHECKOUT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    )
    return lambda: process.wait(_LIMIT_S)


def _start_program(arguments: list[str], environment: Mapping[str, str], terminal: int) -> Fork:
    path = f"{LIBRARIES}{os.pathsep}{CHECKOUT}"
    variables = {**environment, "ENSEMBLE_PROGRAM": PROGRAM, "PYTHONPATH": path}
    return Fork("cli", arguments, terminal, environment=variables, directory=CHECKOUT)


def _chunks(descriptor: int) -> Iterator[bytes]:
    """Yield until the last writer has gone, which some systems report as an error."""
    try:
        while chunk := os.read(descriptor, 65_536):
            yield chunk
    except OSError:
        return


def _on_screen(output: str) -> str:
    """Return what stays on the screen: of a line that is written over, its last version."""
    lines = _STYLES.sub("", output).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\r")[2].expandtabs().rstrip() for line in lines).strip("\n")
