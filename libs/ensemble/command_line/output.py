"""What commands print: tables on a terminal, tab-separated lines in a pipe, one JSON document where asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from ensemble.clock import duration
from ensemble.command_line.output_format import JSON, TABLE, OutputFormat
from ensemble.command_line.streams import console, escape, is_terminal, is_unicode, say, styled, write, write_block

if TYPE_CHECKING:
    from rich.table import Table

Cell = str | int | float | None
_GAP: Final = 3
_NARROW_GAP: Final = 2
_NARROWEST: Final = 4
_LEAST: Final = 10
"""A column that is no wider does not give way to the column of names."""
_TEXT: Final = 30
"""So much of a long text has to be seen; for more of it no other column gives way."""
_TEN_SECONDS_MS: Final = 10_000
_LONG_AGO: Final = timedelta(days=60)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True)
class Sheet:
    """Rows under column names."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    styles: Mapping[str, Mapping[str, str]] | None = None
    """The colour of a cell by its column and text, on a terminal."""
    spare: Sequence[str] = ()
    """Columns that give way, the first one first, on a terminal that is too narrow for all."""
    nothing: str = "nothing there"
    name: str = ""
    """The column that other commands take as a name, by default the first one."""


def show(sheet: Sheet, document: Any, *, output: OutputFormat) -> None:
    """Print the sheet, or the document that says the same."""
    if output.is_json:
        show_json(document, output)
    elif not sheet.rows:
        say(sheet.nothing)
    elif output is OutputFormat.NAME:
        column = list(sheet.columns).index(sheet.name) if sheet.name else 0
        write(*(_plain(row[column]) for row in sheet.rows))
    elif not is_terminal():
        _show_plain(sheet)
    elif output is OutputFormat.WIDE:
        _show_wide(sheet)
    else:
        _show_table(sheet)


def show_json(document: Any, output: OutputFormat = JSON) -> None:
    """Write one JSON document; as lines, each element of a list on its own."""
    if output is JSON:
        write_block(json_text(document, indent=2))
        return
    for element in document if isinstance(document, list) else [document]:
        show_json_line(element)


def show_json_line(document: Any) -> None:
    """Write one JSON object of a stream, unbuffered."""
    write_block(json_text(document))


def json_text(document: Any, indent: int | None = None) -> str:
    """Return a JSON document as text; characters that steer terminals are escaped in it, as JSON escapes them."""
    from ensemble.escaping import escape_json

    return escape_json(json.dumps(document, indent=indent, default=str, ensure_ascii=not is_unicode())) + "\n"


def _show_plain(sheet: Sheet) -> None:
    write("\t".join(sheet.columns), *("\t".join(_plain(cell) for cell in row) for row in sheet.rows))


def _plain(cell: Cell) -> str:
    """Replace tabs and line breaks in a cell, since other programs split at them."""
    return "" if cell is None else " ".join(str(cell).split())


def _show_table(sheet: Sheet) -> None:
    sheet, terminal = replace(sheet, rows=with_ages(sheet.rows, datetime.now(UTC))), console()
    if len(sheet.rows) == 1 and not fits(sheet, terminal.width):
        show_document(only_row(sheet), output=TABLE)
        return
    terminal.print(table_of(sheet, terminal.width))


def _show_wide(sheet: Sheet) -> None:
    """Show all columns in full; a terminal that is too narrow wraps the lines."""
    names = [name for name in sheet.columns if any(_cells(sheet, name))]
    needed = sum(_width(sheet, name) for name in names) + _GAP * len(names)
    console(soft_wrap=True, width=needed).print(table_of(replace(sheet, spare=()), needed))


def table_of(sheet: Sheet, terminal_width: int) -> Table:
    """Return the table of a sheet as a terminal of this width shows it."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    names = fitting(sheet, terminal_width)
    padding = (0, gap(sheet, names, terminal_width) - 1, 0, 0)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=padding, header_style="bold", show_edge=False)
    for name, width in widths(sheet, names, terminal_width).items():
        table.add_column(name, justify=_side(sheet, name), no_wrap=True, overflow="ellipsis", width=width)
    for row in sheet.rows:
        cells = dict(zip(sheet.columns, row, strict=True))
        table.add_row(*(styled((shown(cells[name]), _style(sheet, name, cells[name]))) for name in names))
    return table


def fits(sheet: Sheet, width: int) -> bool:
    """Return whether all columns fit."""
    names = [name for name in sheet.columns if any(_cells(sheet, name))]
    return sum(_width(sheet, name) for name in names) <= _room(names, width)


def only_row(sheet: Sheet) -> dict[str, str]:
    """Return the only row by column, without empty cells."""
    return {name: text for name in sheet.columns if (text := _cells(sheet, name)[0])}


def fitting(sheet: Sheet, width: int) -> list[str]:
    """Return the columns to show: no empty ones, and no spare ones without room."""
    names = [name for name in sheet.columns if any(_cells(sheet, name))]
    for spare in sheet.spare:
        if sum(min(_width(sheet, name), _TEXT) for name in names) <= _room(names, width):
            break
        names = [name for name in names if name != spare]
    return names


def widths(sheet: Sheet, names: Sequence[str], width: int) -> dict[str, int]:
    """Return the width of each column; if they do not fit, the widest shrinks first.

    The column of names stays whole if it takes less than half of the width, for other commands take what it shows.
    """
    by_name = {name: _width(sheet, name) for name in names}
    room = width - gap(sheet, names, width) * (len(names) - 1)
    label = sheet.name or next(iter(names), "")
    if by_name.get(label, 0) > width // 2:
        label = ""
    while (excess := sum(by_name.values()) - room) > 0:
        others = {name: size for name, size in by_name.items() if name != label and size > _LEAST} or by_name
        largest, second, *_ = [*sorted(others.values(), reverse=True), _LEAST]
        widest = next(name for name in others if others[name] == largest)
        by_name[widest] -= min(excess, max(1, largest - second))
        if largest <= _NARROWEST:
            break
    return by_name


def gap(sheet: Sheet, names: Sequence[str], width: int) -> int:
    """Return the gap between columns: the narrow one if all columns fit with it and not with the usual one."""
    needed, gaps = sum(_width(sheet, name) for name in names), len(names) - 1
    return _NARROW_GAP if needed + _NARROW_GAP * gaps <= width < needed + _GAP * gaps else _GAP


def _room(names: Sequence[str], width: int) -> int:
    """Return the width that the narrow gaps between columns leave."""
    return width - _NARROW_GAP * (len(names) - 1)


def shown(cell: Cell) -> str:
    """Format a cell for a person: control characters are written out."""
    return "" if cell is None else escape(str(cell))


def with_ages(rows: Sequence[Sequence[Cell]], now: datetime) -> list[list[Cell]]:
    """Return the rows with how long ago each time was in its place: `12 s`, `3 min`, `in 2 h`, or an old one's date."""
    return [[_age(cell, now) if isinstance(cell, str) else cell for cell in row] for row in rows]


def _age(text: str, now: datetime) -> str:
    if not _TIME.fullmatch(text):
        return text
    age = now - datetime.fromisoformat(text)
    if age > _LONG_AGO:
        return text[:10]
    milliseconds = abs(round(age.total_seconds() * 1000))
    span = duration(milliseconds) if milliseconds >= _TEN_SECONDS_MS else f"{milliseconds // 1000} s"
    return f"in {span}" if age < timedelta(0) else span


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


def show_document(document: Mapping[str, Any], *, output: OutputFormat) -> None:
    """Show the properties of one thing: a name and a value per line, or JSON."""
    if output.is_json:
        show_json(document, output)
        return
    if output is OutputFormat.NAME:
        write(str(next(iter(document.values()), "")))
        return
    label = _label(document)
    for name, value in document.items():
        if isinstance(value, Mapping):
            write(f"{name}:")
            inner_label = _label(value)
            for inner, text in value.items():
                write(*_lines(f"  {inner_label(inner)}", text))
        elif value is not None:
            write(*_lines(label(name), value))


def _label(document: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the name before a value: with a tab in a pipe, padded on a terminal."""
    if not is_terminal():
        return lambda name: f"{name}\t"
    width = max((len(name) for name, value in document.items() if not isinstance(value, Mapping)), default=0)
    return lambda name: name.ljust(width + 2)


def _lines(label: str, value: Any) -> list[str]:
    """Return text of several lines indented under its name."""
    text = json_text(value) if isinstance(value, list | dict) else str(value)
    first, *further = text.rstrip("\n").split("\n")
    return [label + first, *(f"    {line}" for line in further)]
