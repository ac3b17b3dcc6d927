"""Finds out what a loop has to do without records, and how long it may wait for one until then."""

from __future__ import annotations

from typing import Final

from ensemble.engine.async_calls import AsyncCall
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.deadline_gate import DeadlineGate
from ensemble.service.ports import Clock

_GATE_PAUSE_S: Final = 0.02
"""Timers whose inputs are not read far enough are looked at again this often."""
_SHORTEST_S: Final = 0.001


class Wakeups:
    """Watches timers, retries of parked keys and calls in flight of all tasks that run."""

    def __init__(self, clock: Clock, assignment: Assignment, gate: DeadlineGate, poll_s: float) -> None:
        self._clock, self._assignment, self._gate, self._poll_s = clock, assignment, gate, poll_s

    def wait_s(self) -> float:
        """Return how long to wait for a record: until something is due, `poll_s` at most."""
        if self.in_flight():
            return 0.0
        due = self._next_due()
        wait_s = self._poll_s if due is None else (due - self._clock.now()) / 1000
        if wait_s <= 0 and self._gate.waits_for(self._assignment.running):
            wait_s = _GATE_PAUSE_S
        return min(max(wait_s, _SHORTEST_S), self._poll_s)

    @property
    def has_something(self) -> bool:
        """Whether a timer or a retry is due, or a call that was left in flight has ended."""
        due = self._next_due()
        has_finished = any(task.calls.has_finished for task in self._assignment.running.values())
        return has_finished or (due is not None and due <= self._clock.now())

    def in_flight(self) -> list[AsyncCall]:
        """Return the calls in flight, with those that have finished since the last batch."""
        return [call for task in self._assignment.running.values() for call in task.calls.in_flight.values()]

    def _next_due(self) -> int | None:
        times = (task.next_due() for task in self._assignment.running.values())
        return min((due for due in times if due is not None), default=None)
