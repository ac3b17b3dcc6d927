"""What got worse since the last run: figures that mean something from one run to the next, ratios above all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_TOLERANCE: Final = 1.1
"""Machines are noisy: a figure may be a tenth worse than before."""


@dataclass(frozen=True)
class Figure:
    """One figure of a measurement."""

    what: str
    read: Callable[[Any], float]
    is_better_higher: bool = False


_FIGURES: Final[Mapping[str, tuple[Figure, ...]]] = {
    "hop": (Figure("CPU of a hop, ours beside by hand", lambda hop: hop["ratio"]),),
    "latency": (Figure("p50 of a hop, ours beside by hand", lambda latency: latency["ratio"]),),
    "restore": (Figure("CPU of a restored key, ours beside by hand", lambda restore: restore["ratio"]),),
    "poison": (Figure("throughput kept beside a poisoned key", lambda poison: poison["ratio"], is_better_higher=True),),
    "timers": (Figure("p99 of a timer, ms", lambda timers: timers["p99"]),),
    "flow": (
        Figure("p50 of an order at 20/s, ms", lambda flow: flow["calm"]["p50"]),
        Figure("CPU of an order at 20/s, ms", lambda flow: sum(flow["calm"]["cpu_ms_per_order"].values())),
        Figure("orders/s held", lambda flow: flow["fastest"]["rate"], is_better_higher=True),
        Figure("CPU of an order at that rate, ms", lambda flow: sum(flow["fastest"]["cpu_ms_per_order"].values())),
    ),
    "plain": (Figure("orders/s held, ours beside by hand", lambda plain: plain["ratio"], is_better_higher=True),),
    "timeline": (Figure("p50 of a traced order at 100/s, ms", lambda timeline: timeline["offered"]["p50"]),),
    "keys": (
        Figure("memory a key, bytes", lambda keys: keys["100000 memory"]["bytes_a_key"]),
        Figure("CPU a message at 100,000 keys, us", lambda keys: keys["100000 memory"]["cpu_us"]),
    ),
}


def find_worse(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each figure of both runs that is more than a tenth worse now."""
    for name in now.keys() & before.keys() & _FIGURES.keys():
        for figure in _FIGURES[name]:
            old, new = figure.read(before[name]), figure.read(now[name])
            worse, better = (old, new) if figure.is_better_higher else (new, old)
            if worse > _TOLERANCE * better:
                yield f"{figure.what}: {new:.4g}, was {old:.4g}"
