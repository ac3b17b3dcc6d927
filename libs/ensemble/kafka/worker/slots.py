"""The slot of an anonymous replica: `ENSEMBLE_INSTANCE_ID=auto` (docs/adr/0015-instance-slots.md).

The slot is the host's name and the first number that no other process of the service holds on this host. A lock of the
operating system holds it, so it is free again however the process ends, and the next process takes it over.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Final, Self

from ensemble.errors import ConfigurationError

AUTO: Final = "auto"
_MOST: Final = 100
_LONGEST_HOST: Final = 60


class Slot:
    """A slot that this process has until `close`, or until it ends."""

    def __init__(self, name: str, lock: int | None = None) -> None:
        self.name, self._lock = name, lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the slot for other processes."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def take_slot(service: str, instance_id: str, directory: Path | None = None) -> Slot:
    """Return the configured slot, or with `auto` a leased one. Raises ConfigurationError if there is none."""
    if instance_id != AUTO:
        return Slot(instance_id)
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:_LONGEST_HOST]
    try:
        return _lease(service, host, _lock_directory(directory))
    except OSError as error:
        raise ConfigurationError(
            f"ENSEMBLE_INSTANCE_ID=auto needs a directory for its locks, and {error.filename} cannot be used "
            f"({error.strerror}); name another in TMPDIR, or give each instance its own ENSEMBLE_INSTANCE_ID"
        ) from None


def _lock_directory(directory: Path | None) -> Path:
    path = directory or Path(tempfile.gettempdir(), f"ensemble-slots-{os.getuid()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _lease(service: str, host: str, directory: Path) -> Slot:
    for number in range(_MOST):
        lock = os.open(directory / f"{service}-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Slot(f"{host}-{number}", lock)
        except BlockingIOError:
            os.close(lock)
    raise ConfigurationError(
        f"{_MOST} processes of {service!r} run on this host already; give each instance its own ENSEMBLE_INSTANCE_ID"
    )
