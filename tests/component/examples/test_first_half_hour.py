"""The programs that docs/compared.md counts: the table is theirs, and the one on this runtime does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.first_half_hour.__main__ import FOLDER, count_lines, render_table

PAGE = Path(__file__).parents[3] / "docs" / "compared.md"


def test_the_table_is_counted_from_the_programs() -> None:
    assert render_table() in PAGE.read_text(encoding="utf-8"), "put what `python -m benchmarks.first_half_hour` prints"


def test_lines_belong_to_the_part_above_them_and_imports_to_none(tmp_path: Path) -> None:
    # given
    (tmp_path / "app.py").write_text("import a\nfrom b import (\n    c,\n)\n\nx = 1\n# -- state\n# why\ny = 2\nz = 3\n")
    (tmp_path / "test_app.py").write_text("assert x\n")

    # when
    lines = count_lines(tmp_path)

    # then
    assert lines == {"reaction": 1, "state": 2, "test": 1}


def test_the_test_of_the_program_on_this_runtime_passes() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=prepend"]
    done = subprocess.run(
        [*command, "-o", "addopts=", "test_app.py"],
        cwd=FOLDER / "with_ensemble",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout
