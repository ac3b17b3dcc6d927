"""The paths through the code in docs/architecture.md: short, and never back and forth between files."""

import re
from collections import Counter
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
MOST_FILES = 12
PATHS = ("One record", "One failing record", "One timer", "One async call")


def files_of(path: str) -> list[str]:
    """Return the file of each step, in order."""
    chapter = (CHECKOUT / "docs" / "architecture.md").read_text().split("## Four paths through the code\n")[1]
    steps = re.findall(r"^(\d+)\. (.*)$", chapter.split(f"### {path}\n")[1].split("\n##")[0], re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    return [re.match(r"`([\w./]+):[\w.]+` ", step)[1] for _, step in steps]  # type: ignore[index]  # the form of a step


@pytest.mark.parametrize("path", PATHS)
def test_each_step_names_a_file_that_exists(path: str) -> None:
    files = files_of(path)
    assert len(files) > 1
    assert [file for file in files if not (CHECKOUT / file).is_file()] == []


@pytest.mark.parametrize("path", PATHS)
def test_no_path_has_too_many_files_or_comes_to_one_three_times(path: str) -> None:
    visits = Counter(files_of(path))
    assert (len(visits) <= MOST_FILES, [file for file, count in visits.items() if count > 2]) == (True, [])
