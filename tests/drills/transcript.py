"""Sentences, commands and what these print: shown, and kept in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self


class Transcript:
    """A transcript file, open as long as a `with` lasts."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._show = path.open("w", encoding="utf-8"), show

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        """Add one block, with an empty line behind it."""
        self._file.write(text.rstrip() + "\n\n")
        self._file.flush()
        self._show(text.rstrip() + "\n")
