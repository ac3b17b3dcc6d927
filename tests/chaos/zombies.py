"""Processes that stood still in a transaction until a successor had their slot, and then run on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from launcher import Fleet, ServiceProcess, with_free_port
from tests.chaos.exits import FENCED_S, Finding, judge_zombie

_LOOK_EVERY_S: Final = 0.5
_GONE_S: Final = 10.0


@dataclass
class _Zombie:
    name: str
    process: ServiceProcess
    log_size: int = 0
    resumed_at: float | None = None
    looked_at: float = 0.0


class Zombies:
    """Has the successor of a process that stands still take over, resumes the process, and waits for it to end."""

    def __init__(self, fleet: Fleet, now: Callable[[], float] = time.monotonic) -> None:
        self._fleet, self._now = fleet, now
        self._zombies: list[_Zombie] = []

    def replace(self, name: str) -> None:
        """Start a successor with the same slot beside the process that stands still now."""
        member = self._fleet.members[name]
        process = self._fleet.replace(with_free_port(member.service, member.instance))
        self._zombies.append(_Zombie(name, process))

    def has(self, name: str) -> bool:
        """Return whether the successor of this member still has a zombie beside it."""
        return any(zombie.name == name for zombie in self._zombies)

    @property
    def are_left(self) -> bool:
        """Return whether one of them has not come to its end yet."""
        return bool(self._zombies)

    def watch(self) -> Iterator[str | Finding]:
        """Resume each whose successor is ready, and yield the judgement on each that has ended, or does not."""
        for zombie in list(self._zombies):
            if zombie.resumed_at is None:
                self._resume_behind_successor(zombie)
            elif zombie.process.exit_code is not None or self._now() - zombie.resumed_at > FENCED_S:
                self._zombies.remove(zombie)
                yield judge_zombie(zombie.name, zombie.process.exit_code, self._lines(zombie))
                self._end(zombie)

    def end_all(self) -> None:
        """Kill those that are left."""
        while self._zombies:
            self._end(self._zombies.pop())

    def _resume_behind_successor(self, zombie: _Zombie) -> None:
        if self._now() - zombie.looked_at < _LOOK_EVERY_S:
            return
        zombie.looked_at = self._now()
        if self._fleet.state_of(zombie.name) == "":
            zombie.log_size = zombie.process.log.stat().st_size
            zombie.process.send(signal.SIGCONT)
            zombie.resumed_at = self._now()

    def _lines(self, zombie: _Zombie) -> list[str]:
        with zombie.process.log.open("rb") as log:
            log.seek(zombie.log_size)
            return log.read().decode(errors="replace").splitlines()

    def _end(self, zombie: _Zombie) -> None:
        zombie.process.send(signal.SIGKILL)
        zombie.process.wait(_GONE_S)
