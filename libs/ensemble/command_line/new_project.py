"""A new project from the template: a copy of its files, under the project's own name."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ensemble.command_line.errors import Mistake

_TEMPLATE: Final = Path(__file__).parent / "template"
_RENAMED: Final = {"gitignore": ".gitignore"}
"""Files that would be taken for this repository's own."""
_LEFT_OUT: Final = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_NAME: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST: Final = 30


def new_project(directory: Path, name: str | None) -> list[Path]:
    """Write the files of a project called `name`, by default like its directory, and return their paths.

    Raises Mistake, before anything is written, for a directory that is not empty and for a name that is none.
    """
    directory = directory.absolute()
    project_name, flag = (name, "--name") if name is not None else (directory.name, "DIR")
    package = _package(project_name, flag)
    if directory.exists() and not directory.is_dir():
        raise Mistake(f"DIR: {directory} is a file; give a new or an empty directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise Mistake(f"DIR: {directory} is not empty; give a new or an empty directory")
    return [_copy(path, directory, package) for path in template_files()]


def template_files() -> list[Path]:
    """Return the files of the template, in the order of their names."""
    paths = (path for path in sorted(_TEMPLATE.rglob("*")) if not _LEFT_OUT.intersection(path.parts))
    return [path for path in paths if path.is_file()]


def _package(name: str, flag: str) -> str:
    """Return the name of the project's Python package."""
    package = name.replace("-", "_")
    advice = "" if flag == "--name" else "; give another with --name"
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        rule = f"lower case letters, digits and single - or _, beginning with a letter, at most {_LONGEST} characters"
        raise Mistake(f"{flag}: {name!r} is no name for a project: {rule}{advice}")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package == "tests" or _is_installed(package):
        raise Mistake(f"{flag}: {name!r} is no name for a project: Python has a module {package!r} already{advice}")
    return package


def _is_installed(package: str) -> bool:
    """Return whether an import finds something else than a folder of that name."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def _copy(source: Path, directory: Path, package: str) -> Path:
    parts = source.relative_to(_TEMPLATE).parts
    target = directory.joinpath(*(_RENAMED.get(part, _in_names_of(part, package)) for part in parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_in_names_of(source.read_text(encoding="utf-8"), package), encoding="utf-8")
    return target


def _in_names_of(text: str, package: str) -> str:
    """Replace the template's name in each of its spellings."""
    dashed, title = package.replace("_", "-"), package.replace("_", " ").capitalize()
    return text.replace("my_project", package).replace("my-project", dashed).replace("My project", title)
