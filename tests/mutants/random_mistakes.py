"""Mistakes by chance in the functions of a folder, and how one is planted in the memory of a process."""

from __future__ import annotations

import ast
import gc
import importlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final, NamedTuple

from tests.mutants.edits import Edit, edits_in
from tests.mutants.planted import CHECKOUT

_TEMPLATE: Final = CHECKOUT / "libs" / "ensemble" / "command_line" / "template"
"""What a new project begins with: files that are copied, and no modules of this checkout."""


class FunctionPlace(NamedTuple):
    """Where a function is: equal for its code before and after a mistake is planted."""

    path: str
    line: int
    name: str

    @property
    def outermost(self) -> tuple[str, str]:
        """The file, and the function or method around it."""
        return self.path, self.name.split(".<locals>")[0]


@dataclass(frozen=True)
class RandomMistake:
    """One edit of one file."""

    path: Path
    edit: Edit

    def __str__(self) -> str:
        old = ast.get_source_segment(self._source, self.edit.node) or ""
        line = f"{self.path.relative_to(CHECKOUT)}:{self.edit.node.lineno}"
        return f"{line} {self.edit.kind}: {' '.join(old.split())} -> {self.edit.text}"

    @cached_property
    def function(self) -> FunctionPlace:
        """The outermost function around it."""
        line = self.edit.node.lineno
        places = [place for place, _ in _functions(self._module(self._source)) if "<" not in place.name]
        around = [place for place in places if place.line <= line]
        return max(around, key=lambda place: place.line)

    def is_valid(self) -> bool:
        """Return whether it is Python, and another program."""
        try:
            return ast.dump(ast.parse(self.edit.apply(self._source))) != ast.dump(ast.parse(self._source))
        except SyntaxError:
            return False

    def plant(self) -> None:
        """Give the functions of this process the code with the mistake. There is no way back: plant in a fork.

        A module of the checkout that nothing has imported yet is imported first; else its import would be sound.
        """
        if self.path.is_relative_to(CHECKOUT):
            importlib.import_module(module_name(self.path))
        codes = dict(_functions(self._module(self.edit.apply_beside_dead_code(self._source))))
        wrong = {place: code for place, code in codes.items() if place.outermost == self.function.outermost}
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename == str(self.path):
                each.__code__ = wrong.get(place_of(each.__code__), each.__code__)

    @cached_property
    def _source(self) -> str:
        """The file as it was when the mistake was drawn: somebody may edit it meanwhile."""
        return self.path.read_text()

    def _module(self, source: str) -> CodeType:
        return compile(source, str(self.path), "exec", dont_inherit=True)


def module_name(path: Path) -> str:
    """Return the name by which a file of the checkout is imported."""
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "libs" else parts).removesuffix(".__init__")


def place_of(code: CodeType) -> FunctionPlace:
    return FunctionPlace(code.co_filename, code.co_firstlineno, code.co_qualname)


def draw_mistakes(folders: Sequence[str], seed: int, count: int) -> dict[str, list[RandomMistake]]:
    """Draw `count` mistakes for each folder (or file, or pattern of files): first a kind by chance, then a place.

    Raises ValueError for a folder without Python files in the checkout.
    """
    return {folder: _draw(_files(folder), random.Random(f"{folder} {seed}"), count) for folder in folders}


def _files(folder: str) -> list[Path]:
    place = Path(os.path.normpath(CHECKOUT / folder))
    pattern = place if place.suffix == ".py" else place / "**" / "*.py"
    inside = place.is_relative_to(CHECKOUT)
    found = CHECKOUT.glob(str(pattern.relative_to(CHECKOUT))) if inside else []
    files = sorted(path for path in found if not path.is_relative_to(_TEMPLATE))
    if not files:
        raise ValueError(f"{folder}: no Python files there; give a folder, file or pattern below {CHECKOUT}")
    return files


def _draw(files: Sequence[Path], rng: random.Random, count: int) -> list[RandomMistake]:
    by_kind: dict[str, list[RandomMistake]] = {}
    for path in files:
        for edit in edits_in(ast.parse(path.read_text())):
            by_kind.setdefault(edit.kind, []).append(RandomMistake(path, edit))
    drawn: list[RandomMistake] = []
    while len(drawn) < count and by_kind:
        kind = rng.choice(sorted(by_kind))
        mistake = by_kind[kind].pop(rng.randrange(len(by_kind[kind])))
        if not by_kind[kind]:
            del by_kind[kind]
        drawn += [mistake] if mistake.is_valid() else []
    return drawn


def _functions(code: CodeType) -> Iterator[tuple[FunctionPlace, CodeType]]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield place_of(const), const
            yield from _functions(const)
