"""A person's terminal in memory: what a command shows there, without its colours."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Final

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """What was shown, by line."""
        return [line.rstrip() for line in _COLOURS.sub("", self.getvalue()).splitlines()]


@contextmanager
def terminal(typed: str = "") -> Iterator[Terminal]:
    """Let all three standard streams belong to one terminal, in the block, on which this is typed."""
    screen, before = Terminal(), sys.stdin
    sys.stdin = Terminal(typed)
    try:
        with redirect_stdout(screen), redirect_stderr(screen):
            yield screen
    finally:
        sys.stdin = before
