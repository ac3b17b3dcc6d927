"""Mistakes as patch files. Before the diff each says what is wrong with it, and which test has to notice."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Mutant:
    """One patch file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def mistake(self) -> str:
        return self._head["Mistake"]

    @property
    def finder(self) -> tuple[str, ...]:
        """Arguments for pytest."""
        return tuple(shlex.split(self._head["Found by"]))

    @property
    def finder_words(self) -> set[str]:
        """The words that choose tests in the finder's file."""
        return set(" ".join(self.finder[2:]).split()) - {"and", "or", "not"}

    @property
    def needs_kafka(self) -> bool:
        return "tests/integration" in self._head["Found by"]

    def apply(self, tree: Path, *, backwards: bool = False) -> None:
        """Plant the mistake in the tree, or take it out again."""
        command = ["git", "apply", "--whitespace=nowarn", *(["--reverse"] if backwards else []), str(self.path)]
        subprocess.run(command, cwd=tree, check=True)

    def why_not_applicable(self, tree: Path) -> str:
        """Return what git says against the patch; nothing if it applies."""
        command = ["git", "apply", "--check", str(self.path)]
        return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False).stderr

    @cached_property
    def _head(self) -> dict[str, str]:
        lines = self.path.read_text().partition("\n--- ")[0].splitlines()
        return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def mutants() -> list[Mutant]:
    """Return all mutants, by name."""
    return [Mutant(path) for path in sorted(HERE.glob("*.patch"))]


def copied_tree(where: Path) -> Path:
    """Copy all files that git knows or would take, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (CHECKOUT / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, where / name)
    return where
