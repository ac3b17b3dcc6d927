"""Dead letters as lines for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ensemble.command_line.rows import dead_letter_row
from ensemble.escaping import escape_cell
from ensemble.operations import DeadLetterEntry, summary_of


def as_csv(letters: Iterable[DeadLetterEntry]) -> str:
    """Return one line for each dead letter, without structured columns. No spreadsheet takes a cell for a formula."""
    rows = [
        {**dead_letter_row(summary_of(letter)), "bytes": (letter.entry.record.value or b"").hex()} for letter in letters
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    return escape_cell(value) if isinstance(value, str) else value
