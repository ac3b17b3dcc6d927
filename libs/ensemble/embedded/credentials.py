"""Files of secrets and certificates, readable by their owner only."""

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
    """Return the file of the user's password."""
    return directory / f"{user}.password"


def password(directory: Path, user: str) -> str:
    """Return the user's password, created if there is none. Raises ConfigurationError if its file cannot be used."""
    path = password_file(directory, user)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_secret(path, secrets.token_urlsafe(_SECRET_BYTES) + "\n")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a directory that you can write") from None


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError if it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
