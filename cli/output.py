"""What commands print: tables on a terminal, tab-separated lines in a pipe, one JSON document where asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = str | int | float | None


@dataclass(frozen=True)
class Sheet:
    """Rows under column names. `styles` colours a cell by its column and text, on a terminal only."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    styles: Mapping[str, Mapping[str, str]] | None = None
    nothing: str = "nothing there"


def show(sheet: Sheet, document: Any, *, as_json: bool) -> None:
    """Print the sheet, or the document that says the same."""
    if as_json:
        show_json(document)
    elif not sheet.rows:
        say(sheet.nothing)
    elif sys.stdout.isatty():
        _show_table(sheet)
    else:
        _show_plain(sheet)


def show_json(document: Any) -> None:
    """One document."""
    sys.stdout.write(json.dumps(document, indent=2, default=str, ensure_ascii=False) + "\n")


def show_json_line(document: Any) -> None:
    """One object of a stream, at once."""
    sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A remark beside the result: stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def write(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _show_plain(sheet: Sheet) -> None:
    sys.stdout.write("\t".join(sheet.columns) + "\n")
    sys.stdout.writelines("\t".join(_plain(cell) for cell in row) + "\n" for row in sheet.rows)


def _plain(cell: Cell) -> str:
    """A cell holds neither tab nor line break: other programs split at them."""
    return "" if cell is None else " ".join(str(cell).split())


def _show_table(sheet: Sheet) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for place, name in enumerate(sheet.columns):
        numbers = all(isinstance(row[place], int | float) for row in sheet.rows)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    styles = sheet.styles or {}
    for row in sheet.rows:
        cells = zip(sheet.columns, row, strict=True)
        table.add_row(*(Text(_shown(cell), style=styles.get(name, {}).get(str(cell), "")) for name, cell in cells))
    Console().print(table)


def _shown(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def show_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing with its properties: a name and a value a line, or JSON."""
    if as_json:
        show_json(document)
        return
    for name, value in document.items():
        if isinstance(value, Mapping):
            write(f"{name}:")
            for inner, text in value.items():
                write(f"  {inner}\t{_lines(text)}")
        elif value is not None:
            write(f"{name}\t{_lines(value)}")


def _lines(value: Any) -> str:
    """Text of several lines, indented under its name."""
    return str(value).rstrip("\n").replace("\n", "\n    ")
