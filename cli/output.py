"""What commands print: tables on a terminal, tab-separated lines in a pipe, one JSON document where asked for."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from cli.widths import fitted, kept

Cell = str | int | float | None
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True)
class Sheet:
    """Rows under column names."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    styles: Mapping[str, Mapping[str, str]] | None = None
    """The colour of a cell by its column and text, on a terminal."""
    spare: Sequence[str] = ()
    """Columns that give way, the first one first, on a terminal that is too narrow for all to be read."""
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

    console = Console()
    widths = fitting(sheet, console.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name, width in widths.items():
        table.add_column(name, justify=_side(sheet, name), no_wrap=True, overflow="ellipsis", width=width)
    for row in sheet.rows:
        cells = dict(zip(sheet.columns, row, strict=True))
        table.add_row(*(Text(shown(cells[name]), style=_style(sheet, name, cells[name])) for name in widths))
    console.print(table)


def fitting(sheet: Sheet, room: int) -> dict[str, int]:
    """The columns to show with their widths: none that is empty, and no spare one that there is no room for."""
    widths = {name: _width(sheet, name) for name in sheet.columns if any(_cells(sheet, name))}
    return fitted({name: widths[name] for name in kept(widths, sheet.spare, room)}, room)


def shown(cell: Cell) -> str:
    """A cell as a person reads it: of a time today, the time of day is enough."""
    text = "" if cell is None else str(cell)
    if not _TIME.fullmatch(text):
        return text
    date, _, time = text.rstrip("Z").partition("T")
    return time[:8] if date == datetime.now(UTC).date().isoformat() else f"{date[5:]} {time[:5]}"


def _cells(sheet: Sheet, name: str) -> list[str]:
    place = list(sheet.columns).index(name)
    return [shown(row[place]) for row in sheet.rows]


def _width(sheet: Sheet, name: str) -> int:
    return max(len(name), *map(len, _cells(sheet, name)))


def _side(sheet: Sheet, name: str) -> Literal["left", "right"]:
    place = list(sheet.columns).index(name)
    return "right" if all(isinstance(row[place], int | float | None) for row in sheet.rows) else "left"


def _style(sheet: Sheet, name: str, cell: Cell) -> str:
    return (sheet.styles or {}).get(name, {}).get(str(cell), "")


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
