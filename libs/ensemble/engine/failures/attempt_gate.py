"""What has to end before a record may be tried: an operator's pause of its type, or an outage of its handler."""

from __future__ import annotations

from typing import Any

from ensemble.engine.batch import Batch
from ensemble.engine.failures.handling import OUTAGE, POLICY, Failures
from ensemble.engine.routes import FailureRule, Route
from ensemble.messages.message import Command
from ensemble.system_messages.state import ParkedKey, ParkedStatus


class AttemptGate:
    """The blocks of one partition. A parked key names the one that it waits for in `blocked_on`."""

    def __init__(self, batch: Batch, failures: Failures) -> None:
        self._batch, self._failures = batch, failures
        self._parking, self._pauses = batch.stores.parking, batch.stores.pauses
        self._outages = batch.breakers

    @property
    def service_is_paused(self) -> bool:
        """The whole service is. A conductor goes on recording answers; it asks before it sends."""
        paused, plan = self._pauses.paused, self._batch.plan
        return bool(paused) and ("service", plan.service.name) in paused and not plan.asks_for_pauses

    def on(self, key: bytes, route: Route) -> str:
        """Return what a record has to wait for, or "" if it may be tried. That attempt may be a probe."""
        paused = self._pauses.paused
        if paused and ("command", route.rule.name) in paused and issubclass(route.message, Command):
            return f"command/{route.rule.name}"
        return self.out(key, route.rule)

    def out(self, key: bytes, rule: FailureRule) -> str:
        """Return what `on` returns, without pauses of command types (timers have none)."""
        return "" if self._failures.may_try(rule.handler, key) else f"{OUTAGE}/{rule.handler}"

    def hold(self, key: bytes, what: str) -> None:
        """Let a parked key wait for `what` to end."""
        self._change(key, status=status_of(what), blocked_on=what, due_at=None)

    def release(self, what: str) -> int:
        """Let the keys go on that waited for `what` to end; returns how many."""
        keys = self._parking.blocked_on(what)
        for key in keys:
            self.try_now(key)
        return len(keys)

    def try_now(self, key: bytes) -> None:
        """Its head is due, as if it had never failed."""
        fresh = {"status": "retrying", "due_at": self._batch.now, "blocked_on": ""}
        self._change(key, **fresh, attempts=0, first_failed_at=None)

    def _change(self, key: bytes, **changes: Any) -> None:
        entry: ParkedKey | None = self._parking.entry(key)
        if entry is not None:
            self._parking.update(key, entry.model_copy(update=changes))

    # -- what has ended, and whose turn it is to find out ----------------------------------------------------------

    @property
    def ended(self) -> list[str]:
        """What keys still wait for, though it is over."""
        return [what for what in self._parking.blockers if self._has_ended(what)]

    def next_probe(self) -> int | None:
        """When an outage that keys here wait for may be probed, epoch milliseconds."""
        dues = (self._outages.probe_at(handler) for handler in self._out())
        return min((due for due in dues if due is not None), default=None)

    def probes(self, now: int) -> list[bytes]:
        """One key for each handler whose probe is due."""
        due = [handler for handler in self._out() if (at := self._outages.probe_at(handler)) is not None and at <= now]
        return [key for handler in due for key in self._parking.blocked_on(f"{OUTAGE}/{handler}")[:1]]

    def _has_ended(self, what: str) -> bool:
        scope, _, name = what.partition("/")
        if scope == OUTAGE:
            return not self._outages.is_open(name)
        return scope != POLICY and (scope, name) not in self._pauses.paused

    def _out(self) -> list[str]:
        """Return the handlers with an open circuit for which keys of this partition wait."""
        return [what.removeprefix(f"{OUTAGE}/") for what in self._parking.blockers if what.startswith(f"{OUTAGE}/")]


def status_of(what: str) -> ParkedStatus:
    """How a key is held back that waits for `what`."""
    return "outage" if what.startswith(f"{OUTAGE}/") else "paused"
