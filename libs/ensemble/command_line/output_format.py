"""The forms in which every command prints its result."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class OutputFormat(StrEnum):
    """What stdout gets. All but tables are the same on a terminal, in a pipe and in a file."""

    TABLE = "table"
    """Tables and names on a terminal that is as wide as it is; lines with tabs in a pipe."""
    WIDE = "wide"
    """The same with all columns, none of them cut."""
    JSON = "json"
    """One document, and an object a line of what goes on for ever."""
    JSONL = "jsonl"
    """An object a line."""
    NAME = "name"
    """A name a line, as other commands take it."""

    @property
    def is_json(self) -> bool:
        return self in {OutputFormat.JSON, OutputFormat.JSONL}


TABLE: Final = OutputFormat.TABLE
JSON: Final = OutputFormat.JSON
