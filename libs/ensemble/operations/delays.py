"""Delays in classes, each a tenth longer than the one before: counts of classes can be added up, percentiles cannot."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Final

_BASE: Final = 1.1


def delay_class(milliseconds: int) -> int:
    """Return the class of a delay; what clocks show as less than nothing counts as nothing."""
    return round(log(max(milliseconds, 0) + 1, _BASE))


def percentile(counts: Mapping[int, int], share: float) -> int | None:
    """Return the delay that this share of all counted ones is not longer than, in milliseconds to a tenth.

    None if none was counted.
    """
    rest = share * sum(counts.values())
    for number in sorted(counts):
        rest -= counts[number]
        if rest <= 0:
            return round(_BASE**number - 1)
    return None
