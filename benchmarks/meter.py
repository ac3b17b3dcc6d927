"""What a process spent between two counts of messages: CPU of all its threads, start-up left out."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final

LARGEST_BATCH: Final = 1000
"""So many messages a loop handles at most between two counts."""
CONSTANT_HEADERS: Final = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"benchmarks.commands.ProcessPayment"),
    ("ce_source", b"/services/hop"),
    ("content-type", b"application/avro"),
]
"""What each hop writes beside the five headers that differ between messages."""


@dataclass(frozen=True)
class HopRun:
    """What a hop is told, as one JSON argument."""

    bootstrap: str
    topic_in: str
    run: str
    messages: int
    warm: int
    commit_ms: float
    """The hand-written loop's commit interval; 0 commits whenever the poll is drained."""
    limit_s: float
    validates: bool = True
    """Whether the hand-written loop makes the pydantic messages that ours makes; it passes plain dicts on otherwise."""

    def __post_init__(self) -> None:
        """Refuse a load that one batch could end before the measurement began: it would wait for more for ever."""
        if self.messages < self.warm + LARGEST_BATCH:
            raise ValueError(
                f"{self.messages} messages are too few: {self.warm} to warm up and a batch of {LARGEST_BATCH}"
            )

    def argument(self) -> str:
        return json.dumps(asdict(self))


def endless_run(bootstrap: str, topic_in: str, run: str, limit_s: float) -> HopRun:
    """Return a run that nothing but `limit_s` ends, with commits whenever the poll is drained."""
    return HopRun(bootstrap, topic_in, run, messages=10**9, warm=0, commit_ms=0, limit_s=limit_s)


def run_of_arguments() -> HopRun:
    """Return the run that this process was started for."""
    return HopRun(**json.loads(sys.argv[1]))


class Meter:
    """Counts messages; measures from `warm` to `messages`."""

    def __init__(self, run: HopRun) -> None:
        self._run, self._count = run, 0
        self._start: tuple[float, float, int] | None = None
        self._born = time.monotonic()
        self.is_done = False

    def tick(self, messages: int) -> None:
        """So many more were handled. At the last one, prints what was measured as a line of JSON."""
        self._count += messages
        if self._start is None:
            if self._count >= self._run.warm:
                self._start = self._now()
        elif self._count >= self._run.messages and not self.is_done:
            self.is_done = True
            self._report(*self._start)

    @property
    def is_late(self) -> bool:
        return time.monotonic() - self._born > self._run.limit_s

    def _now(self) -> tuple[float, float, int]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.monotonic(), used.ru_utime + used.ru_stime, self._count

    def _report(self, began: float, cpu: float, count: int) -> None:
        ended, cpu_now, count_now = self._now()
        done = count_now - count
        report = {"cpu_us": 1e6 * (cpu_now - cpu) / done, "per_s": done / (ended - began), "messages": done}
        print(json.dumps(report), flush=True)
