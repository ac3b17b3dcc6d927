"""Whose turn it is in a flow, and which of its records a service takes: in order, by a seed, or every way there is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Final, Protocol

from ensemble.clock import rfc3339
from ensemble.errors import EnsembleError
from ensemble.messages.records import StoredRecord
from ensemble.testing.process import BATCH_RECORDS, MemoryProcess

Turn = tuple[MemoryProcess, Sequence[StoredRecord]]
"""A process, and the records of its next batch; none: timers, retries and calls alone."""
_MOST_AT_ONCE: Final = 1_000
"""A time that is still due after so many batches is due for ever."""
_SIZES: Final = (1, 1, 2, 5, BATCH_RECORDS)


class FlowError(EnsembleError):
    """What was asked of a flow in memory cannot be; the message says what, and which services are busy."""


def time_after(now: int, seconds: float) -> int:
    """Return the time in so many seconds. Raises FlowError for what would turn it back, or is no number of seconds."""
    if not 0 <= seconds < inf:
        raise FlowError(f"time moves on: {seconds} is no number of seconds to move it by")
    return now + round(seconds * 1000)


def due_times(next_due: Callable[[], int | None], until: int) -> Iterator[int]:
    """Yield what falls due up to this time, one after the other, until nothing does.

    Raises FlowError if the same time is due again and again.
    """
    last, times = None, 0
    while (due := next_due()) is not None and due <= until:
        last, times = due, times + 1 if due == last else 1
        if times > _MOST_AT_ONCE:
            raise FlowError(f"{rfc3339(due)} was due {times} times in a row. Does a timer set itself anew at its time?")
        yield due


class Schedule(Protocol):
    """Decides which batch comes next. A topic's partition is always read in order."""

    def choose(self, busy: Sequence[MemoryProcess], digest: Callable[[], int]) -> Turn:
        """Return the next batch. `busy` has one process at least; `digest` tells one situation of the flow by a number.

        Equal situations have equal futures, as far as the schedule decides them.
        """


class InTurn:
    """One service after the other, as they were given; each takes all that there is, in the order it was written."""

    def __init__(self) -> None:
        self._order: dict[int, int] = {}

    def choose(self, busy: Sequence[MemoryProcess], digest: Callable[[], int]) -> Turn:  # noqa: ARG002  of the protocol
        """Return the whole batch of the process that has waited longest."""
        process = min(busy, key=lambda one: self._order.get(id(one), -1))
        self._order[id(process)] = max(self._order.values(), default=0) + 1
        return process, process.poll()


class Seeded:
    """Services, partitions and sizes of batches by chance; the same seed chooses the same again."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, busy: Sequence[MemoryProcess], digest: Callable[[], int]) -> Turn:  # noqa: ARG002  of the protocol
        """Return a batch of a process by chance, its partitions mixed by chance."""
        process, size = self._random.choice(busy), self._random.choice(_SIZES)
        queues = [list(process.topics.read(place, process.position(place), size))[::-1] for place in process.readable()]
        batch: list[StoredRecord] = []
        while queues and len(batch) < size:
            queue = self._random.choice(queues)
            batch.append(queue.pop()[1])
            queues = [each for each in queues if each]
        return process, batch


class Interleavings:
    """Every order in which services can take their records one by one: iterate, and make one driver in each turn.

        orders = Interleavings()
        for _ in orders:
            flow = FlowTestDriver(services(), interleavings=orders)
            flow.publish(...)
            flow.run()
            assert ...
        assert orders.are_complete

    What leads to the same records in all topics, at the same time, with the same crashes ahead, is the same: it is
    followed once. The scenario has to be deterministic, and what an adapter answers to one key must not depend on
    other keys.
    """

    def __init__(self, limit: int = 10_000, only: Sequence[int] | None = None) -> None:
        """Try `limit` orders at most; with `only`, the one whose `choices` these were."""
        self._limit, self._only = limit, only
        self._path = [[choice, -1] for choice in only or ()]
        self._seen: set[int] = set()
        self._depth = 0
        self.count = 0
        """How many orders were tried."""
        self.are_complete = False
        """Whether there is no order left that was not tried."""

    def __iter__(self) -> Iterator[int]:
        """Yield the number of each order, from 0 on."""
        for number in range(1 if self._only is not None else self._limit):
            self._depth = 0
            yield number
            self.count = number + 1
            if not self._move_on():
                self.are_complete = self._only is None
                return

    @property
    def choices(self) -> tuple[int, ...]:
        """What was chosen so far in this order: `Interleavings(only=choices)` repeats it."""
        return tuple(choice for choice, _ in self._path[: self._depth])

    def choose(self, busy: Sequence[MemoryProcess], digest: Callable[[], int]) -> Turn:
        """Return the next batch of this order: one record, or none where timers, retries or calls are due."""
        turns: list[Turn] = []
        for process in busy:
            turns += [(process, [next(_next_of(process, place))]) for place in process.readable()]
            turns += [(process, [])] if process.is_due else []
        return turns[self._choose_of(len(turns), digest())]

    def _choose_of(self, width: int, digest: int) -> int:
        if self._depth == len(self._path):
            self._path.append([0, 1 if digest in self._seen else width])
            self._seen.add(digest)
        step = self._path[self._depth]
        self._depth += 1
        if step[0] >= width:
            raise FlowError(f"choice {self._depth} was one of more than {width} before: the scenario differs each time")
        return step[0]

    def _move_on(self) -> bool:
        """Turn to the next order. Return whether there is one."""
        del self._path[self._depth :]
        while self._path and self._path[-1][0] + 1 >= self._path[-1][1]:
            self._path.pop()
        if self._path:
            self._path[-1][0] += 1
        return bool(self._path)


def _next_of(process: MemoryProcess, place: tuple[str, int]) -> Iterator[StoredRecord]:
    return (record for _, record in process.topics.read(place, process.position(place)))
