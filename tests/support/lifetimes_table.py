"""The table of lifetimes in docs/retention.md, computed from the services.

python -m tests.support.lifetimes_table     rewrites the part of the page between the two markers
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ensemble.topology import lifetimes
from services.app import SERVICES

PAGE: Final = Path(__file__).parents[2] / "docs" / "retention.md"
BEGIN: Final = "<!-- lifetimes: begin, written by `make lifetimes` -->\n"
END: Final = "<!-- lifetimes: end -->\n"


def lifetimes_table() -> str:
    """Return the table as Markdown."""
    rows = [
        (row.subject, row.duration, row.origin, row.then) for row in lifetimes(make() for make in SERVICES.values())
    ]
    lines = [("what", "kept", "set in", "then"), ("---", "---", "---", "---"), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def lifetimes_shown() -> str:
    """Return what the page holds between the markers."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def rewrite() -> None:
    """Put today's table into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{lifetimes_table()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    rewrite()
