"""A program under measurement: a process of its own, with topics that are gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.cluster import Cluster
from ensemble import Topic

_STOP_LIMIT_S: Final = 20.0


@contextmanager
def program(
    cluster: Cluster, topics: Sequence[Topic], command: Sequence[str], settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`python -m` this command, with these settings beside the environment's; what it prints is for the caller."""
    cluster.make(topics)
    arguments, environment = [sys.executable, "-m", *command], {**os.environ, **(settings or {})}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        cluster.drop(topic.name for topic in topics)
