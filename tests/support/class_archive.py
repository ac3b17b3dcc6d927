"""Kafka's classes as Java keeps them once they are loaded: a broker that finds them there starts for half the CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final

import psutil

from ensemble.embedded import EmbeddedKafka, EmbeddedKafkaError
from ensemble.embedded.jars import cache_directory
from ensemble.embedded.java import find_java
from ensemble.errors import ConfigurationError

OPTIONS: Final = "JDK_JAVA_OPTIONS"
_BASE, _KAFKA = "java.jsa", "kafka.jsa"
"""The bundled Java comes without an archive of its own classes, on which every other one is built."""
_SILENT: Final = "-Xlog:disable"
"""A Java that runs something else does with the base alone, and says nothing of it."""
_LIMIT_S: Final = 120.0


def java_options(note: Path) -> str:
    """Return the options with which Java reads the archive that the note names; none if there is none."""
    archive = note.with_name(note.read_text(encoding="utf-8")) if note.exists() else note
    parts = [archive / _BASE, archive / _KAFKA]
    is_whole = all(part.exists() for part in parts)
    return _quoted(_SILENT, f"-XX:SharedArchiveFile={os.pathsep.join(map(str, parts))}") if is_whole else ""


def note_path() -> Path:
    """Return where it is noted which archive the Java that the environment chooses has, beside Kafka's jars.

    Java itself looks whether an archive is its own, and does without one that is not.
    """
    chosen = [os.environ.get(name, "") for name in ("ENSEMBLE_JAVA", "JAVA_HOME")]
    found = Path(shutil.which("java") or sys.executable).resolve()
    key = hashlib.sha256(repr([*chosen, str(found), found.stat().st_mtime_ns]).encode()).hexdigest()[:16]
    return cache_directory() / f"classes-{key}.txt"


def make_archive(note: Path) -> None:
    """Have a broker start and stop, and keep what it has loaded. A Java that cannot leaves a note of nothing."""
    note.parent.mkdir(parents=True, exist_ok=True)
    archive = Path(mkdtemp(prefix=f"{note.stem}-", dir=note.parent))  # it stays: an archive knows where its base was
    try:
        _write_base(archive / _BASE)
        _write_classes(archive)
    except (EmbeddedKafkaError, ConfigurationError, OSError, subprocess.SubprocessError):
        shutil.rmtree(archive, ignore_errors=True)  # whoever needs a broker will hear why there is none
        return
    finished = archive.with_suffix(".txt")
    finished.write_text(archive.name, encoding="utf-8")
    finished.replace(note)


def _quoted(*options: str) -> str:
    """Return options as Java reads them in its variable, where a blank ends one that has no quotes."""
    return "".join(f' "{option}"' for option in options)


def _write_base(path: Path) -> None:
    command = [str(find_java()), _SILENT, "-XX:+UseSerialGC", "-Xshare:dump", f"-XX:SharedArchiveFile={path}"]
    subprocess.run(command, check=False, capture_output=True, timeout=_LIMIT_S)


def _write_classes(archive: Path) -> None:
    base, classes = archive / _BASE, archive / _KAFKA
    options = _quoted(_SILENT, f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={classes}")
    with TemporaryDirectory() as home, _more_options(options):
        _run_broker(Path(home, "kafka"))


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
