"""Knows what a loop does, since when, and for how long it may: for the watchdog, /livez and a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple


class Activity(NamedTuple):
    """What a loop does between two beats, and how long that may take."""

    name: str = ""
    limit_s: float = 0.0
    is_work: bool = False
    """Whether handlers run: a stop lets them finish, and cuts short everything else."""
    detail: Callable[[], str] = str
    """Returns what is in hand."""


class Heartbeat:
    """Beats with every turn of a loop, and with every step of a wait that is longer than a turn. Read by any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.beat_at = now()
        self.activity = Activity()

    def beat(self) -> None:
        """Note that the loop moves."""
        self.beat_at = self._now()

    def during(
        self, name: str, limit_s: float, *, is_work: bool = False, detail: Callable[[], str] = str
    ) -> AbstractContextManager[None]:
        """Note what the loop does meanwhile, and that it may take `limit_s` without a beat."""
        return _During(self, Activity(name, limit_s, is_work, detail))

    @property
    def silent_s(self) -> float:
        """How long ago the last beat was."""
        return self._now() - self.beat_at

    @property
    def overdue_s(self) -> float:
        """How much longer than it may the loop has been silent; at most 0 while all is well."""
        return self.silent_s - self.activity.limit_s

    def describe(self) -> str:
        """Return for how long the loop has been silent, and over what, without what is in hand."""
        activity = self.activity.name
        return f"the loop has not turned for {self.silent_s:.0f} s{f', {activity}' if activity else ''}"

    def describe_in_hand(self) -> str:
        """Return the same, and what is in hand."""
        detail = self.activity.detail()
        return f"{self.describe()}{f' ({detail})' if detail else ''}"


class _During:
    """Changes what a heartbeat says for as long as it is entered; a batch does so twice, so it is no generator."""

    __slots__ = ("_activity", "_heartbeat")

    def __init__(self, heartbeat: Heartbeat, activity: Activity) -> None:
        self._heartbeat, self._activity = heartbeat, activity

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()

    def _swap(self) -> None:
        heartbeat = self._heartbeat
        heartbeat.activity, self._activity = self._activity, heartbeat.activity
        heartbeat.beat()
