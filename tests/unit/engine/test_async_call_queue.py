"""The calls of one partition: queued by key, in flight, and given up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.engine.async_calls import AsyncCall, AsyncCalls, first_finished


def call(key: bytes, *, is_parked: bool = False) -> AsyncCall:
    item: Any = SimpleNamespace(key=key)
    layer: Any = None
    return AsyncCall(item, layer, is_parked=is_parked)


def queue(*calls: AsyncCall) -> AsyncCalls:
    queued = AsyncCalls()
    for each in calls:
        queued.add(each)
    return queued


async def never() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("no")


def test_calls_of_a_key_are_taken_in_their_order_and_the_key_is_free_then() -> None:
    first, second, other = call(b"a"), call(b"a"), call(b"b")
    calls = queue(first, other, second)
    assert [calls.has(key) for key in (b"a", b"b", b"c")] == [True, True, False]
    assert [calls.take_next(b"a") for _ in range(3)] == [first, second, None]
    assert (calls.has(b"a"), list(calls.queued)) == (False, [b"b"])
    assert calls.take_next(b"c") is None


def test_what_waits_behind_a_parked_head_is_taken_without_it() -> None:
    head, waiting = call(b"a", is_parked=True), call(b"a")
    calls = queue(head, waiting)
    assert calls.take_waiting(b"a") == [waiting]
    assert list(calls.queued[b"a"]) == [head]


@pytest.mark.parametrize("give_up", [AsyncCalls.abort, AsyncCalls.close])
def test_what_is_queued_is_given_up_once(give_up: Any) -> None:
    first, second, other = call(b"a"), call(b"a"), call(b"b")
    calls = queue(first, other, second)
    assert give_up(calls) == [first, second, other]
    assert (give_up(calls), calls.queued) == ([], {})


def test_of_a_key_the_head_alone_is_cancelled() -> None:
    head, waiting, other = call(b"a", is_parked=True), call(b"a"), call(b"b", is_parked=True)
    calls = queue(head, waiting, other)
    assert (calls.cancel(b"a"), calls.cancel(b"a"), calls.cancel(b"c")) == ([head], [], [])
    assert {key: list(queued) for key, queued in calls.queued.items()} == {b"a": [waiting], b"b": [other]}


@pytest.mark.parametrize(
    ("give_up", "left"),
    [
        (lambda calls: calls.abort(), [b"a"]),
        (lambda calls: calls.close(), []),
        (lambda calls: calls.cancel(b"b"), [b"a"]),
    ],
)
def test_calls_in_flight_are_cancelled_with_the_batch_that_made_them_or_with_the_partition(
    give_up: Any, left: list[bytes]
) -> None:
    async def run() -> None:
        # given a call in flight of a batch that was committed, and one of a batch that is not yet
        calls, made = AsyncCalls(), dict[bytes, asyncio.Task[None]]()
        for key in (b"a", b"b"):
            made[key] = asyncio.create_task(calls.make(call(key), never()))
            await asyncio.sleep(0)
            [left_running] = calls.leave_running()
            assert (left_running.key, left_running.is_in_flight, calls.has(key)) == (key, True, True)
            if key == b"a":
                calls.commit()

        # when the calls are given up, then those that were are cancelled, and the others go on
        given_up = [each.key for each in give_up(calls)]
        await asyncio.sleep(0)
        assert (given_up, list(calls.in_flight)) == ([key for key in made if key not in left], left)
        assert [key for key, task in made.items() if not task.done()] == left
        for each in made.values():
            each.cancel()

    asyncio.run(run())


def test_a_call_that_has_come_back_is_taken_once_with_its_error() -> None:
    async def run() -> None:
        # given one call that fails and one that lasts
        calls, gate = AsyncCalls(), asyncio.Event()

        async def fail_later() -> None:
            await gate.wait()
            await fail()

        tasks = [
            asyncio.create_task(calls.make(call(b"b"), never())),
            asyncio.create_task(calls.make(call(b"a"), fail_later())),
        ]
        await asyncio.sleep(0)
        calls.leave_running()
        assert (calls.has_finished, calls.take_finished()) == (False, [])

        # when one is waited for that comes back
        gate.set()
        await first_finished(calls.in_flight.values(), 60)

        # then it is the one that has come back
        assert calls.has_finished
        [finished] = calls.take_finished()
        assert (finished.key, repr(finished.error), finished.has_finished) == (b"a", "ValueError('no')", True)
        assert (calls.take_finished(), calls.has_finished, list(calls.in_flight)) == ([], False, [b"b"])
        tasks[0].cancel()

    asyncio.run(run())


def test_a_call_that_ends_within_its_batch_is_left_nowhere() -> None:
    async def run() -> None:
        calls, failed = AsyncCalls(), call(b"a")
        await calls.make(failed, fail())
        assert (repr(failed.error), failed.is_in_flight) == ("ValueError('no')", False)
        assert (calls.leave_running(), calls.in_flight) == ([], {})
        await first_finished([], 60)

    asyncio.run(run())
