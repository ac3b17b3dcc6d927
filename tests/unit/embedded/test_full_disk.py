"""A disk that is full, where a broker would start, is named."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.embedded.broker import EmbeddedKafka
from ensemble.embedded.errors import EmbeddedKafkaError


class FullDisk:
    """A directory that takes nothing: the first that is written there fails."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def prepare(self) -> None:
        raise self._error


def broker(directory: Path, error: OSError) -> EmbeddedKafka:
    disk: Any = FullDisk(error)
    cache: Any = SimpleNamespace(fill=lambda _: None, classpath="")
    return EmbeddedKafka(directory, cache, security=disk)


def test_the_directory_without_space_is_named(tmp_path: Path) -> None:
    """The system's error for it names no file."""
    full = broker(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(EmbeddedKafkaError) as raised:
        full.start(lambda _: None)
    assert str(raised.value) == (
        f"{tmp_path} cannot be written: No space left on device. Mend that, or name another in ENSEMBLE_DATA_DIR."
    )


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES])
def test_whatever_keeps_the_disk_from_taking_more_is_said_of_the_directory(tmp_path: Path, number: int) -> None:
    with pytest.raises(EmbeddedKafkaError, match=r" cannot be written: why\. "):
        broker(tmp_path, OSError(number, "why")).start(lambda _: None)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_an_error_that_is_none_of_the_disk_is_left_as_it_is(tmp_path: Path, number: int) -> None:
    """The machine starts no more processes, or has no such address: the directory was blamed for it."""
    with pytest.raises(OSError, match=r"^\[Errno \d+\] why$"):
        broker(tmp_path, OSError(number, "why")).start(lambda _: None)


def test_an_error_that_names_its_file_is_left_as_it_is(tmp_path: Path) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "server.properties")
    with pytest.raises(PermissionError, match=r"server\.properties"):
        broker(tmp_path, denied).start(lambda _: None)
