"""Which columns of a table fit on a terminal, and how wide each is: names stay whole, sentences give way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

GAP: Final = 3
"""Between two columns."""
READABLE: Final = 24
"""A column of long texts is not narrower, as long as another can be left out instead."""


def kept(widths: Mapping[str, int], spare: Sequence[str], room: int) -> list[str]:
    """The columns that stay, of those of these widths: spare ones give way, the first one first."""
    names = list(widths)
    for name in spare:
        if _total([widths[names[0]], *(min(widths[each], READABLE) for each in names[1:])]) <= room:
            break
        names = [each for each in names if each != name]
    return names


def fitted(widths: Mapping[str, int], room: int) -> dict[str, int]:
    """How wide each column may be: the widest is cut first; the first column, which names the row, last."""
    found = dict(widths)
    first, *others = found
    for _ in range(_total(found.values()) - room):
        if others:
            widest = max(others, key=lambda name: found[name])
            found[widest] = max(1, found[widest] - 1)
    found[first] = max(1, min(found[first], room))
    return found


def _total(widths: Collection[int]) -> int:
    sizes = list(widths)
    return sum(sizes) + GAP * (len(sizes) - 1)
