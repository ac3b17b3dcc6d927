"""Rehearsals of plans: each takes seconds, so it goes on by itself, one after the other, and is looked at meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Container
from datetime import UTC, datetime
from typing import Any, Final, Literal

import structlog

from ensemble import EnsembleError
from ensemble.operations import NotPossible, RedriveRehearsal, Result, describe_rehearsal
from services.control_room.planner import MOST_REHEARSED, AnyPlan, Planner

_LOG: Final = structlog.get_logger()
_MOST_RUNNING: Final = 4


class RehearsalRow(RedriveRehearsal):
    """What redriving one record would do, also in words."""

    would: str
    happened_already: str


class Rehearsal(Result):
    """How far a rehearsal is, and what it has found out about the first records of the plan."""

    plan: str
    state: Literal["running", "done", "failed"]
    began_at: datetime
    rehearsed: int
    total: int
    records: tuple[RehearsalRow, ...] = ()
    problem: str | None = None


class Rehearsals:
    """The rehearsals of the plans that are kept. Any thread may use it."""

    def __init__(self, planner: Planner) -> None:
        self._planner, self._lock, self._turn = planner, threading.Condition(), threading.Lock()
        self._by_plan: dict[str, Rehearsal] = {}

    def begin(self, plan: AnyPlan) -> Rehearsal:
        """Rehearse a plan in a thread of its own, unless that was done and has not failed.

        Raises NotPossible for a plan that cannot be rehearsed, and while too many others are.
        """
        self._planner.require_rehearsable(plan)
        with self._lock:
            before = self._by_plan.get(plan.id)
            if before is not None and before.state != "failed":
                return before
            if sum(each.state == "running" for each in self._by_plan.values()) >= _MOST_RUNNING:
                raise NotPossible(f"{_MOST_RUNNING} rehearsals are running", hint="try again in a moment")
            rehearsed = min(len(plan.items), MOST_REHEARSED)
            began = Rehearsal(
                plan=plan.id, state="running", began_at=datetime.now(UTC), rehearsed=rehearsed, total=len(plan.items)
            )
            self._by_plan[plan.id] = began
        threading.Thread(target=self._rehearse, args=(plan, began), name=f"rehearsal {plan.id}", daemon=True).start()
        return began

    def wait(self, plan_id: str, limit_s: float) -> Rehearsal | None:
        """Return the rehearsal of a plan once it has ended, or as it is after `limit_s`; None if there is none."""
        with self._lock:
            self._lock.wait_for(lambda: not self._is_running(plan_id), limit_s)
            return self._by_plan.get(plan_id)

    def keep_only(self, plan_ids: Container[str]) -> None:
        """Forget the rehearsals of all other plans."""
        with self._lock:
            self._by_plan = {name: each for name, each in self._by_plan.items() if name in plan_ids}

    def _is_running(self, plan_id: str) -> bool:
        rehearsal = self._by_plan.get(plan_id)
        return rehearsal is not None and rehearsal.state == "running"

    def _rehearse(self, plan: AnyPlan, began: Rehearsal) -> None:
        try:
            with self._turn:
                records = tuple(map(_row, self._planner.rehearse(plan)))
            changes: dict[str, Any] = {"state": "done", "records": records}
        except EnsembleError as error:
            changes = {"state": "failed", "problem": str(error)}
        except Exception as error:  # noqa: BLE001  whoever looks is told, and the log has the traceback
            _LOG.error("rehearsal.failed", plan=plan.id, exc_info=error)
            changes = {"state": "failed", "problem": "the control room made a mistake; its log says more"}
        with self._lock:
            self._by_plan[plan.id] = began.model_copy(update=changes)
            self._lock.notify_all()


def _row(rehearsal: RedriveRehearsal) -> RehearsalRow:
    text = describe_rehearsal(rehearsal)
    return RehearsalRow(**dict(rehearsal), would=text["would"], happened_already=text["happened"])
