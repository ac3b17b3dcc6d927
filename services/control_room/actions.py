"""Plans that people have made and the runs of them: each plan is run once, by a thread that no browser holds up."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from backoffice.order_actions import OrderAction
from backoffice.order_filter import OrderFilter
from backoffice.order_runs import OrderPlan
from ensemble import EnsembleError
from ensemble.operations import (
    RUN_EVENT,
    EventStream,
    Intent,
    NotFound,
    NotPossible,
    Resolved,
    Rollout,
    RunEvent,
    RunState,
    RunSummary,
    Submitted,
)
from services.control_room.live_events import LiveEvent, LiveEvents
from services.control_room.planner import KeptPlan, Planner
from services.control_room.rehearsals import Rehearsal, Rehearsals
from services.control_room.run_history import PastRun, RunHistory
from services.control_room.work_actions import PlaceOrders, WorkAction

_LOG: Final = structlog.get_logger()
_MOST: Final = 200
"""So many plans, and so many runs that have ended, are kept."""
_MOST_ITEMS: Final = 200_000
"""So many things all plans together name; the latest plan is kept however many it names."""
_ENDED: Final = frozenset({RunState.STOPPED, RunState.FINISHED})


@dataclass(frozen=True)
class StartedRun:
    """A run of this process with its events, which any number of browsers may follow from the first on."""

    action: Any
    run: EventStream
    history: RunHistory
    events: LiveEvents = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Have the run itself, which keeps each event, tell those that are no longer among the latest."""
        object.__setattr__(self, "events", LiveEvents(head=self._head))

    def publish(self, number: int, event: RunEvent) -> RunSummary | None:
        """Publish an event once, whichever thread comes first with it; return how far the run is, else None."""
        with self._lock:
            if number != self.events.published:
                return None
            summary = self.summary
            self.events.publish([live_event(self.run.id, event)])
            self._keep(summary, number, event)
            return summary

    @property
    def summary(self) -> RunSummary:
        return self.run.summary

    def _head(self, start: int, end: int) -> list[LiveEvent]:
        return [live_event(self.run.id, event) for event in self.run.history[start:end]]

    def _keep(self, summary: RunSummary, number: int, event: RunEvent) -> None:
        try:
            self.history.note(summary, number, event)
        except sqlite3.Error as error:
            _LOG.warning("run.unrecorded", run=self.run.id, reason=str(error))


class Actions:
    """Plans actions, and runs plans. Any thread may use it.

    Plans are those of this process. What a run has done is kept in a file, and what it was about. What a run has
    written goes on without it, and a run that the end of the process has interrupted can be gone on with.
    """

    def __init__(self, planner: Planner, news: LiveEvents, history: RunHistory) -> None:
        """Take where it is told of runs that go on, and where they are kept."""
        self._planner, self._news, self._history = planner, news, history
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, KeptPlan] = OrderedDict()
        self._runs: OrderedDict[str, StartedRun] = OrderedDict()
        self._rehearsals = Rehearsals(planner)

    # -- plans --------------------------------------------------------------------------------------------------------

    def plan(self, action: OrderAction, which: str | OrderFilter) -> KeptPlan:
        """Return what an action would do with orders, and keep it to be run. Raises like `OrderActions.plan`."""
        return self._keep(self._planner.plan_orders(action, which))

    def plan_work(self, action: WorkAction) -> KeptPlan:
        """Return what another action would do, and keep it to be run. Raises OperationsError if it makes no sense."""
        return self._keep(self._planner.plan_work(action))

    def find_plan(self, plan_id: str) -> KeptPlan:
        """Return a plan. Raises NotFound."""
        with self._lock:
            return self._find_plan(plan_id)

    def rehearse(self, plan_id: str) -> Rehearsal:
        """Begin to rehearse a plan unless that was done, and return how far that is. Raises NotFound, NotPossible."""
        return self._rehearsals.begin(self.find_plan(plan_id).plan)

    def rehearsal_of(self, plan_id: str, wait_s: float = 0.0) -> Rehearsal | None:
        """Return the rehearsal of a plan once it has ended, or as it is after `wait_s`; None if there is none."""
        return self._rehearsals.wait(plan_id, wait_s)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def start(self, plan_id: str, intent: Intent, rollout: Rollout | None) -> tuple[RunSummary, bool]:
        """Start the run of a plan, or return the one that somebody has started before; and whether it is new.

        The run is found as long as it is kept, also when the plan is not. Raises NotFound for the plan, and
        NotPossible if it has expired.
        """
        with self._lock:
            if (before := self._history.find_of_plan(plan_id)) is not None:
                return self._current(before).summary, False
            kept = self._find_plan(plan_id)
            run = self._planner.run(kept.plan, intent, rollout)
            started = StartedRun(kept.action, run, self._history)
            self._history.add(kept.action, started.summary, self._planner.outline(kept.plan))
            self._runs[run.id] = started
            self._forget_ended()
        self._carry_on(started)
        return started.summary, True

    def runs(self) -> tuple[PastRun, ...]:
        """Return all runs, the latest first, those of earlier processes as well."""
        past = self._history.runs()
        with self._lock:
            return tuple(map(self._current, past))

    def look_up(self, run_id: str) -> PastRun:
        """Return a run, of whichever process. Raises NotFound."""
        past = self._history.find(run_id)
        if past is None:
            raise NotFound(f"no run {run_id!r}", hint="the list of runs shows those that are kept", field="run")
        with self._lock:
            return self._current(past)

    def history_of(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return the events of a run so far. Raises NotFound."""
        with self._lock:
            started = self._runs.get(run_id)
        if started is not None:
            return started.run.history
        self.look_up(run_id)
        return self._history.events(run_id)

    def events_of(self, run_id: str) -> LiveEvents:
        """Return the events of a run to follow; those of an earlier process stay what they are. Raises NotFound."""
        with self._lock:
            started = self._runs.get(run_id)
        if started is not None:
            return started.events
        summary = self.look_up(run_id).summary
        past = [live_event(run_id, event) for event in self._history.events(run_id)]
        if summary.state is RunState.INTERRUPTED:
            past.append(_interrupted_event(summary))
        events = LiveEvents(limit=len(past))
        events.publish(past)
        return events

    def stop(self, run_id: str) -> RunSummary:
        """Have a run stop before its next wave. Raises NotFound, or NotPossible if it is no run of this process."""
        started = self._find_started(run_id)
        started.run.stop()
        return started.summary

    def resume(self, run_id: str, payment_token: str | None = None) -> RunSummary:
        """Have a run go on that was stopped, or whose process has ended: what is left of it is planned anew.

        Only orders that are placed need the payment token again, after a restart. Raises NotFound, Invalid without
        the token, and NotPossible if the run goes on, has finished, or cannot be taken up.
        """
        with self._lock:
            started = self._runs.get(run_id)
        if started is None:
            started = self._take_up(self.look_up(run_id), payment_token)
        else:
            started.run.resume()
        self._carry_on(started)
        return started.summary

    def can_resume(self, past: PastRun) -> bool:
        """Return whether there is something of a run to go on with, and that is known."""
        run = past.summary
        if run.state not in (RunState.STOPPED, RunState.INTERRUPTED) or (self._is_ours(run) and not run.remaining):
            return False
        return self._is_ours(run) or self._history.outline(run.id) is not None

    def needs_token(self, past: PastRun) -> bool:
        """Return whether a run can be resumed only by who gives the payment token of its orders again."""
        return isinstance(past.action, PlaceOrders) and not self._is_ours(past.summary)

    def close(self) -> None:
        """Stop all runs before their next wave."""
        with self._lock:
            for started in self._runs.values():
                started.run.stop()
                started.events.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _keep(self, kept: KeptPlan) -> KeptPlan:
        with self._lock:
            self._plans[kept.plan.id] = kept
            self._forget_plans()
        return kept

    def _find_plan(self, plan_id: str) -> KeptPlan:
        if plan_id in self._plans:
            return self._plans[plan_id]
        raise NotFound(f"no plan {plan_id!r}", hint="it may be long over: plan it anew", field="plan")

    def _find_started(self, run_id: str) -> StartedRun:
        with self._lock:
            if (started := self._runs.get(run_id)) is not None:
                return started
        state = self.look_up(run_id).summary.state
        raise NotPossible(f"run {run_id} is {state}, and its process has ended", hint="go on with it", field="run")

    def _take_up(self, past: PastRun, payment_token: str | None) -> StartedRun:
        """Plan what is left of a run of an earlier process, and return it as a run of this one."""
        summary = past.summary
        if summary.state is RunState.FINISHED:
            raise NotPossible(f"run {summary.id} is finished, so it cannot be resumed", field="run")
        outline = self._history.outline(summary.id)
        if outline is None:
            reason = f"run {summary.id} is {summary.state}, and what it was about was not kept"
            raise NotPossible(reason, hint="plan anew what is left", field="run")
        before = self._history.events(summary.id)
        done = {event.name for event in before if isinstance(event, Resolved)}
        plan = self._planner.plan_again(past, outline, done, payment_token)
        skipped = _skipped_events(plan, before) if isinstance(plan, OrderPlan) else []
        run = self._planner.run(plan, summary.intent, summary.rollout)
        run.take_up(summary, (*before, *skipped))
        started = StartedRun(past.action, run, self._history)
        started.events.publish(live_event(run.id, event) for event in before)
        self._add_taken_up(started)
        for number, event in enumerate(skipped, len(before)):
            started.publish(number, event)
        return started

    def _add_taken_up(self, started: StartedRun) -> None:
        """Add a run of an earlier process. Raises NotPossible for whoever comes second with it."""
        with self._lock:
            if started.run.id in self._runs:
                raise NotPossible(f"run {started.run.id} goes on already", field="run")
            self._runs[started.run.id] = started

    def _is_ours(self, run: RunSummary) -> bool:
        with self._lock:
            return run.id in self._runs

    def _current(self, past: PastRun) -> PastRun:
        """Return the run as it is now, which may be further than its file."""
        started = self._runs.get(past.summary.id)
        return past if started is None else PastRun(past.action, started.summary)

    def _carry_on(self, started: StartedRun) -> None:
        threading.Thread(target=self._drain, args=(started,), name=f"run {started.run.id}", daemon=True).start()

    def _drain(self, started: StartedRun) -> None:
        run, seen = started.run, started.events.published
        try:
            for number, event in enumerate(run.events(seen), seen):
                if (summary := started.publish(number, event)) is not None:
                    self._news.publish([LiveEvent("run", run.id, summary.model_dump_json())])
        except EnsembleError as error:
            _LOG.warning("run.interrupted", run=run.id, reason=str(error))
        except Exception as error:  # noqa: BLE001  its last event has said so to those who follow it
            _LOG.error("run.failed", run=run.id, exc_info=error)

    def _forget_plans(self) -> None:
        """Forget plans that have expired, and the oldest of too many."""
        now = datetime.now(UTC)
        for kept in [kept for kept in self._plans.values() if kept.plan.expires_at < now]:
            del self._plans[kept.plan.id]
        items = sum(len(kept.plan.items) for kept in self._plans.values())
        while len(self._plans) > 1 and (len(self._plans) > _MOST or items > _MOST_ITEMS):
            _, kept = self._plans.popitem(last=False)
            items -= len(kept.plan.items)
        self._rehearsals.keep_only(self._plans)

    def _forget_ended(self) -> None:
        """Forget the oldest of too many runs that have ended, with their plans: none of them is run again."""
        ended = [started for started in self._runs.values() if started.run.state in _ENDED]
        for started in ended[: max(len(self._runs) - _MOST, 0)]:
            del self._runs[started.run.id]
            self._plans.pop(started.summary.plan_id, None)
            started.events.close()


def live_event(run_id: str, event: RunEvent) -> LiveEvent:
    """Return an event of a run as streams carry it."""
    return LiveEvent(event.kind, run_id, RUN_EVENT.dump_json(event).decode())


def _interrupted_event(summary: RunSummary) -> LiveEvent:
    """Return the event that ends the stream of an interrupted run, whose process could not tell of its end."""
    kind = RunState.INTERRUPTED.value
    return LiveEvent(kind, summary.id, json.dumps({"kind": kind, "remaining": summary.remaining}))


def _skipped_events(plan: OrderPlan, before: Sequence[RunEvent]) -> list[RunEvent]:
    """Return that there is nothing left to do for those that an action would not change any more."""
    wave = max((event.wave for event in before if isinstance(event, Submitted)), default=0)
    return [
        Resolved(name=each.name, wave=wave, outcome="skipped", is_good=True, detail=each.why) for each in plan.skipped
    ]
