"""Reads from the broker's log why it ended."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ensemble.embedded.layout import Layout

TAIL = 40_000
_LEAST_BYTES = 1_000_000
THROWN = re.compile(r"^(?:Caused by: |Exception in thread \S+ )?[\w.$]+(?:Exception|Error): (.+)$", re.MULTILINE)
NOT_BOUND = re.compile(r"bind to (?P<address>\S+): Address already in use")


def free_bytes_at(directory: Path) -> int:
    """Return how much the disk of a directory has room for."""
    return shutil.disk_usage(directory).free


def taken_address(layout: Layout) -> str | None:
    """Return the address that the broker could not have, if that is why it ended."""
    match = NOT_BOUND.search(_tail(layout.log))
    return match["address"] if match else None


def cause_of_end(layout: Layout, free_bytes: Callable[[Path], int] = free_bytes_at) -> str:
    """Return the innermost cause of the last error, in the broker's own words, which a full disk leaves no room for."""
    if free_bytes(layout.directory) < _LEAST_BYTES:
        return f"no space is left on the disk of {layout.directory}"
    text = _tail(layout.log) + "\n" + _tail(layout.output)
    errors = [at.start() for at in re.finditer(r" (?:ERROR|FATAL) ", text)]
    causes = THROWN.findall(text, errors[-1] if errors else 0)
    return str(causes[-1])[:400].rstrip(".") if causes else f"it left no error in {layout.log}"


def _tail(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")[-TAIL:]
    except FileNotFoundError:
        return ""
