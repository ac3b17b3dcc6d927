"""A policy file as read: its tables, and for each fault the line it is on. What the tables mean is not known here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ensemble.errors import ConfigurationError

Where = tuple[str, ...]
"""A table or key by all its names: ("handlers", "AttemptCharge", "attempts")."""

_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAMES: Final = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER: Final = re.compile(rf"\s*\[+\s*({_NAMES})\s*\]")
_KEY: Final = re.compile(rf"\s*({_NAMES})\s*=")


@dataclass(frozen=True)
class Fault:
    """Something wrong, and where."""

    where: Where
    reason: str


@dataclass(frozen=True)
class PolicyFile:
    """The text of a file and what TOML makes of it."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Another content, another fingerprint: the first eight digits of its SHA-256."""
        return sha256(self.text.encode()).hexdigest()[:8]

    @property
    def origin(self) -> str:
        """Which file, in which state: `payment.toml#1a2b3c4d`."""
        return f"{self.path.name}#{self.fingerprint}"

    def table(self, *where: str) -> Mapping[str, Any]:
        """The table of that name; empty when there is none."""
        found: Any = self.tables
        for name in where:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def place(self, where: Where) -> str:
        """File and line: `payment.toml:12`."""
        return f"{self.path.name}:{self.line_of(where)}"

    def line_of(self, where: Where) -> int:
        """Where the file names it, or else the table that holds it."""
        known = (where[:length] for length in range(len(where), 0, -1))
        return next((self._lines[part] for part in known if part in self._lines), 1)

    def raise_faults(self, faults: Iterable[Fault]) -> None:
        """ConfigurationError with a line for each fault, the first one first, if there is any."""
        found = [self._in_words(fault) for fault in sorted(faults, key=lambda fault: self.line_of(fault.where))]
        if found:
            raise ConfigurationError("policies: " + "\n    ".join(found))

    def _in_words(self, fault: Fault) -> str:
        return f"{self.path}, line {self.line_of(fault.where)}: {_called(self.tables, fault.where)}: {fault.reason}"

    @cached_property
    def _lines(self) -> Mapping[Where, int]:
        """The first line that names each table and key."""
        found: dict[Where, int] = {}
        table: Where = ()
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _split(header[1])
            key = _KEY.match(line)
            where = (*table, *_split(key[1])) if key else table
            for length in range(1, len(where) + 1):
                found.setdefault(where[:length], number)
        return found


def read_policy_file(path: Path) -> PolicyFile:
    """The file; ConfigurationError when it cannot be read, or is not TOML (with the line)."""
    try:
        text = path.read_text(encoding="utf-8")
        return PolicyFile(path, text, tomllib.loads(text))
    except OSError as error:
        raise ConfigurationError(f"policies: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"policies: {path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"policies: {path} is not TOML: {error}") from None


def find_policy_file(service: str, directory: Path | None) -> PolicyFile | None:
    """The service's file in `directory`, if there is one; a directory that is named must be there."""
    if directory is None:
        return None
    if not directory.is_dir():
        raise ConfigurationError(f"policies: ENSEMBLE_POLICIES_DIR names {directory}, which is no directory")
    path = directory / f"{service}.toml"
    return read_policy_file(path) if path.exists() else None


def _called(tables: Mapping[str, Any], where: Where) -> str:
    """`[handlers.AttemptCharge] attempts`; for a table, or an entry without one, its name alone."""
    if not where:
        return "the file"
    found: Any = tables
    for name in where:
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        return f"[{'.'.join(where)}]"
    return f"[{'.'.join(where[:-1])}] {where[-1]}" if where[:-1] else where[-1]


def _split(names: str) -> Where:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, names))
