"""Plans that people have made and the runs of them: each plan is run once, by a thread that no browser holds up."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from backoffice.order_actions import OrderAction
from backoffice.order_filter import OrderFilter
from backoffice.order_runs import OrderActions, OrderItem, OrderPlan
from ensemble.operations import RUN_EVENT, Intent, NotFound, Rollout, Run, RunEvent, RunState, RunSummary
from services.control_room.live_events import LiveEvent, LiveEvents

_LOG: Final = structlog.get_logger()
_MOST: Final = 200
"""So many plans, and so many runs that have ended, are kept."""
_MOST_ITEMS: Final = 200_000
"""So many orders all plans together name; the latest plan is kept however many it names."""
_ENDED: Final = frozenset({RunState.STOPPED, RunState.FINISHED})


@dataclass(frozen=True)
class StartedRun:
    """A run with its events, which any number of browsers may follow from the first on."""

    run: Run[OrderItem]
    events: LiveEvents = field(default_factory=LiveEvents)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, number: int, event: RunEvent) -> bool:
        """Publish an event once, whichever thread comes first with it; return whether this one did."""
        with self._lock:
            if number != self.events.published:
                return False
            self.events.publish([LiveEvent(event.kind, self.run.id, RUN_EVENT.dump_json(event).decode())])
            return True

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
            self._forget_plans()
        return plan

    def find_plan(self, plan_id: str) -> OrderPlan:
        """Return a plan. Raises NotFound."""
        with self._lock:
            return self._find_plan(plan_id)

    def start(self, plan_id: str, intent: Intent, rollout: Rollout | None) -> tuple[StartedRun, bool]:
        """Start the run of a plan, or return the one that somebody has started before; and whether it is new.

        The run is found as long as it is kept, also when the plan is not. Raises NotFound for the plan, and
        NotPossible if it has expired.
        """
        with self._lock:
            if (before := next((r for r in self._runs.values() if r.summary.plan_id == plan_id), None)) is not None:
                return before, False
            started = StartedRun(self._orders.run(self._find_plan(plan_id), intent, rollout))
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

    def _find_plan(self, plan_id: str) -> OrderPlan:
        if plan_id in self._plans:
            return self._plans[plan_id]
        raise NotFound(f"no plan {plan_id!r}", hint="it may be long over: plan it anew", field="plan")

    def _carry_on(self, started: StartedRun) -> None:
        threading.Thread(target=self._drain, args=(started,), name=f"run {started.run.id}", daemon=True).start()

    def _drain(self, started: StartedRun) -> None:
        run, seen = started.run, started.events.published
        try:
            for number, event in enumerate(run.events(seen), seen):
                if started.publish(number, event):
                    self._news.publish([LiveEvent("run", run.id, run.summary.model_dump_json())])
        except Exception as error:  # noqa: BLE001  its last event has said so to those who follow it
            _LOG.warning("run.interrupted", run=run.id, reason=str(error))

    def _forget_plans(self) -> None:
        """Forget plans that have expired, and the oldest of too many."""
        now = datetime.now(UTC)
        for plan in [plan for plan in self._plans.values() if plan.expires_at < now]:
            del self._plans[plan.id]
        items = sum(len(plan.items) for plan in self._plans.values())
        while len(self._plans) > 1 and (len(self._plans) > _MOST or items > _MOST_ITEMS):
            _, plan = self._plans.popitem(last=False)
            items -= len(plan.items)

    def _forget_ended(self) -> None:
        """Forget the oldest of too many runs that have ended, with their plans: none of them is run again."""
        ended = [started for started in self._runs.values() if started.run.state in _ENDED]
        for started in ended[: max(len(self._runs) - _MOST, 0)]:
            del self._runs[started.run.id]
            self._plans.pop(started.summary.plan_id, None)
            started.events.close()
