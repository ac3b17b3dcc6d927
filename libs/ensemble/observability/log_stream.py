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
        buffer = getattr(stream, "buffer", None)
        self._stream, self._is_torn = stream, False
        self._raw: Any = getattr(buffer, "raw", buffer)
        self.lost = 0
        """How many lines the stream has not taken since it last took one."""

    def write(self, line: str) -> None:
        """Write a line and its end, at once."""
        try:
            if self._raw is None:
                self._stream.write(line)
            self._stream.flush()  # also what others have written there, which comes first
            if self._raw is not None:
                self._write_raw(line)
        except (OSError, ValueError):  # which a stream that was closed raises
            self.lost += 1
        else:
            self.lost = 0

    def _write_raw(self, line: str) -> None:
        """Write a line past the stream's buffer, which would keep what is refused, and write it later after all.

        What is left of a line that was taken in part is not written: the next one begins on a line of its own.
        """
        text = line.encode(self._stream.encoding, self._stream.errors or "strict")
        rest = b"\n" + text if self._is_torn else text
        while rest:
            count = self._raw.write(rest)
            if not count:
                raise BlockingIOError(f"{len(rest)} bytes of a line were not taken")
            self._is_torn = rest[count - 1 : count] != b"\n"
            rest = rest[count:]

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
        sys.stderr = open_nowhere()
    return sys.stderr


def open_nowhere() -> TextIO:
    """Return what stands for a stream that whoever started the process has closed."""
    return Path(os.devnull).open("w", encoding="utf-8")


def tell(text: str) -> None:
    """Write a sentence to stderr, if it takes one."""
    LogStream(open_stderr()).write(f"{text}\n")
