"""The runtime knows nothing of the tree that it lies in, and nothing of the application beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
RUNTIME = CHECKOUT / "libs" / "ensemble"
COMMAND_LINE = RUNTIME / "command_line"
PROJECT = COMMAND_LINE / "template"
FILES = sorted(
    path for path in RUNTIME.rglob("*") if path.is_file() and path.suffix in {".py", ".md", ".toml", ".avsc", ".yaml"}
)


def targets(makefile: Path) -> set[str]:
    return set(re.findall(r"^([a-z-]+):", makefile.read_text(), re.MULTILINE))


def commands(folder: Path) -> set[str]:
    return {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__"}


TARGETS = "|".join(sorted(targets(CHECKOUT / "Makefile") - targets(PROJECT / "Makefile")))
"""Those that the project of `ensemble new` has as well are named in its own files alone, as a test below says."""
OF_THE_LIBRARY = commands(COMMAND_LINE / "commands")
OF_THE_APPLICATION = commands(CHECKOUT / "cli" / "commands") - OF_THE_LIBRARY
OF_THE_CHECKOUT = {
    "a path above the package": r"parents\[|\.parent\.parent",
    "the checkout": r"(?i)checkout|docker-compose|compose\b|ensemble-compose|ZW5zZW1ibGUtY29tcG9zZQ",
    "its launcher": r"\./ensemble\b",
    "a target of its Makefile": rf"`make ({TARGETS})\b",
    "a package of the application": r"\b(from|import|python -m) (cli|contracts|services)\b",
}


@pytest.mark.parametrize("kind", OF_THE_CHECKOUT)
def test_the_runtime_names_nothing_of_the_checkout(kind: str) -> None:
    places = [
        f"{path.relative_to(RUNTIME)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(OF_THE_CHECKOUT[kind], line)
    ]
    assert places == []


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string in the code, pieces of f-strings and docstrings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lines_with(pattern: str, *, inside: bool) -> dict[str, list[str]]:
    """Return the texts that match, by file: of the command line's files, or of all others."""
    paths = [path for path in FILES if path.suffix == ".py" and path.is_relative_to(COMMAND_LINE) == inside]
    return {str(path.relative_to(RUNTIME)): lines for path in paths if (lines := matches(path.read_text(), pattern))}


def matches(source: str, pattern: str) -> list[str]:
    return [f"{line}: {text}" for line, text in texts(source) if re.search(pattern, text)]


def test_no_text_of_the_runtime_says_how_its_commands_are_started() -> None:
    """`ensemble.program.command` says it, by the application that runs."""
    commands = "|".join(OF_THE_LIBRARY | OF_THE_APPLICATION)
    assert lines_with(rf"\bensemble ({commands})\b", inside=False) == {}


def test_the_command_line_of_the_library_names_no_command_of_the_application() -> None:
    assert {"orders", "stock", "demo", "up", "verify"} <= OF_THE_APPLICATION
    assert lines_with(rf"\bensemble ({'|'.join(OF_THE_APPLICATION)})\b", inside=True) == {}


def test_targets_of_a_new_project_are_named_where_it_is_made() -> None:
    of_a_project = "|".join(targets(PROJECT / "Makefile"))
    paths = [path for path in FILES if re.search(rf"`make ({of_a_project})\b", path.read_text())]
    elsewhere = [path for path in paths if not path.is_relative_to(PROJECT)]
    assert elsewhere == [COMMAND_LINE / "commands" / "new.py"]


def test_a_command_line_in_a_text_is_found() -> None:
    source = 'f"{name}: run `ensemble topics apply`"\ncommand("topics apply")\n'
    assert matches(source, r"\bensemble (topics)\b") == ["1: : run `ensemble topics apply`"]
