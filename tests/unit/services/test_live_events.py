"""Numbered events for streams: what each stream carries, from where on, and what it is told of what it missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from services.control_room.live_events import HEARTBEAT, Interest, LiveEvent, LiveEvents, LiveStream, TooManyStreams

T = TypeVar("T")
ALL = Interest()


def event(number: int, name: str = "order", key: str = "") -> LiveEvent:
    return LiveEvent(name, key or f"o-{number}", json.dumps({"number": number}))


def run(scenario: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, 30))


async def parts_of(stream: LiveStream, count: int, first: LiveEvent | None = None) -> list[str]:
    parts: Any = stream.parts(0.001, first)
    async with aclosing(parts):
        return [(await anext(parts)).decode() for _ in range(count)]


def numbers_in(part: str) -> list[int]:
    return [json.loads(line.removeprefix("data: "))["number"] for line in part.splitlines() if line[:6] == "data: "]


def published(count: int, **options: Any) -> LiveEvents:
    events = LiveEvents(**options)
    events.publish(event(number) for number in range(1, count + 1))
    return events


@pytest.mark.parametrize(
    ("interest", "taken"),
    [
        (ALL, {"order", "stock", "reset"}),
        (Interest(frozenset({"order"})), {"order", "reset"}),
        (Interest(frozenset({"order", "stock"}), "o-1"), {"order", "stock", "reset"}),
        (Interest(frozenset({"order"}), "o-2"), {"reset"}),
        (Interest(key="o-2"), {"reset"}),
    ],
)
def test_a_stream_takes_what_it_is_interested_in_and_each_reset(interest: Interest, taken: set[str]) -> None:
    assert {name for name in ("order", "stock", "reset") if interest.takes(LiveEvent(name, "o-1", "{}"))} == taken


@pytest.mark.parametrize(
    ("position", "lost", "numbers"),
    [(0, 2, [3, 4, 5]), (1, 1, [3, 4, 5]), (2, 0, [3, 4, 5]), (4, 0, [5]), (5, 0, [])],
)
def test_what_is_kept_is_given_and_what_is_not_counts_as_lost(position: int, lost: int, numbers: list[int]) -> None:
    taken = published(5, limit=3).after(position)
    assert (taken.lost, taken.position, taken.is_all) == (lost, 5, True)
    assert [each for _, wire in taken.events for each in numbers_in(wire.decode())] == numbers


@pytest.mark.parametrize(
    ("count", "parts"), [(500, [(500, True)]), (501, [(500, False), (501, True)]), (1000, [(500, False), (1000, True)])]
)
def test_many_events_come_in_parts(count: int, parts: list[tuple[int, bool]]) -> None:
    events, position, taken = published(count), 0, list[tuple[int, bool]]()
    while len(taken) < len(parts):
        part = events.after(position)
        position = part.position
        taken.append((position, part.is_all))
    assert taken == parts


def test_what_was_before_those_that_are_kept_comes_from_the_head() -> None:
    asked: list[tuple[int, int]] = []

    def head(start: int, end: int) -> Sequence[LiveEvent]:
        asked.append((start, end))
        return [event(number) for number in range(start + 1, end + 1)]

    events = published(5, limit=2, head=head)
    first, second = events.after(1), events.after(3)

    assert (first.lost, first.position, first.is_all) == (0, 3, False)
    assert [wire.decode().splitlines()[0] for _, wire in first.events] == [f"id: {events.id_at(n)}" for n in (2, 3)]
    assert (second.lost, second.position, second.is_all, len(second.events)) == (0, 5, True, 2)
    assert asked == [(1, 3)]


@pytest.mark.parametrize(
    ("last", "from_start", "numbers", "is_behind"),
    [
        (None, False, [], False),
        (None, True, [1, 2, 3], False),
        ("1", False, [2, 3], False),
        ("1", True, [2, 3], False),
        ("3", False, [], False),
        ("4", False, [], True),
        ("4", True, [1, 2, 3], False),
        ("x", False, [], True),
    ],
)
def test_a_stream_begins_where_its_browser_was(
    last: str | None, numbers: list[int], *, from_start: bool, is_behind: bool
) -> None:
    async def scenario() -> tuple[list[str], bool]:
        events = published(3)
        at = None if last is None else events.id_at(0)[:-1] + last
        with events.open(ALL, at, from_start=from_start) as stream:
            was_behind = stream.is_behind
            events.publish([event(9)])
            return await parts_of(stream, 2 if was_behind else 1), was_behind

    parts, was_behind = run(scenario())
    assert was_behind is is_behind
    assert numbers_in(parts[-1]) == [*numbers, 9]
    if is_behind:
        assert 'event: reset\ndata: {"lost": 0, "reason": "the control room was started anew' in parts[0]


def test_an_id_of_another_process_is_no_place_to_go_on_from() -> None:
    async def scenario() -> bool:
        with published(3).open(ALL, published(3).id_at(1)) as stream:
            return stream.is_behind

    assert run(scenario())


def test_a_stream_says_what_is_so_then_what_comes_then_that_it_is_still_there() -> None:
    async def scenario() -> tuple[LiveEvents, list[str]]:
        events = published(2)
        with events.open(Interest(frozenset({"order"}), "o-3")) as stream:
            events.publish([event(4), event(3), event(5)])
            return events, await parts_of(stream, 3, first=LiveEvent("view", "", "now"))

    events, parts = run(scenario())
    assert parts[0] == f"id: {events.id_at(2)}\nevent: view\ndata: now\n\n"
    assert parts[1] == f'id: {events.id_at(4)}\nevent: order\ndata: {{"number": 3}}\n\n'
    assert parts[2] == HEARTBEAT.decode()


def test_a_stream_that_was_too_slow_is_told_how_many_it_has_lost() -> None:
    async def scenario() -> list[str]:
        events = published(1, limit=2)
        with events.open(ALL) as stream:
            events.publish(event(number) for number in range(2, 7))
            return await parts_of(stream, 2)

    lost, rest = run(scenario())
    assert "event: reset" in lost
    assert '{"lost": 3, "reason": "the browser reads more slowly than things change"}' in lost
    assert numbers_in(rest) == [5, 6]


def test_there_are_no_more_streams_than_are_allowed_and_one_that_ends_makes_room() -> None:
    async def scenario() -> list[int]:
        events, counts = LiveEvents(max_streams=2), list[int]()
        with events.open(ALL):
            with events.open(ALL):
                counts.append(events.open_streams)
                with pytest.raises(TooManyStreams, match=r"^2 live streams are open"):
                    events.open(ALL)
            with events.open(ALL):
                counts.append(events.open_streams)
        counts.append(events.open_streams)
        return counts

    assert run(scenario()) == [2, 2, 0]


def test_a_wait_ends_with_the_next_event_or_the_end_of_all_or_its_limit() -> None:
    async def scenario() -> list[bool]:
        events = published(1_200)
        with events.open(ALL, from_start=True) as stream:
            stream.forget()
            waits = [await stream.wait(0.001)]
            events.publish([event(1)])
            waits.append(await stream.wait(20))
            stream.forget()
            waits.append(await stream.wait(0.001))
            events.close()
            waits.append(await stream.wait(20))
            assert events.is_closed
            assert [part async for part in stream.parts(20)] == []
            return waits

    assert run(scenario()) == [False, True, False, True]


def test_a_stream_whose_loop_has_ended_hinders_nobody() -> None:
    events = LiveEvents()

    async def leave_open() -> None:
        events.open(ALL)

    run(leave_open())
    events.publish([event(1)])
    events.close()
    assert events.published == 1
