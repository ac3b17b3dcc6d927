"""Files of secrets and certificates: where each lies, made for its owner's eyes alone."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ensemble.errors import ConfigurationError

BROKER_NAME: Final = "ensemble-broker"
"""The common name in the broker's certificate."""

_SECRET_BYTES: Final = 24


@dataclass(frozen=True)
class Certificates:
    """The files of one directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def broker(self) -> Path:
        return self.directory / "broker.pem"


def password_file(directory: Path, user: str) -> Path:
    """Where the user's password lies."""
    return directory / f"{user}.password"


def password(directory: Path, user: str) -> str:
    """The user's password, made when there is none."""
    path = password_file(directory, user)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_secret(path, secrets.token_urlsafe(_SECRET_BYTES) + "\n")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a directory that you can write") from None


def write_secret(path: Path, text: str) -> None:
    """A new file, for its owner alone; FileExistsError when there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
