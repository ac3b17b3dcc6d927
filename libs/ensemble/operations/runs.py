"""A plan that is carried out: a stream of events that can be watched, stopped and taken up again."""

from __future__ import annotations

import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeVar

from ensemble.operations.errors import NotPossible
from ensemble.operations.intent import Intent
from ensemble.operations.plans import Item, Plan, PlanItem
from ensemble.operations.rollout import Rollout
from ensemble.operations.run_events import (
    Acknowledged,
    Finished,
    Resolved,
    RunEvent,
    Stopped,
    Submitted,
    WaveFinished,
)
from ensemble.operations.values import Result

_LOOK_EVERY_S: Final = 0.1
ItemIn_contra = TypeVar("ItemIn_contra", bound=PlanItem, contravariant=True)


class RunState(StrEnum):
    """How far a run is."""

    READY = "ready"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """The process that carried it out has ended before it did. No run of this process is in this state."""


class RunSummary(Result):
    """A run in one row."""

    id: str
    plan_id: str
    intent: Intent
    rollout: Rollout
    state: RunState
    total: int
    succeeded: int
    failed: int

    @property
    def remaining(self) -> int:
        """How many items are not resolved."""
        return self.total - self.succeeded - self.failed


@dataclass(frozen=True)
class Verdict:
    """What became of one item."""

    outcome: str
    is_good: bool
    detail: str = ""


class RunTarget(Protocol[ItemIn_contra]):
    """What a run acts on. One thread at a time uses it."""

    def submit(self, items: Sequence[ItemIn_contra]) -> None:
        """Have these done. Submitted again after an interruption, they must have no second effect."""

    def look(self) -> None:
        """Take in what has happened since the last look."""

    def is_acknowledged(self, item: ItemIn_contra) -> bool:
        """Return whether the command was read."""

    def verdict(self, item: ItemIn_contra) -> Verdict | None:
        """Return what became of the item, None while that is open."""

    def verdict_when_late(self, item: ItemIn_contra) -> Verdict:
        """Return what is said of an item whose time is up."""


class EventStream(ABC):
    """Work that goes on as events are asked for. It is done by the threads that iterate, and does not go on without.

    Any number of threads may iterate at once: each gets every event from the first on, one of them does the work
    meanwhile. Any thread may stop it.
    """

    def __init__(self, plan: Plan[Any], intent: Intent, rollout: Rollout, total: int) -> None:
        """Take what is to be done, for `total` things; nothing is done yet. Raises NotPossible if it has expired."""
        plan.require_current()
        self.id = secrets.token_hex(8)
        self._plan_id, self._intent, self._rollout, self._total = plan.id, intent, rollout, total
        self._resolved: dict[str, bool] = {}
        self._counts = (0, 0)  # replaced as a whole: any thread reads it
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._history: list[RunEvent] = []
        self.state = RunState.READY
        self._stream = self._play()

    @property
    def summary(self) -> RunSummary:
        """The run as it is now."""
        succeeded, failed = self._counts
        return RunSummary(
            id=self.id, plan_id=self._plan_id, intent=self._intent, rollout=self._rollout, state=self.state,
            total=max(self._total, succeeded + failed), succeeded=succeeded, failed=failed,
        )  # fmt: skip

    @property
    def history(self) -> tuple[RunEvent, ...]:
        """Every event so far; unlike an iteration over `events`, this does none of the work."""
        return tuple(self._history)

    def events(self, after: int = 0) -> Iterator[RunEvent]:
        """Yield every event but the first `after`, the last one Finished or Stopped; work on where nobody else does.

        Raises what the work raises: OperationsError, or an error of Kafka. It is Stopped then and can be resumed.
        """
        seen = after
        while True:
            if seen >= len(self._history):
                with self._lock:
                    if seen >= len(self._history) and not self._advance():
                        return
            if seen < len(self._history):
                yield self._history[seen]
                seen += 1

    def stop(self) -> None:
        """Have it stop before its next wave. What was submitted is still followed until it is resolved."""
        self._stopping.set()

    def resume(self) -> None:
        """Have a run that was stopped go on with what is not resolved. Raises NotPossible in any other state."""
        with self._lock:
            if self.state is not RunState.STOPPED:
                raise NotPossible(f"run {self.id} is {self.state}, so it cannot be resumed", subject=self.id)
            self._stopping.clear()
            self.state, self._stream = RunState.READY, self._play()

    def take_up(self, past: RunSummary, events: Sequence[RunEvent]) -> None:
        """Go on with a run whose process has ended: under its id, with its events, and without what they resolved.

        With the plan and the intent of then, what was submitted has no second effect. Call it before any event is
        asked for.
        """
        self.id, self._total = past.id, past.total
        self._history[:] = events
        for event in events:
            if isinstance(event, Resolved):
                self._count(event)

    def close(self) -> None:
        """Give back the connections of a run that nobody iterates over to its end. It is stopped then."""
        with self._lock:
            self._stream.close()
            if self.state is RunState.RUNNING:
                self.state = RunState.STOPPED

    @abstractmethod
    def _work(self) -> Generator[RunEvent, None, Stopped | Finished]:
        """Do the work, from what is not resolved on, and return the last event: nothing is held open by then."""

    def _play(self) -> Generator[RunEvent, None, None]:
        """Yield the events of the work and then its end, after which a run may be kept for as long as one likes."""
        try:
            last = yield from self._work()
        except Exception as error:
            yield Stopped(why="error", detail=str(error), remaining=self.summary.remaining)
            raise
        yield last

    def _advance(self) -> bool:
        """Append the next event; returns whether there was one. Called with the lock."""
        event = next(self._stream, None)
        if event is None:
            return False
        match event:
            case Stopped():
                self.state = RunState.STOPPED
            case Finished():
                self.state = RunState.FINISHED
            case _:
                self.state = RunState.RUNNING
        if isinstance(event, Resolved):
            self._count(event)
        self._history.append(event)
        return True

    def _count(self, event: Resolved) -> None:
        """Count an item as what it has become last; a stage may resolve what one before has resolved."""
        succeeded, failed = self._counts
        before = self._resolved.get(event.name)
        self._resolved[event.name] = event.is_good
        succeeded += event.is_good - (before is True)
        failed += (not event.is_good) - (before is False)
        self._counts = (succeeded, failed)


class Run(EventStream, Generic[Item]):
    """One execution of a plan."""

    def __init__(
        self,
        plan: Plan[Item],
        intent: Intent,
        rollout: Rollout,
        open_target: Callable[[], AbstractContextManager[RunTarget[Item]]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what is to be done; nothing is done yet. Raises NotPossible if the plan has expired."""
        super().__init__(plan, intent, rollout, len(plan.items))
        self._plan, self._open = plan, open_target
        self._clock, self._sleep = clock, sleep
        self._numbers = count(0 if rollout.probe and not rollout.stop_on_failure else 1)

    def take_up(self, past: RunSummary, events: Sequence[RunEvent]) -> None:
        super().take_up(past, events)
        waves = [event.wave for event in events if isinstance(event, Submitted)]
        self._numbers = count(max(waves, default=next(self._numbers) - 1) + 1)

    # -- doing it -------------------------------------------------------------------------------------------------

    def _work(self) -> Generator[RunEvent, None, Stopped | Finished]:
        items = [item for item in self._plan.items if item.name not in self._resolved]
        remaining = len(items)
        with self._open() as target:
            for group in self._rollout.split(items):
                if self._stopping.is_set():
                    break
                wave = yield from self._wave(target, group)
                remaining -= len(wave.names)
                if self._rollout.stops_after(len(wave.failed), len(wave.names)):
                    return Stopped(why="too_many_failed", remaining=remaining)
        if remaining:
            return Stopped(why="requested", remaining=remaining)
        succeeded, failed = self._counts
        return Finished(succeeded=succeeded, failed=failed)

    def _wave(self, target: RunTarget[Item], group: Sequence[Item]) -> Generator[RunEvent, None, WaveFinished]:
        number = next(self._numbers)
        submitted = yield from self._submit(target, group, number)
        failed = yield from self._follow(target, submitted, number)
        wave = WaveFinished(wave=number, names=tuple(item.name for item in submitted), failed=tuple(failed))
        yield wave
        return wave

    def _submit(
        self, target: RunTarget[Item], group: Sequence[Item], number: int
    ) -> Generator[RunEvent, None, list[Item]]:
        """Submit them together, or one by one at the rate; returns those that were submitted before a stop."""
        rate, submitted = self._rollout.rate, list[Item]()
        for chunk in [group] if rate is None else [[item] for item in group]:
            if rate is not None and self._stopping.is_set():
                break
            began = self._clock()
            target.submit(chunk)
            submitted += chunk
            for item in chunk:
                yield Submitted(name=item.name, wave=number)
            if rate is not None:
                self._sleep(max(0.0, 1 / rate - (self._clock() - began)))
        return submitted

    def _follow(
        self, target: RunTarget[Item], items: Sequence[Item], number: int
    ) -> Generator[RunEvent, None, list[str]]:
        """Look until all are resolved or the time is up; returns the names of those that failed."""
        limit, unresolved, failed, acknowledged = self._clock() + self._rollout.timeout_s, list(items), [], set()
        while unresolved:
            is_late = self._clock() >= limit
            target.look()
            waiting = []
            for item in unresolved:
                if item.name not in acknowledged and target.is_acknowledged(item):
                    acknowledged.add(item.name)
                    yield Acknowledged(name=item.name, wave=number)
                verdict = self._verdict(target, item, is_heard=item.name in acknowledged, is_late=is_late)
                if verdict is None:
                    waiting.append(item)
                    continue
                failed += [] if verdict.is_good else [item.name]
                yield Resolved(name=item.name, wave=number, **vars(verdict))
            unresolved = waiting
            if unresolved:
                self._sleep(_LOOK_EVERY_S)
        return failed

    def _verdict(self, target: RunTarget[Item], item: Item, *, is_heard: bool, is_late: bool) -> Verdict | None:
        verdict = target.verdict(item)
        if verdict is None and is_heard and self._rollout.wait_for == "acknowledgement":
            return Verdict("acknowledged", is_good=True)
        return target.verdict_when_late(item) if verdict is None and is_late else verdict


class RunSequence(EventStream):
    """Runs one after the other, as one. Each is made when the one before has finished."""

    def __init__(
        self, next_run: Callable[[], EventStream | None], plan: Plan[Any], intent: Intent, rollout: Rollout, *,
        total: int,
    ) -> None:  # fmt: skip
        """Take what makes the next run, and what they carry out; a stop ends the sequence with the run under way.

        `next_run` returns None after the last one. When it raises, it is called again once the sequence is resumed.
        """
        super().__init__(plan, intent, rollout, total)
        self._next_run, self._seen = next_run, 0
        self._stage: EventStream | None = None
        self._totals = [0, 0]

    def take_up(self, past: RunSummary, events: Sequence[RunEvent]) -> None:
        super().take_up(past, events)
        self._totals = list(self._counts)

    def stop(self) -> None:
        super().stop()
        if (stage := self._stage) is not None:
            stage.stop()

    def close(self) -> None:
        super().close()
        if (stage := self._stage) is not None:
            stage.close()

    def _work(self) -> Generator[RunEvent, None, Stopped | Finished]:
        while (stage := self._current_stage()) is not None:
            if stage.state is RunState.STOPPED:
                stage.resume()
            for event in stage.events(self._seen):
                self._seen += 1
                match event:
                    case Stopped(why="error"):
                        pass  # the stage raises it next
                    case Stopped():
                        return event
                    case Finished():
                        self._totals = [self._totals[0] + event.succeeded, self._totals[1] + event.failed]
                    case _:
                        yield event
            self._stage, self._seen = None, 0
            if self._stopping.is_set():
                return Stopped(why="requested", remaining=0)
        return Finished(succeeded=self._totals[0], failed=self._totals[1])

    def _current_stage(self) -> EventStream | None:
        if self._stage is None:
            self._stage = self._next_run()
            if self._stage is not None and self._stopping.is_set():
                self._stage.stop()  # whoever asked for it could not reach this run yet
        return self._stage
