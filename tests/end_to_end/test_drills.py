"""The drills of docs/operations.md, each in its shortest form: they end well, and are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.__main__ import DRILLS
from tests.drills.stage import Size, perform

SHORTEST = Size(minutes=0.1, rate=5)
pytestmark = pytest.mark.timeout(900)  # each wait of a drill has its own limit


def silently(_: str) -> None: ...


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_ends_well_and_is_written_down(name: str, tmp_path: Path) -> None:
    perform(DRILLS[name], SHORTEST, tmp_path, silently)
    transcript = (tmp_path / f"{name}.txt").read_text(encoding="utf-8")
    assert "$ ./ensemble verify" in transcript
    assert "\nclean: " in transcript
