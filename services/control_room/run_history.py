"""What runs have done, in a file: after a restart a page still says what happened to each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import ValidationError

from ensemble.operations import RUN_EVENT, RunEvent, RunState, RunSummary
from services.control_room.own_file import OwnFile
from services.control_room.plan_outlines import PlanOutline
from services.control_room.work_actions import ANY_ACTION

_LOG: Final = structlog.get_logger()
_MOST: Final = 200
"""So many runs are kept, the latest."""
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS runs (
        number INTEGER PRIMARY KEY, id TEXT UNIQUE, plan_id TEXT, action TEXT NOT NULL, summary TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS run_events (
        run TEXT, number INTEGER, event TEXT NOT NULL, PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS run_outlines (run TEXT PRIMARY KEY, outline TEXT NOT NULL) WITHOUT ROWID
"""
_SELECT: Final = (
    "SELECT id, action, summary FROM runs WHERE (? IS NULL OR id = ?) AND (? IS NULL OR plan_id = ?) "
    "ORDER BY number DESC"
)
_UPDATE: Final = "UPDATE runs SET summary = ? WHERE id = ?"
ENDED: Final = frozenset({RunState.STOPPED, RunState.FINISHED, RunState.INTERRUPTED})


@dataclass(frozen=True)
class PastRun:
    """A run that an earlier process has carried out, or a part of it."""

    action: Any
    summary: RunSummary


class RunHistory:
    """Keeps runs and their events. Any thread may use it; the runs of one process at a time are in it.

    What another release has written and this one cannot read is logged and left out, so that the control room starts.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open or create the file, in which runs that had not ended are interrupted; without one, keep in memory."""
        self._file = OwnFile(path, _SCHEMA)
        for run in self.runs():
            if run.summary.state not in ENDED:
                self._update(run.summary.model_copy(update={"state": RunState.INTERRUPTED}))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, action: Any, summary: RunSummary, outline: PlanOutline | None = None) -> None:
        """Keep a run that begins, with what it takes to go on with it, and forget the oldest of too many."""
        row = (summary.id, summary.plan_id, ANY_ACTION.dump_json(action).decode(), summary.model_dump_json())
        with self._file.transaction() as db:
            db.execute("INSERT INTO runs (id, plan_id, action, summary) VALUES (?, ?, ?, ?)", row)
            db.execute("DELETE FROM runs WHERE number <= (SELECT MAX(number) FROM runs) - ?", (_MOST,))
            if outline is not None:
                db.execute("INSERT INTO run_outlines VALUES (?, ?)", (summary.id, outline.model_dump_json()))
            db.execute("DELETE FROM run_events WHERE run NOT IN (SELECT id FROM runs)")
            db.execute("DELETE FROM run_outlines WHERE run NOT IN (SELECT id FROM runs)")

    def note(self, summary: RunSummary, number: int, event: RunEvent) -> None:
        """Keep the event with this number of a run, and how far the run is by it."""
        with self._file.transaction() as db:
            text = RUN_EVENT.dump_json(event).decode()
            db.execute("INSERT OR REPLACE INTO run_events VALUES (?, ?, ?)", (summary.id, number, text))
            db.execute(_UPDATE, (summary.model_dump_json(), summary.id))
            if summary.state is RunState.FINISHED:
                db.execute("DELETE FROM run_outlines WHERE run = ?", (summary.id,))

    def runs(self) -> tuple[PastRun, ...]:
        """Return all runs, the latest first."""
        return self._select()

    def find(self, run_id: str) -> PastRun | None:
        """Return a run, or None."""
        return next(iter(self._select(run_id)), None)

    def find_of_plan(self, plan_id: str) -> PastRun | None:
        """Return the run of a plan, or None."""
        return next(iter(self._select(plan_id=plan_id)), None)

    def outline(self, run_id: str) -> PlanOutline | None:
        """Return what it takes to go on with a run, None if that was not kept or cannot be read."""
        with self._file.transaction() as db:
            row = db.execute("SELECT outline FROM run_outlines WHERE run = ?", (run_id,)).fetchone()
        try:
            return None if row is None else PlanOutline.model_validate_json(row[0])
        except ValidationError as error:
            _LOG.warning("run.unreadable", run=run_id, reason=str(error))
            return None

    def events(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return the events of a run, the first one first."""
        with self._file.transaction() as db:
            rows = db.execute("SELECT event FROM run_events WHERE run = ? ORDER BY number", (run_id,)).fetchall()
        events = (_event_of(run_id, text) for (text,) in rows)
        return tuple(event for event in events if event is not None)

    def _select(self, run_id: str | None = None, plan_id: str | None = None) -> tuple[PastRun, ...]:
        with self._file.transaction() as db:
            rows = db.execute(_SELECT, (run_id, run_id, plan_id, plan_id)).fetchall()
        runs = (_past_run(*row) for row in rows)
        return tuple(run for run in runs if run is not None)

    def _update(self, summary: RunSummary) -> None:
        with self._file.transaction() as db:
            db.execute(_UPDATE, (summary.model_dump_json(), summary.id))


def _past_run(run_id: str, action: str, summary: str) -> PastRun | None:
    try:
        return PastRun(ANY_ACTION.validate_json(action), RunSummary.model_validate_json(summary))
    except ValidationError as error:
        _LOG.warning("run.unreadable", run=run_id, reason=str(error))
        return None


def _event_of(run_id: str, text: str) -> RunEvent | None:
    try:
        return RUN_EVENT.validate_json(text)
    except ValidationError as error:
        _LOG.warning("run.unreadable", run=run_id, reason=str(error))
        return None
