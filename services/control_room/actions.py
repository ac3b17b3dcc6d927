"""Plans that people have made and the runs of them: each plan is run once, by a thread that no browser holds up."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import structlog

from backoffice.order_actions import OrderAction
from backoffice.order_filter import OrderFilter
from backoffice.order_runs import OrderActions, OrderItem, OrderPlan
from ensemble.operations import RUN_EVENT, Intent, NotFound, Rollout, Run, RunState, RunSummary
from services.control_room.live_events import LiveEvent, LiveEvents

_LOG: Final = structlog.get_logger()
_MOST: Final = 200
"""So many plans, and so many runs that have ended, are kept."""


@dataclass(frozen=True)
class StartedRun:
    """A run with its events, which any number of browsers may follow from the first on."""

    run: Run[OrderItem]
    events: LiveEvents = field(default_factory=LiveEvents)

    @property
    def summary(self) -> RunSummary:
        return self.run.summary


class Actions:
    """Plans actions on orders, and runs plans. Any thread may use it.

    Plans and runs are those of this process: what a run has written goes on without it, and a run that the end of the
    process has interrupted is planned anew, which leaves out what is done.
    """

    def __init__(self, orders: OrderActions, news: LiveEvents) -> None:
        """Take where it is told of runs that go on."""
        self._orders, self._news = orders, news
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, OrderPlan] = OrderedDict()
        self._runs: OrderedDict[str, StartedRun] = OrderedDict()

    def plan(self, action: OrderAction, which: str | OrderFilter) -> OrderPlan:
        """Return what an action would do, and keep it to be run. Raises like `OrderActions.plan`."""
        plan = self._orders.plan(action, which)
        with self._lock:
            self._plans[plan.id] = plan
            while len(self._plans) > _MOST:
                self._plans.popitem(last=False)
        return plan

    def find_plan(self, plan_id: str) -> OrderPlan:
        """Return a plan. Raises NotFound."""
        with self._lock:
            if plan_id in self._plans:
                return self._plans[plan_id]
        raise NotFound(f"no plan {plan_id!r}", hint="it may be long over: plan it anew", field="plan")

    def start(self, plan_id: str, intent: Intent, rollout: Rollout | None) -> tuple[StartedRun, bool]:
        """Start the run of a plan, or return the one that somebody has started before; and whether it is new.

        Raises NotFound for the plan, and NotPossible if it has expired.
        """
        plan = self.find_plan(plan_id)
        with self._lock:
            if (before := next((r for r in self._runs.values() if r.summary.plan_id == plan_id), None)) is not None:
                return before, False
            started = StartedRun(self._orders.run(plan, intent, rollout))
            self._runs[started.run.id] = started
            self._forget_ended()
        self._carry_on(started)
        return started, True

    def runs(self) -> tuple[RunSummary, ...]:
        """Return all runs, the latest first."""
        with self._lock:
            return tuple(started.summary for started in reversed(self._runs.values()))

    def find_run(self, run_id: str) -> StartedRun:
        """Return a run. Raises NotFound."""
        with self._lock:
            if run_id in self._runs:
                return self._runs[run_id]
        raise NotFound(f"no run {run_id!r}", hint="the list of runs shows those of this process", field="run")

    def resume(self, run_id: str) -> StartedRun:
        """Have a run that was stopped go on. Raises NotFound, or NotPossible if it is not stopped."""
        started = self.find_run(run_id)
        started.run.resume()
        self._carry_on(started)
        return started

    def close(self) -> None:
        """Stop all runs before their next wave."""
        with self._lock:
            for started in self._runs.values():
                started.run.stop()
                started.events.close()

    def _carry_on(self, started: StartedRun) -> None:
        threading.Thread(target=self._drain, args=(started,), name=f"run {started.run.id}", daemon=True).start()

    def _drain(self, started: StartedRun) -> None:
        run, seen = started.run, started.events.published
        try:
            for number, event in enumerate(run.events()):
                if number >= seen:
                    started.events.publish([LiveEvent(event.kind, run.id, RUN_EVENT.dump_json(event).decode())])
                    self._news.publish([LiveEvent("run", run.id, run.summary.model_dump_json())])
        except Exception as error:  # noqa: BLE001  its last event has said so to those who follow it
            _LOG.warning("run.interrupted", run=run.id, reason=str(error))

    def _forget_ended(self) -> None:
        ended = [name for name, started in self._runs.items() if started.summary.state is RunState.FINISHED]
        for name in ended[: max(len(self._runs) - _MOST, 0)]:
            del self._runs[name]
