"""A service of the flow that notes when it polls, handles and commits: `python -m benchmarks.traced_service`.

The environment names the service (`BENCHMARK_SERVICE`) and the file that its batches are written to
(`BENCHMARK_TRACE`), one JSON array a line. Times are of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from ensemble.interceptors import InterceptedCommit, InterceptedInput, Interceptor
from ensemble.kafka import run
from services.app import SERVICES


@dataclass
class Batch:
    """One transaction of a service: when its records were polled and handled, and when it was committed."""

    polled: float = 0.0
    handled: dict[str, float] = field(default_factory=dict)
    """When the handlers of each message were done, by message id."""
    committing: float = 0.0
    committed: float = 0.0


class Tracer(Interceptor):
    """Writes each batch down once it is committed."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._batch = file, Batch()

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        yield
        self._batch.handled[record.message_id] = time.perf_counter()

    @contextmanager
    def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
        batch, self._batch = self._batch, Batch()
        batch.committing = time.perf_counter()
        batch.polled = batch.committing - commit.batch_s
        yield
        batch.committed = time.perf_counter()
        self._file.write(json.dumps(asdict(batch)) + "\n")


def main() -> int:
    """Run the service; what it has traced is complete once it has stopped."""
    with Path(os.environ["BENCHMARK_TRACE"]).open("a") as file:
        return run(SERVICES[os.environ["BENCHMARK_SERVICE"]](), interceptors=[Tracer(file)])


if __name__ == "__main__":
    sys.exit(main())
