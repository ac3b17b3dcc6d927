"""Counts calls, which cost the same on any machine."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any


def count_of(work: Callable[[], object]) -> Counter[str]:
    """Return how many functions were called, Python's and C's, and how often some of them; the log's are left out."""
    [counts] = counts_of(work, times=1)
    return counts


def counts_of(work: Callable[[], object], times: int) -> Generator[Counter[str], None, None]:
    """Do the work several times, and yield the count of each.

    No garbage is collected meanwhile: what tests before have left behind would be finalized at this one's cost. It is
    collected once, before the first, for that takes a second where much was left behind.
    """
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            yield _count(work)
    finally:
        gc.enable()


def _count(work: Callable[[], object]) -> Counter[str]:
    counts: Counter[str] = Counter()

    def count(frame: Any, event: str, function: Any) -> None:
        if event in {"call", "c_call"} and "structlog" not in frame.f_code.co_filename:
            counts.update(("calls", frame.f_code.co_qualname if event == "call" else function.__name__))

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counts
