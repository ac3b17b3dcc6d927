"""What the peers have measured, read from what they print, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_HEADER: Final = (
    "| hop | CPU a message, us | rounds | beside by hand | messages/s | promises |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Figures:
    """What one run of a peer took: CPU of the whole process for each message, and how many it handled in a second."""

    cpu_us: float
    per_s: float


def figures_in(output: str) -> Figures:
    """Return what a peer has measured: the last line of JSON that it printed. Raises ValueError if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            measured = json.loads(line)
            return Figures(measured["cpu_us"], measured["per_s"])
    raise ValueError(f"no line of JSON with what was measured in {output[-500:]!r}")


def table_of(measured: Mapping[str, Sequence[Figures]], promises: Mapping[str, str], *, beside: str) -> list[str]:
    """Return the lines of a table in Markdown: medians of all rounds; ratios to `beside`, each within its round."""
    reference = measured.get(beside, ())
    return [*_HEADER, *(_row(name, figures, reference, promises[name]) for name, figures in measured.items())]


def _row(name: str, figures: Sequence[Figures], reference: Sequence[Figures], promise: str) -> str:
    cpu_us, per_s = median(each.cpu_us for each in figures), median(each.per_s for each in figures)
    rounds = ", ".join(f"{each.cpu_us:.1f}" for each in figures)
    ratios = [own.cpu_us / other.cpu_us for own, other in zip(figures, reference, strict=False)]
    ratio = f"{median(ratios):.2f}" if ratios else ""
    return f"| {name} | {cpu_us:.1f} | {rounds} | {ratio} | {per_s:,.0f} | {promise} |"
