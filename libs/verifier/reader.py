"""A cluster as the check reads it: everything that is committed, up to ends that are taken in a certain order.

1. the groups' positions, stable ones only  2. the cut: what is committed now  3. the payment provider's ledger
4. the ends to read to, open transactions included: whatever 1 to 3 refer to lies before them
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ensemble.kafka.client import ClusterClient, assigned_reader, client_with, readable
from ensemble.kafka.client_config import NARROW
from ensemble.kafka.reading import Reader
from ensemble.waiting import ignore
from verifier.facts import Place
from verifier.flow import STATE_TOPICS
from verifier.source import CannotCheck, Take

_POSITIONS: Final = "__consumer_offsets"
"""Kafka makes it when a group first asks; until then no group has read anything."""
_POLL_S: Final = 0.5
_TELL_EVERY_S: Final = 2.0


@dataclass(frozen=True)
class Cluster:
    """A cluster to read from, as `verifier.source.Source` promises."""

    client: ClusterClient
    tell: Callable[[str], None] = ignore
    stall_s: float = 60.0
    """Without any progress for so long, reading is given up."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes a copy in another process, which can read there and is told nothing else."""
        shared = {name: value for name, value in self.client.shared.items() if isinstance(value, str | int | float)}
        return _copy, (shared, self.stall_s)

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def partitions(self) -> Mapping[str, int]:
        """Return every topic with its partition count."""
        return self.client.topics()

    def committed(self, groups: Iterable[str]) -> Mapping[str, Mapping[Place, int]]:
        """Return each group's positions, waiting for open transactions."""
        if _POSITIONS not in self.partitions():
            return {group: {} for group in groups}
        return {
            group: {place: committed.offset for place, committed in self.client.committed_by(group).items()}
            for group in groups
        }

    def committed_ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the end of the committed records of each partition."""
        return self.client.ends(places)

    def ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the end of each partition, including open transactions."""
        return self.client.high_watermarks(places)

    def firsts(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return the first offset that each partition still has."""
        return self.client.starts(places)

    def offsets_at(self, places: Collection[Place], at: int) -> Mapping[Place, int]:
        """Return the first offset of each partition that was written at this time or later."""
        return self.client.offsets_at(places, at)

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        """Hand over every committed record, each partition in order, up to these ends or a little beyond.

        Each partition is read to its present end, and so to the end of a transaction: none is seen in part.
        """
        starts = {place: firsts[place] for place, end in ends.items() if end > firsts[place]}
        total = sum(ends[place] - first for place, first in starts.items())
        read, moved, reported = 0, time.monotonic(), time.monotonic()
        with Reader({**assigned_reader(self.client.shared, "ensemble-verify"), **NARROW}) as reader:
            reader.start(starts)
            while behind := reader.behind({place: ends[place] for place in starts}):
                for record in (records := reader.poll(_POLL_S)):
                    # headers cost as much to read as all the rest, and those of states are never read
                    take(record if record.topic() in STATE_TOPICS else readable(record))
                read, now = read + len(records), time.monotonic()
                if records:
                    moved = now
                elif now - moved > self.stall_s:
                    raise CannotCheck(_stalled(behind, self.stall_s))
                if now - reported > _TELL_EVERY_S:
                    reported = now
                    self.tell(_progress(read, total))


def _copy(shared: dict[str, Any], stall_s: float) -> Cluster:
    return Cluster(client_with(shared), stall_s=stall_s)


def _progress(read: int, total: int) -> str:
    """Return how much is read; a partition is read to its present end, which may lie behind that of the total."""
    return f"verify: {min(read, total)} of {total} records read"


def _stalled(behind: Iterable[Place], seconds: float) -> str:
    places = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(behind)[:5])
    return (
        f"nothing could be read for {seconds:g} s from {places}: a transaction hangs open there, or the broker is "
        "away; check again once the services run"
    )
