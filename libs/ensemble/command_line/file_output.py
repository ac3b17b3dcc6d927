"""Text to a file that a flag names, or to stdout."""

from __future__ import annotations

from pathlib import Path

from ensemble.command_line.errors import Mistake
from ensemble.command_line.streams import say, write_block


def write_text(text: str, path: Path | None, what: str) -> None:
    """Write the text to the file or stdout, and report its size. Raises Mistake if the file cannot be written."""
    if path is None:
        write_block(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"--file: {path} cannot be written: {error.strerror}") from None
    say(f"{what} in {path}")
