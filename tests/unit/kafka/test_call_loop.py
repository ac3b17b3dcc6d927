"""A call is judged by the time in which its answer could be heard, not by what the loop's thread did meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ensemble.kafka.worker.call_loop import CallLoop

TIMEOUT_S = 3.0


class TurnedClock:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A call loop, and the provider's end of a connection."""

    clock: TurnedClock
    calls: CallLoop
    ours: socket.socket
    theirs: socket.socket
    outcomes: list[str] = field(default_factory=list)
    running: asyncio.Task[None] | None = None

    def call(self) -> None:
        """Make a call that stays in flight."""
        self.calls.run(self._begin(), has_calls=False)

    def turn(self, *, has_calls: bool = True) -> None:
        """Run the loop for a moment, as between two batches."""
        self.calls.run(asyncio.sleep(0), has_calls=has_calls)

    async def _begin(self) -> None:
        self.running = asyncio.create_task(self._ask())
        await asyncio.sleep(0)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await loop.sock_recv(self.ours, 6)
                for _ in range(3):  # as a client library takes to hand it on
                    await asyncio.sleep(0)
                self.outcomes.append(answer.decode())
        except TimeoutError:
            self.outcomes.append("timeout")


@pytest.fixture
def world() -> Iterator[World]:
    clock, (ours, theirs) = TurnedClock(), socket.socketpair()
    ours.setblocking(False)
    world = World(clock, CallLoop(clock), ours, theirs)
    yield world
    world.calls.close()
    ours.close()
    theirs.close()


def test_an_answer_that_came_during_a_slow_commit_counts(world: World) -> None:
    world.call()
    world.theirs.send(b"answer")
    world.clock.now += 10 * TIMEOUT_S
    world.turn()
    assert world.outcomes == ["answer"]


def test_an_answer_is_heard_before_a_timer_that_is_due_by_now(world: World) -> None:
    """Also where all of the time counts, since each pause was short."""
    world.call()
    for _ in range(11):
        world.clock.now += 0.25
        world.turn()
    world.theirs.send(b"answer")
    world.clock.now += 0.25
    world.turn()
    assert world.outcomes == ["answer"]


def test_time_in_which_nobody_could_listen_does_not_count(world: World) -> None:
    world.call()
    for _ in range(5):
        world.clock.now += 10 * TIMEOUT_S
        world.turn()
    world.theirs.send(b"answer")
    world.turn()
    assert world.outcomes == ["answer"]


def test_a_silent_provider_is_not_waited_for_for_ever(world: World) -> None:
    """However long each turn of other work takes, a part of it counts."""
    world.call()
    for _ in range(11):
        world.clock.now += 10
        world.turn()
    assert world.outcomes == []
    world.clock.now += 10
    world.turn()
    assert world.outcomes == ["timeout"]


def test_a_pause_without_calls_counts_in_full(world: World) -> None:
    """So connections that were idle for long are seen to be old."""
    times: list[float] = []

    async def note() -> None:
        times.append(asyncio.get_running_loop().time())

    world.calls.run(note(), has_calls=False)
    world.clock.now += 60
    world.calls.run(note(), has_calls=False)
    assert times[1] - times[0] == 60
