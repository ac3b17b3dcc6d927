"""Says when a batch is committed: at once if somebody waits for it, together with a later one if nobody does.

A transaction costs about the same however little it holds. What only changes the service's own state is awaited by
nobody: this process alone reads it, and the next batch has a transaction anyway, as a rule moments later
(see docs/adr/0043-state-alone-waits.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from ensemble.engine.compiled import CompiledService
from ensemble.engine.task import PartitionTask

_STATE_S: Final = 0.1
"""For so long at most changes of state wait for a batch that somebody waits for."""
_OFFSETS_S: Final = 1.0
"""So do offsets of records that had no effect, and of commit markers."""
_LONG_S: Final = 5.0
"""The group may have lost its patience with a batch that took longer: its commit tells which record is to blame."""
_FEW: Final = 20
"""What a partition has handled beyond that is worth a transaction, and would make a later one long."""


class CommitTime:
    """Knows until when what was done since the last commit may wait for another batch."""

    def __init__(self, plan: CompiledService, now: Callable[[], float] = time.perf_counter) -> None:
        """Begin with nothing to commit; `now` counts seconds, for the loop as well.

        A service with async handlers commits at once: after a crash, what they did elsewhere would be done again.
        """
        self.now, self._ledgers = now, frozenset(topic.name for topic in plan.service.ledgers)
        routes = (route for each in plan.inputs.values() for route in each.routes.values())
        self._state_s = 0.0 if any(route.is_async for route in routes) else _STATE_S
        self.holds_state = False
        """Whether a batch that has changed state waits."""
        self._state_until = self._offsets_until = inf

    def shorten(self, wait_s: float) -> float:
        """Return `wait_s`, or what is left until a batch that waits has to be committed."""
        return max(0.0, min(wait_s, self._state_until - self.now()))

    def is_now(
        self, moved: Sequence[PartitionTask], dirty: Sequence[PartitionTask], *, batch_s: float, at_once: bool
    ) -> bool:
        """Return whether to commit now what `moved` did; of these, `dirty` have more to write than offsets.

        `batch_s` says how long the batch has taken, and `at_once` that none that has more to write may wait.
        """
        if not moved:
            self.commit()
            return False
        if batch_s > _LONG_S or (dirty and (at_once or any(self._is_awaited(task) for task in dirty))):
            return True
        now = self.now()
        self._offsets_until = min(self._offsets_until, now + _OFFSETS_S)
        self.holds_state = bool(dirty)
        self._state_until = min(self._state_until, now + self._state_s) if dirty else inf
        return now >= min(self._state_until, self._offsets_until)

    def commit(self) -> None:
        """Note that nothing waits any more."""
        self.holds_state, self._state_until, self._offsets_until = False, inf, inf

    def _is_awaited(self, task: PartitionTask) -> bool:
        """Return whether a batch did more than to handle a few records, change state, and append to a ledger."""
        counts, parking, timers = task.counts, task.stores.parking, task.stores.timers
        if counts.handled > _FEW or counts.failures or counts.timers or parking.is_dirty:
            return True
        if timers is not None and timers.is_dirty:
            return True
        return any(output[0] not in self._ledgers for output in task.outputs)
