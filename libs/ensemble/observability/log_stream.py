"""Writes lines to stderr, and goes on without those that it does not take: a full disk of logs ends no work."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

LOST = "lines_lost"
"""The field that tells how many lines before this one were not taken."""


class LogStream:
    """Writes whole lines to a stream. Never raises for a stream that is closed, or whose disk or reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0
        """How many lines the stream has not taken since it last took one."""

    def write(self, line: str) -> None:
        """Write a line and its end, at once."""
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # which a stream that was closed raises
            self.lost += 1
        else:
            self.lost = 0

    def flush(self) -> None:
        """Do nothing: what was written is flushed."""

    def add_lost(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Say on the next line how many were lost before it."""
        if self.lost:
            event[LOST] = self.lost
        return event


def open_stderr() -> TextIO:
    """Return stderr. If the process was started without one, open one that keeps nothing.

    A number that is left free would go to a connection, and whatever a library writes to stderr with it.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for as long as the process
    return sys.stderr


def tell(text: str) -> None:
    """Write a sentence to stderr, if it takes one."""
    LogStream(open_stderr()).write(f"{text}\n")
