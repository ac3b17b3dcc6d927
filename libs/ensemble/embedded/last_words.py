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


def is_full(directory: Path, free_bytes: Callable[[Path], int] = lambda place: shutil.disk_usage(place).free) -> bool:
    """Return whether the disk of a directory has no room for a broker's files, nor for its last words."""
    return free_bytes(directory) < _LEAST_BYTES


def taken_address(layout: Layout) -> str | None:
    """Return the address that the broker could not have, if that is why it ended."""
    match = NOT_BOUND.search(_tail(layout.log))
    return match["address"] if match else None


def cause_of_end(layout: Layout, has_no_room: Callable[[Path], bool] = is_full) -> str:
    """Return the innermost cause of the last error, in the broker's own words, which a full disk leaves no room for."""
    if has_no_room(layout.directory):
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
