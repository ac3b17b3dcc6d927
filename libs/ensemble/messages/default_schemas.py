"""The schema set of message classes that name none: one for each top-level package, in the package's own folder."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from ensemble.messages.schema_set import SchemaSet

_RUNTIME = "ensemble"


def default_schemas(module_name: str) -> SchemaSet | None:
    """Return the set of the classes of a module, which all modules of its top-level package share; None for our own.

    The package `shop` has the namespace `shop` and the directory `schemas` in its folder. A module `cafe.py` that lies
    in no package has the namespace `cafe` and the directory `schemas/cafe` beside it, run as a script or imported.
    """
    module = sys.modules.get(module_name)
    package = _import_name(module_name, module).partition(".")[0]
    return None if package == _RUNTIME else _schemas_in(_directory(package, module), package)


@cache
def _schemas_in(directory: Path, namespace: str) -> SchemaSet:
    return SchemaSet(directory, namespace)


def _import_name(name: str, module: ModuleType | None) -> str:
    """Return the name that an import would find the module under, also of one that is run as a script."""
    if name != "__main__":
        return name
    if spec := getattr(module, "__spec__", None):
        return str(spec.name)
    return re.sub(r"\W|^(?=\d)", "_", Path(getattr(module, "__file__", None) or "main").stem)


def _directory(package: str, module: ModuleType | None) -> Path:
    top = sys.modules.get(package) or module
    if folders := list(getattr(top, "__path__", ())):
        return Path(folders[0]).resolve() / "schemas"
    file = getattr(top, "__file__", None)
    return (Path(file).resolve().parent if file else Path.cwd()) / "schemas" / package
