"""How a command ended, for scripts: one table of exit codes, the same for every command."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    UNCHECKED = 5
    INTERRUPTED = 130


MEANINGS: Final[Mapping[ExitCode, str]] = MappingProxyType(
    {
        ExitCode.DONE: "done",
        ExitCode.FAILED: "did not succeed, or a check found something",
        ExitCode.USAGE: "the command or a setting is wrong",
        ExitCode.NOT_FOUND: "what was named does not exist",
        ExitCode.UNREACHABLE: "cluster or registry does not answer, or refuses",
        ExitCode.UNCHECKED: "nothing was found, but not everything was checked",
        ExitCode.INTERRUPTED: "interrupted",
    }
)
"""What each says, in the words that help and documentation use."""


def summary() -> str:
    """Return the table in one line, for the end of a help page."""
    return "; ".join(f"{code:d} {meaning}" for code, meaning in MEANINGS.items() if code is not ExitCode.INTERRUPTED)
