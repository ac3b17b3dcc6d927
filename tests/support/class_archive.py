"""Kafka's classes as Java keeps them once they are loaded: a broker that finds them there starts for half the CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil

from ensemble.embedded import EmbeddedKafka, EmbeddedKafkaError
from ensemble.embedded.jars import cache_directory
from ensemble.errors import ConfigurationError

OPTIONS: Final = "JDK_JAVA_OPTIONS"
_SILENT: Final = "-Xlog:cds=off -Xlog:cds+dynamic=off"
"""A Java that runs something else does without, and says nothing of it."""
_LIMIT_S: Final = 120.0


def java_options(path: Path) -> str:
    """Return the options with which Java reads an archive; none if it is not there, or if Java could make none."""
    return f" {_SILENT} -XX:SharedArchiveFile={path}" if path.exists() and path.stat().st_size else ""


def archive_path() -> Path:
    """Return where the archive of the Java that the environment chooses is kept, beside Kafka's jars.

    Java itself looks whether an archive is its own, and does without one that is not.
    """
    chosen = [os.environ.get(name, "") for name in ("ENSEMBLE_JAVA", "JAVA_HOME")]
    found = Path(shutil.which("java") or sys.executable).resolve()
    key = hashlib.sha256(repr([*chosen, str(found), found.stat().st_mtime_ns]).encode()).hexdigest()[:16]
    return cache_directory() / f"classes-{key}.jsa"


def make_archive(path: Path) -> None:
    """Have a broker start and stop, and keep what it has loaded. A Java that cannot leaves an empty file."""
    with TemporaryDirectory() as home, contextlib.suppress(EmbeddedKafkaError, ConfigurationError, OSError):
        made = Path(home, path.name)
        with _more_options(f" {_SILENT} -XX:ArchiveClassesAtExit={made}"):
            _run_broker(Path(home, "kafka"))
        made.touch()
        shutil.move(made, path.with_suffix(f".{os.getpid()}"))
        path.with_suffix(f".{os.getpid()}").replace(path)


def _run_broker(directory: Path) -> None:
    broker = EmbeddedKafka(directory)
    process = psutil.Process(broker.start().pid)
    try:
        process.send_signal(signal.SIGTERM)  # it takes as long as it takes to write the archive
        process.wait(_LIMIT_S)
    except psutil.Error:
        broker.kill()
    finally:
        broker.stop()


@contextlib.contextmanager
def _more_options(options: str) -> Iterator[None]:
    before = os.environ.get(OPTIONS, "")
    os.environ[OPTIONS] = before + options
    try:
        yield
    finally:
        os.environ[OPTIONS] = before
