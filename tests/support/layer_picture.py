"""The layers of the runtime as docs/architecture.md shows them, from the import contract and the packages' docstrings.

python -m tests.support.layer_picture     rewrites the part of the page between the two markers
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "architecture.md"
RUNTIME = CHECKOUT / "libs" / "ensemble"
BEGIN, END = "<!-- layers: begin, written by `make layers` -->\n", "<!-- layers: end -->\n"


def layers() -> list[list[str]]:
    """Return the packages and modules of each layer, from the highest to the lowest."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (runtime,) = (contract for contract in contracts if contract.get("containers") == ["ensemble"])
    return [layer.split(" | ") for layer in runtime["layers"]]


def picture() -> str:
    """Return the layers as text: a picture, and a sentence for each package."""
    names = [name for layer in layers() for name in layer]
    sentences = [line for name in names for line in _entries(RUNTIME / name)]
    return "\n".join(["```text", *_boxes(), "```", "", *sentences, ""])


def shown() -> str:
    """Return what the page holds between the markers."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def rewrite() -> None:
    """Put the picture of today's contract into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{picture()}{END}{rest.partition(END)[2]}", encoding="utf-8")


def _boxes() -> Iterator[str]:
    rows = ["   |   ".join(layer) for layer in layers()]
    width = max(map(len, rows)) + 4
    rule = f"+{'-' * width}+"
    yield rule
    for row in rows:
        yield f"|{row.center(width)}|"
        yield rule


def _entries(path: Path) -> Iterator[str]:
    """Yield the lines of a module, or of a package and its sub-packages."""
    if path.with_suffix(".py").is_file():
        yield from _entry(path.name, path.with_suffix(".py"), 0)
        return
    for init in sorted(path.rglob("__init__.py")):
        if not (init.parents[1] / "__init__.py").is_file():
            continue  # of a project that is copied
        package = init.parent.relative_to(RUNTIME)
        yield from _entry(".".join(package.parts), init, 2 * (len(package.parts) - 1))


def _entry(name: str, module: Path, indent: int) -> list[str]:
    sentence = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    start = " " * indent
    return textwrap.wrap(
        f"- **`{name}`** {sentence}", 120, initial_indent=start, subsequent_indent=f"{start}  ", break_on_hyphens=False
    )


if __name__ == "__main__":
    rewrite()
