"""Outputs that are kept in sections of a file beside their test: "== NAME", and below it the lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def read_sections(file: Path) -> dict[str, list[str]]:
    """Return the lines of each section, in the order of the file."""
    sections = file.read_text(encoding="utf-8").split("== ")[1:]
    return {lines[0]: lines[1:] for lines in (section.rstrip("\n").split("\n") for section in sections)}


def write_sections(names: Iterable[str], lines_of: Callable[[str], Iterable[str]]) -> None:
    """Write sections to the standard output, to be kept instead of those of now."""
    for name in names:
        sys.stdout.write("\n".join([f"== {name}", *lines_of(name), ""]))
