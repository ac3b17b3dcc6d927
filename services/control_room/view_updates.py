"""Brings the control room's view up to date, over and over, and says how it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from ensemble import EnsembleError
from ensemble.operations import Result
from ensemble.operations.view import Change, View
from services.control_room.repetition import Repetition

OnChanges = Callable[[Sequence[Change]], None]
"""Called with what has changed, by the thread that brings the view up to date."""
OnLost = Callable[[int], None]
"""Called with how many changes were lost, because there were more than are kept between two updates."""
OnStatus = Callable[["ViewStatus"], None]
"""Called when the view cannot be brought up to date any more, or can be again."""

_LOG: Final = structlog.get_logger()
_LONGEST_PAUSE_S: Final = 5.0
_LONG: Final = timedelta(seconds=10)
"""A view that is older is read up to the present before it is called live; a younger one is, between two updates."""


class ReadingProgress(Result):
    """How many of the records that were there at the beginning have been read."""

    read: int
    total: int


class ViewStatus(Result):
    """How far the view is: everything that was committed at `as_of` is in it."""

    as_of: datetime | None = None
    """None as long as it was never complete."""
    reading: ReadingProgress | None = None
    """While much is read, which is so after a long pause, or when the view is built anew."""
    problem: str | None = None
    """Why it cannot be brought up to date."""
    problem_since: datetime | None = None


class ViewUpdates:
    """Syncs a view and hands on its changes. One thread updates; any thread may ask for the status."""

    def __init__(
        self, view: View, pause_s: Callable[[], float], *, on_changes: OnChanges, on_lost: OnLost, on_status: OnStatus
    ) -> None:
        """Read nothing yet. `pause_s` says how long the view is left as it is after an update."""
        self._on_lost, self._on_status = on_lost, on_status
        self._view, self._on_changes = view, on_changes
        self._subscription, self._lost = view.feed.subscribe(), 0
        self._status = ViewStatus(as_of=view.as_of())
        self._repetition = Repetition(
            "view", self.update, pause_s, longest_pause_s=_LONGEST_PAUSE_S, on_fault=self._note_fault
        )

    @property
    def status(self) -> ViewStatus:
        return self._status

    def start(self) -> None:
        """Update in a thread of its own until `stop`."""
        self._repetition.start()

    def stop(self, limit_s: float = 5.0) -> None:
        """Update no more; an update under way is waited for, `limit_s` at most."""
        self._repetition.stop(limit_s)

    def update(self) -> bool:
        """Read on to the present ends of the topics; return whether that was possible, else `status` says why."""
        before = self._status
        try:
            synced = self._view.sync(self._show_progress)
        except (EnsembleError, sqlite3.Error, OSError) as error:
            self._note_problem(_reason(error))
            return False
        finally:
            self._hand_on()
        if not synced.is_current:
            self._note_problem("another process writes the view's file; is a second control room running here?")
            return False
        self._status = ViewStatus(as_of=synced.as_of)
        if before.problem is not None:
            _LOG.info("view.recovered")
        if before.problem is not None or before.as_of is None:
            self._on_status(self._status)
        return True

    def _hand_on(self) -> None:
        changes = self._subscription.take(0)
        if changes:
            self._on_changes(changes)
        lost = self._subscription.lost - self._lost
        if lost:
            self._lost += lost
            self._on_lost(lost)

    def _show_progress(self, read: int, total: int) -> None:
        as_of = self._view.as_of()
        if as_of is None or datetime.now(UTC) - as_of > _LONG:
            self._status = ViewStatus(as_of=as_of, reading=ReadingProgress(read=read, total=total))
        self._hand_on()

    def _note_fault(self, error: Exception) -> None:
        self._note_problem(f"the view failed: {type(error).__name__}: {error}")

    def _note_problem(self, reason: str) -> None:
        since, is_new = self._status.problem_since or datetime.now(UTC), self._status.problem is None
        self._status = ViewStatus(as_of=self._last_as_of(), problem=reason, problem_since=since)
        if is_new:
            _LOG.warning("view.stalled", reason=reason)
            self._on_status(self._status)

    def _last_as_of(self) -> datetime | None:
        try:
            return self._view.as_of()
        except sqlite3.Error:
            return None


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EnsembleError) else f"the view's file cannot be written: {error}"
