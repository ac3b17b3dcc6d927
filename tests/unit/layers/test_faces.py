"""Users of the runtime import from faces: what the `__init__` of a package lists, or a package that is one module.

The command line has no face: a program loads as little of it as a command needs, so each of its modules is one.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[3]
RUNTIME = CHECKOUT / "libs" / "ensemble"
USERS = (
    "services",
    "libs/contracts",
    "libs/backoffice",
    "libs/launcher",
    "cli",
    "examples",
    "benchmarks",
    "tests/drills",
)
TEMPLATE = RUNTIME / "command_line" / "template"
"""A project that is copied, and no part of the runtime."""
PACKAGES = sorted(
    ".".join(init.parent.relative_to(CHECKOUT / "libs").parts)
    for init in RUNTIME.rglob("__init__.py")
    if not init.is_relative_to(TEMPLATE)
)


def imports(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each import from the runtime; the name is empty for `import ensemble.x`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ensemble":
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, a.name, "") for a in node.names if a.name.split(".")[0] == "ensemble")


def is_public(module: str, name: str) -> bool:
    """True for a name of a face, a face itself, a name of a module right below `ensemble`, and the command line's."""
    if module.startswith("ensemble.command_line"):
        return True
    if not name:
        return module in PACKAGES
    if module in PACKAGES:
        return name in getattr(import_module(module), "__all__", ()) or f"{module}.{name}" in PACKAGES
    return module.count(".") == 1


def past_a_face(source: str) -> list[str]:
    return [f"{line}: {module} {name}" for line, module, name in imports(source) if not is_public(module, name)]


@pytest.mark.parametrize("user", USERS)
def test_users_import_from_faces(user: str) -> None:
    places = [
        f"{path.relative_to(CHECKOUT)}:{place}"
        for path in sorted((CHECKOUT / user).rglob("*.py"))
        for place in past_a_face(path.read_text(encoding="utf-8"))
    ]
    assert places == []


def test_an_import_past_a_face_is_named_by_line() -> None:
    source = "from ensemble import Saga\nfrom ensemble.saga.table import Saga\nimport ensemble.saga.table\n"
    assert past_a_face(source) == ["2: ensemble.saga.table Saga", "3: ensemble.saga.table "]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_lists_what_it_has(package: str) -> None:
    face: ModuleType = import_module(package)
    names = face.__all__
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(face, name)] == []


@pytest.mark.parametrize("package", ["ensemble", "ensemble.messages", "ensemble.service", "ensemble.saga", "contracts"])
def test_what_declarations_import_loads_no_client(package: str) -> None:
    script = f"import {package}, sys; print({{'confluent_kafka', 'aiohttp', 'avro'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
