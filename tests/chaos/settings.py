"""How many orders and faults a run has, as a value. The same settings with the same seed give the same plan."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from ensemble.settings import CRASH_POINTS
from services.app import SERVICES

_PREFIX = "ENSEMBLE_CHAOS_"


@dataclass(frozen=True)
class ChaosSettings:
    """How many orders come within how many seconds, and how often each kind of fault is injected meanwhile."""

    seed: int
    orders: int = 400
    seconds: float = 60.0
    kills: int = 0
    """`kill -9` of any member, at random."""
    crashes: int = 0
    """Members that die at a named point of a batch; points and services take turns."""
    zombies: int = 0
    """Members that stand still in a transaction until a successor has their slot, and then run on."""
    freezes: int = 0
    """Members that stand still for longer than a session, every other one for longer than a transaction."""
    broker_kills: int = 0
    outages: int = 0
    """The provider answers nothing useful for some seconds."""
    pauses: int = 0
    """Of a step, a command type, a service or a few orders, each with its resume."""
    tended_every_s: float = 0.0
    """So often an operator redrives and discards what was given up; 0: never."""

    @property
    def per_second(self) -> float:
        return self.orders / self.seconds

    @staticmethod
    def fresh_seed() -> int:
        return secrets.randbelow(10**6)

    def with_environment(self) -> Self:
        """Replace what ENSEMBLE_CHAOS_SEED, _ORDERS, _SECONDS, _KILLS and so on name."""
        kinds: dict[str, Any] = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        texts = {name: os.environ.get(f"{_PREFIX}{name.upper()}") for name in kinds}
        overrides = {name: kinds[name](value) for name, value in texts.items() if value}
        return replace(self, **overrides)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items())


def crash_of(turn: int) -> tuple[str, str]:
    """Return the service that dies in this turn, and at which point; 35 turns have every service meet every point."""
    return list(SERVICES)[turn % len(SERVICES)], CRASH_POINTS[turn % len(CRASH_POINTS)]


def omissions(settings: ChaosSettings, did: Mapping[str, int]) -> Iterator[str]:
    """Yield which faults were planned and not injected, in words: a run in which nothing broke shows nothing."""
    least = {
        "kill -9": settings.kills,
        "frozen": settings.freezes,
        "stood still in a transaction": settings.zombies,
        "zombie fenced, and said so": settings.zombies,
        "broker killed": settings.broker_kills,
        "provider": settings.outages,
        "paused": settings.pauses,
        **Counter("died at {1} ({0})".format(*crash_of(turn)) for turn in range(settings.crashes)),
    }
    for fault, planned in least.items():
        count = sum(times for what, times in did.items() if fault in what)
        if count < planned:
            yield f"{fault}: {count} of {planned}"
