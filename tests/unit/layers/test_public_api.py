"""The public API: few names, one import path for each, and a docstring on every one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ensemble
from tests.unit.layers.test_faces import CHECKOUT, PACKAGES, USERS, imports

MOST_NAMES = 45
MOST_BESIDE = 11
AUTHORS_PACKAGES = [
    "ensemble",
    "ensemble.kafka",
    "ensemble.messages",
    "ensemble.policies",
    "ensemble.saga",
    "ensemble.service",
    "ensemble.system_messages",
    "ensemble.testing",
    "ensemble.topology",
]
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))
CONTRAST = CHECKOUT / "docs" / "style.md"  # shows imports as they were before


def exports() -> Iterator[tuple[str, str, Any]]:
    """Yield package, name and object of all that packages list, but for packages and modules themselves."""
    for package in PACKAGES:
        for name in import_module(package).__all__:
            value = getattr(import_module(package), name)
            if not isinstance(value, ModuleType):
                yield package, name, value


PATHS = {(name, id(value)): package for package, name, value in reversed(list(exports()))}
"""The package of each public name; equal texts are one object, and belong to the first package."""


def other_paths(source: str) -> list[str]:
    """Return the imports of a public name from elsewhere than its package."""
    found = []
    for line, module, name in imports(source):
        path = PATHS.get((name, id(getattr(import_module(module), name, None))))
        if name and path not in {None, module}:
            found.append(f"{line}: {name} is imported from {module}, not from {path}")
    return found


# -- how many -----------------------------------------------------------------------------------------------------


def test_the_vocabulary_of_services_is_small() -> None:
    assert len(ensemble.__all__) <= MOST_NAMES


@pytest.mark.parametrize("package", ["ensemble.kafka", "ensemble.testing", "ensemble.saga"])
def test_what_stands_beside_the_vocabulary_is_smaller(package: str) -> None:
    assert len(import_module(package).__all__) <= MOST_BESIDE


# -- one import path ----------------------------------------------------------------------------------------------


def test_no_two_packages_export_one_object() -> None:
    places: dict[int, list[str]] = {}
    for package, name, value in exports():
        if carries_docstring(value):
            places.setdefault(id(value), []).append(f"{package}.{name}")
    assert [paths for paths in places.values() if len(paths) > 1] == []


@pytest.mark.parametrize("user", [*USERS, "libs/ensemble/command_line/template"])
def test_a_public_name_is_imported_from_its_package(user: str) -> None:
    files = sorted((CHECKOUT / user).rglob("*.py"))
    assert [f"{path}:{place}" for path in files for place in other_paths(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != CONTRAST], ids=lambda page: page.name)
def test_documentation_imports_a_public_name_from_its_package(page: Path) -> None:
    lines = re.findall(r"^[ +]*(from ensemble[\w.]* import \w[\w, ]*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert other_paths("\n".join(lines)) == []


def test_another_path_is_named_with_the_right_one() -> None:
    source = "from ensemble import Topic\nfrom ensemble.service.catalogue import Topic\n"
    assert other_paths(source) == ["2: Topic is imported from ensemble.service.catalogue, not from ensemble"]


# -- docstrings ---------------------------------------------------------------------------------------------------


def carries_docstring(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def undocumented(name: str, value: Any) -> list[str]:
    """Return what has no docstring of its own: a class or function, or a public method or property of the class."""
    own = value.__doc__ and not value.__doc__.startswith(f"{value.__name__}(")  # which a dataclass writes itself
    members = vars(value).items() if inspect.isclass(value) else ()  # what a base class gives is documented there
    methods = [(key, getattr(member, "__func__", member)) for key, member in members if not key.startswith("_")]
    silent = [f"{name}.{key}" for key, method in methods if _is_method(method) and not method.__doc__]
    return [*([] if own else [name]), *silent]


def _is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, property | cached_property)


@pytest.mark.parametrize("package", AUTHORS_PACKAGES)
def test_classes_and_functions_have_docstrings(package: str) -> None:
    objects = [(name, value) for home, name, value in exports() if home == package and carries_docstring(value)]
    assert [problem for name, value in objects for problem in undocumented(name, value)] == []


@pytest.mark.parametrize("package", AUTHORS_PACKAGES)
def test_constants_and_types_have_docstrings(package: str) -> None:
    names = {name for home, name, value in exports() if home == package and not carries_docstring(value)}
    assert names - set(documented_names(package)) == set()


def documented_names(package: str) -> Iterator[str]:
    """Yield the names that a package takes from modules where a docstring follows them."""
    for _, module, name in imports(Path(str(import_module(package).__file__)).read_text(encoding="utf-8")):
        body = ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8")).body
        for statement, following in pairwise(body):
            if name in _targets(statement) and _is_text(following):
                yield name


def _targets(statement: ast.stmt) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def test_a_method_without_a_docstring_is_named() -> None:
    class Known:
        """Is known."""

        def known(self) -> None:
            """Do nothing."""

        def unknown(self) -> None: ...

    assert undocumented("Known", Known) == ["Known.unknown"]


# -- the page that lists it ---------------------------------------------------------------------------------------


def test_the_page_lists_the_vocabulary_and_nothing_else() -> None:
    page = (CHECKOUT / "docs" / "public-api.md").read_text(encoding="utf-8")
    vocabulary, beside = page.split("## Beside it")
    rows = [line for line in vocabulary.splitlines() if line.startswith("| ")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(ensemble.__all__)
    for package, names in re.findall(r"^\| `(ensemble\.\w+)` \| (.*) \|$", beside, re.MULTILINE):
        assert set(re.findall(r"`(\w+)`", names)) <= set(import_module(package).__all__), package
