"""The schema set of message classes that name none: one for each top-level package, in the package's own folder."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Final

from ensemble.messages.schema_set import SchemaSet

_RUNTIME: Final = "ensemble"
_MARK: Final = "__init__.py"
"""The file that makes a folder part of a package."""


def default_schemas(module_name: str) -> SchemaSet | None:
    """Return the set of the classes of a module, which all modules of its top-level package share; None for our own.

    The package `shop` has the namespace `shop` and the directory `schemas` in its folder. A module `cafe.py` whose
    folder has no `__init__.py` has the namespace `cafe` and the directory `schemas/cafe` beside it. Where the file lies
    decides, not how it is imported: as a script, as a module or as part of a package that began further up.
    """
    top = module_name.partition(".")[0]
    if top == _RUNTIME:
        return None
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return _of_file(Path(file).resolve() if file else Path.cwd() / f"{top}.py")


@cache
def _of_file(file: Path) -> SchemaSet:
    folder = file.parent
    if not (folder / _MARK).exists():
        return _in_directory(folder / "schemas" / file.stem, file.stem)
    while (folder.parent / _MARK).exists():
        folder = folder.parent
    return _in_directory(folder / "schemas", folder.name)


@cache
def _in_directory(directory: Path, name: str) -> SchemaSet:
    return SchemaSet(directory, re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII))
