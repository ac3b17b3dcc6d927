"""A policy file: its tables as TOML has them, and for each fault its line. No meaning of a table is known here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ensemble.errors import ConfigurationError
from ensemble.toml import read_toml

Where = tuple[str, ...]
"""The path of a table or key: ("handlers", "AttemptCharge", "attempts")."""

_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAMES: Final = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER: Final = re.compile(rf"\s*\[+\s*({_NAMES})\s*\]")
_KEY: Final = re.compile(rf"\s*({_NAMES})\s*=")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, and at which table or key."""

    where: Where
    reason: str


@dataclass(frozen=True)
class PolicyFile:
    """A file's text and its tables."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The first eight digits of the content's SHA-256."""
        return sha256(self.text.encode()).hexdigest()[:8]

    @property
    def origin(self) -> str:
        """The file's name with the fingerprint of its content: `payment.toml#1a2b3c4d`."""
        return f"{self.path.name}#{self.fingerprint}"

    def table(self, *where: str) -> Mapping[str, Any]:
        """Return the table at that path; empty if there is none."""
        value = _value_at(self.tables, where)
        return value if isinstance(value, Mapping) else {}

    def place(self, where: Where) -> str:
        """Return the file's name and the line of `where`: `payment.toml:12`."""
        return f"{self.path.name}:{self.line_of(where)}"

    def line_of(self, where: Where) -> int:
        """Return the line that names the table or key first, or else the nearest table around it."""
        paths = (where[:length] for length in range(len(where), 0, -1))
        return next((self._lines[path] for path in paths if path in self._lines), 1)

    def raise_faults(self, faults: Iterable[Fault]) -> None:
        """Raise ConfigurationError if there are faults, with a line for each, in the order of the file."""
        lines = [self._describe(fault) for fault in sorted(faults, key=lambda fault: self.line_of(fault.where))]
        if lines:
            raise ConfigurationError("policies: " + "\n    ".join(lines))

    def _describe(self, fault: Fault) -> str:
        return f"{self.path}, line {self.line_of(fault.where)}: {self._label(fault.where)}: {fault.reason}"

    def _label(self, where: Where) -> str:
        """Return `[handlers.AttemptCharge] attempts`, or for a table or a first-level key its name alone."""
        if isinstance(_value_at(self.tables, where), Mapping):
            return f"[{'.'.join(where)}]"
        return f"[{'.'.join(where[:-1])}] {where[-1]}" if where[:-1] else where[-1]

    @cached_property
    def _lines(self) -> Mapping[Where, int]:
        """The first line that names each table and key."""
        lines: dict[Where, int] = {}
        table: Where = ()
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _split(header[1])
            key = _KEY.match(line)
            where = (*table, *_split(key[1])) if key else table
            for length in range(len(where)):
                lines.setdefault(where[: length + 1], number)
        return lines


NO_FILE: Final = PolicyFile(Path(), "", {})
"""Stands for a file that does not exist: it has no tables."""


def read_policy_file(path: Path) -> PolicyFile:
    """Read the file. Raises ConfigurationError if it cannot be read or is not TOML, with the line."""
    return PolicyFile(path, *read_toml(path))


def find_policy_file(service: str, directory: Path | None) -> PolicyFile | None:
    """Read the service's file in `directory`, if there is one. Raises ConfigurationError without that directory."""
    if directory is None:
        return None
    if not directory.is_dir():
        raise ConfigurationError(f"policies: ENSEMBLE_POLICIES_DIR names {directory}, which is no directory")
    path = directory / f"{service}.toml"
    return read_policy_file(path) if path.exists() else None


def _value_at(tables: Mapping[str, Any], where: Where) -> Any:
    value: Any = tables
    for name in where:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _split(names: str) -> Where:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, names))
