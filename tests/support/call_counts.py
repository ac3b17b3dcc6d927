"""Counts calls, which cost the same on any machine."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any


def count_of(work: Callable[[], object]) -> Counter[str]:
    """Return how many functions were called, Python's and C's, and how often some of them; the log's are left out.

    No garbage is collected meanwhile: what tests before have left behind would be finalized at this one's cost.
    """
    counts: Counter[str] = Counter()

    def count(frame: Any, event: str, function: Any) -> None:
        if event in {"call", "c_call"} and "structlog" not in frame.f_code.co_filename:
            counts.update(("calls", frame.f_code.co_qualname if event == "call" else function.__name__))

    gc.collect()
    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return counts
