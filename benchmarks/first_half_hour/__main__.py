"""Counts the programs of the first half hour, one for each framework, and prints the table of docs/compared.md.

python -m benchmarks.first_half_hour     prints the table

Counted are lines of code: no blank lines, no comments, no imports. A line `# -- state` begins another part of `app.py`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
FRAMEWORKS: Final[Mapping[str, str]] = {
    "ensemble": "Ensemble",
    "faststream": "FastStream",
    "faust": "Faust",
    "quix": "Quix Streams",
    "temporal": "Temporal",
}
PARTS: Final = ("reaction", "state", "run", "test", "publish")
WHOLE_FILES: Final[Mapping[str, str]] = {"test_app.py": "test", "publish.py": "publish"}


def count_lines(program: Path) -> Counter[str]:
    """Return the lines of code of each part of one program."""
    return Counter(part for file in sorted(program.glob("*.py")) for part in _parts(file))


def render_table() -> str:
    """Return the table as Markdown."""
    head = ["", "an event and a reaction", "state", "running it", "a test", "publishing to it", "lines", "files"]
    rows = [head, ["---"] * len(head), *(_row(folder, name) for folder, name in FRAMEWORKS.items())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(folder: str, name: str) -> list[str]:
    program = FOLDER / f"with_{folder}"
    lines = count_lines(program)
    files = len(list(program.glob("*.py")))
    return [name, *(str(lines[part]) for part in PARTS), str(lines.total()), str(files)]


def _parts(file: Path) -> Iterator[str]:
    """Yield the part that each line of code belongs to."""
    text = file.read_text(encoding="utf-8")
    imports = set(_import_lines(text))
    part = WHOLE_FILES.get(file.name, "reaction")
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("# -- "):
            part = line.removeprefix("# -- ")
        elif line and not line.startswith("#") and number not in imports:
            yield part


def _import_lines(text: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


if __name__ == "__main__":
    print(render_table(), end="")
