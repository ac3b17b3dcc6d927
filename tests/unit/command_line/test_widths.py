"""Which columns a terminal of a width shows, how wide each is, and how old its times are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ensemble.command_line.output import Sheet, fits, fitting, gap, only_row, show, widths, with_ages
from ensemble.command_line.output_format import OutputFormat
from tests.support.terminal import terminal

ROWS = [("o-1", "open", "x" * 20), ("o-2", "closed", "")]
NARROW = Sheet(("order", "status", "note"), ROWS, spare=("note", "status"))
"""Its columns are 5, 6 and 20 wide."""


@pytest.mark.parametrize(
    ("width", "shown", "all_fit"),
    [
        (37, ["order", "status", "note"], True),
        (35, ["order", "status", "note"], True),
        (34, ["order", "status"], False),
        (13, ["order", "status"], False),
        (12, ["order"], False),
        (1, ["order"], False),
    ],
)
def test_spare_columns_give_way_where_the_narrow_gaps_leave_no_room(
    width: int, shown: list[str], *, all_fit: bool
) -> None:
    assert (fitting(NARROW, width), fits(NARROW, width)) == (shown, all_fit)


def test_a_long_text_is_no_reason_to_give_way_past_thirty_characters() -> None:
    sheet = Sheet(("order", "note"), [("o-1", "x" * 90)], spare=("order",))
    assert (fitting(sheet, 37), fitting(sheet, 36)) == (["order", "note"], ["note"])
    assert not fits(sheet, 96)
    assert fits(sheet, 97)


def test_an_empty_column_is_not_shown_and_takes_no_room() -> None:
    sheet = Sheet(("a", "empty", "b"), [("1", None, ""), ("2", "", "3")])
    assert fitting(sheet, 80) == ["a", "b"]
    assert fits(sheet, 4)
    assert not fits(sheet, 3)
    assert only_row(Sheet(("a", "empty", "b"), [("1", None, 2)])) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(("width", "between"), [(34, 3), (35, 2), (36, 2), (37, 3), (90, 3)])
def test_the_narrow_gap_is_taken_where_it_alone_lets_all_fit(width: int, between: int) -> None:
    assert gap(NARROW, NARROW.columns, width) == between


@pytest.mark.parametrize(
    ("sheet", "width", "expected"),
    [
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 53, [20, 30]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 52, [20, 30]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 50, [20, 27]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 40, [20, 17]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 39, [18, 18]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)], name="b"), 39, [18, 18]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 14)], name="b"), 30, [13, 14]),
        (Sheet(("a", "b", "c"), [("x" * 8, "y" * 30, "z" * 30)]), 40, [8, 13, 13]),
        (Sheet(("a", "b", "c"), [("x" * 8, "y" * 9, "z" * 30)]), 30, [8, 8, 8]),
        (Sheet(("a", "b"), [("x" * 20, "y" * 30)]), 5, [3, 4]),
        (Sheet((), []), 5, []),
    ],
)
def test_the_widest_column_shrinks_first_and_names_stay_whole_below_half(
    sheet: Sheet, width: int, expected: list[int]
) -> None:
    assert list(widths(sheet, sheet.columns, width).values()) == expected


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-31T12:00:00Z", "0 s"),
        ("2026-01-31T11:59:50.001Z", "9 s"),
        ("2026-01-31T11:59:50Z", "10 s"),
        ("2026-01-31T11:57:00.000Z", "3 min"),
        ("2026-01-31T12:00:09Z", "in 9 s"),
        ("2026-01-31T14:00:00Z", "in 2 h"),
        ("2025-12-02T12:00:00Z", "60 d"),
        ("2025-12-02T11:59:59Z", "2025-12-02"),
        ("2026-01-31", "2026-01-31"),
        ("at 2026-01-31T12:00:00Z", "at 2026-01-31T12:00:00Z"),
    ],
)
def test_a_time_is_shown_as_its_age_and_an_old_one_as_its_date(text: str, shown: str) -> None:
    cells: list[Any] = [text, 7, None]
    assert with_ages([cells], NOW) == [[shown, 7, None]]


def test_a_wide_table_leaves_out_empty_columns_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    sheet = Sheet(("order", "half", "empty"), [("o-1", "", ""), ("o-2", "x" * 30, "")], spare=("half",))
    with terminal() as shown:
        show(sheet, None, output=OutputFormat.WIDE)
    assert [line.split() for line in shown.lines if line and "─" not in line] == [
        ["order", "half"], ["o-1"], ["o-2", "x" * 30],
    ]  # fmt: skip
