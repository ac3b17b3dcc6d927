"""Where the check reads from: a cluster, or topics in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from ensemble.errors import EnsembleError
from verifier.facts import Place

Take = Callable[[Any], None]
"""Takes one record, of the shape of `ensemble.messages.records.ConsumedRecord`."""


class CannotCheck(EnsembleError):
    """The check could not be made; the message says why, and what to do."""


class Source(Protocol):
    """Committed records, and how far each group has read. Any method may raise CannotCheck."""

    def now(self) -> int:
        """Return the time in epoch milliseconds."""

    def partitions(self) -> Mapping[str, int]:
        """Return every topic with its partition count."""

    def committed(self, groups: Iterable[str]) -> Mapping[str, Mapping[Place, int]]:
        """Return each group's positions, those of transactions that have ended."""

    def committed_ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the end of the committed records of each partition."""

    def ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the end of each partition, including open transactions."""

    def firsts(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the first offset that each partition still has."""

    def offsets_at(self, places: Collection[Place], at: int) -> Mapping[Place, int]:
        """Return the first offset of each partition that was written at this time or later, epoch milliseconds."""

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        """Hand over every committed record, each partition in order, up to these ends or a little beyond."""
