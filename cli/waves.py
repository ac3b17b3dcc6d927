"""Resuming in waves: a probe first, then so many at a time, until all go on or too many of a wave fail again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Progress(StrEnum):
    """What became of one that was resumed."""

    WAITING = "waiting"
    PROGRESSED = "progressed"
    FAILED = "failed"


@dataclass(frozen=True)
class Pace:
    """How many at a time, and when to stop."""

    probe: int = 1
    """How many go first; 0: no probe."""
    wave: int = 10
    failure_limit: float = 0.2
    """The share of a wave that may fail; beyond it nothing more is resumed."""
    wait_s: float = 60.0
    """What has not moved by then counts as failed."""


class WaveTarget(Protocol):
    """What a wave acts on: orders on a cluster, or a test's own."""

    def resume(self, names: Sequence[str]) -> None:
        """Resume these."""

    def fates(self, names: Sequence[str]) -> Mapping[str, Progress]:
        """Return the progress of each."""

    def now(self) -> float:
        """Return a time in seconds."""

    def pause(self) -> None:
        """Wait for a moment."""


@dataclass(frozen=True)
class Wave:
    """One group, and what became of each."""

    number: int
    """0: the probe."""
    names: tuple[str, ...]
    fates: Mapping[str, Progress] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Return those that failed or made no progress in time."""
        return [name for name in self.names if self.fates.get(name) is not Progress.PROGRESSED]

    def stops(self, pace: Pace) -> bool:
        """Return whether too many failed to continue."""
        return len(self.failed) > pace.failure_limit * len(self.names)


def split(names: Sequence[str], pace: Pace) -> list[tuple[str, ...]]:
    """Split the names into groups, the probe first."""
    rest = range(pace.probe, len(names), pace.wave)
    return [group for group in (tuple(names[: pace.probe]), *(tuple(names[n : n + pace.wave]) for n in rest)) if group]


def waves(names: Sequence[str], pace: Pace, world: WaveTarget) -> Iterator[Wave]:
    """Resume group by group, and yield each group with its outcome. Ends at the first group that fails."""
    for number, group in enumerate(split(names, pace), start=0 if pace.probe else 1):
        world.resume(group)
        wave = Wave(number, group, _settled(group, pace, world))
        yield wave
        if wave.stops(pace):
            return


def _settled(group: Sequence[str], pace: Pace, world: WaveTarget) -> Mapping[str, Progress]:
    limit = world.now() + pace.wait_s
    while True:
        fates = world.fates(group)
        if all(fates[name] is not Progress.WAITING for name in group) or world.now() >= limit:
            return fates
        world.pause()
