"""The view is brought up to date over and over, and whoever looks at it is told how it is."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.operations import Unreachable
from services.control_room.control_room import refresh_pause
from services.control_room.live_events import Interest, LiveEvents
from services.control_room.settings import ControlRoomSettings
from services.control_room.view_updates import ViewStatus, ViewUpdates
from tests.component.control_room.conftest import RoomInMemory
from tests.support.order_messages import place_order


def test_it_is_told_that_the_view_is_current_again_though_there_was_something_to_read(room: RoomInMemory) -> None:
    # given a view that could not be brought up to date for a while
    told: list[ViewStatus] = []
    updates = ViewUpdates(
        room.room.view, lambda: 1.0, on_changes=lambda _: None, on_lost=lambda _: None, on_status=told.append
    )
    updates.update()
    updates._note_problem("Kafka: all brokers are down")

    # when Kafka is back, with records of meanwhile
    room.flow.flow.publish(place_order(order_id="o-1"))
    updates.update()

    # then pages that show the problem are told
    assert [status.problem for status in told] == [None, "Kafka: all brokers are down", None]


def test_a_view_that_is_built_says_how_far_it_is_and_one_that_is_read_on_is_not_said_to_be_built(
    room: RoomInMemory,
) -> None:
    # given a page that is looked at whenever something of the view has changed
    seen: list[bool] = []
    updates = ViewUpdates(
        room.room.view,
        lambda: 1.0,
        on_changes=lambda _: seen.append(updates.status.reading is not None),
        on_lost=lambda _: None,
        on_status=lambda _: None,
    )

    # when the view is built, and read on when another order comes
    room.flow.flow.publish(place_order(order_id="o-1"))
    updates.update()
    built = list(seen)
    seen.clear()
    room.flow.flow.publish(place_order(order_id="o-2"))
    updates.update()

    # then only the first is a view that is being built
    assert any(built)
    assert seen
    assert not any(seen)


class BrokenView:
    """A view that cannot be brought up to date."""

    feed = SimpleNamespace(subscribe=lambda: SimpleNamespace(take=lambda _: (), lost=0))

    def __init__(self, error: Exception) -> None:
        self._error, self.is_read = error, False

    def sync(self, _: object) -> None:
        raise self._error

    def as_of(self) -> None:
        if self.is_read:
            raise sqlite3.OperationalError("disk I/O error")
        self.is_read = True


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Unreachable("kafka:9092 does not answer"), "kafka:9092 does not answer"),
        (OSError("read-only"), "the view's file cannot be written: read-only"),
        (sqlite3.OperationalError("locked"), "the view's file cannot be written: locked"),
    ],
)
def test_a_view_that_is_not_brought_up_to_date_says_why_once(error: Exception, problem: str) -> None:
    told: list[ViewStatus] = []
    view: Any = BrokenView(error)
    changes, lost = list[Any](), list[int]()
    updates = ViewUpdates(view, lambda: 1.0, on_changes=changes.append, on_lost=lost.append, on_status=told.append)
    assert [updates.update(), updates.update()] == [False, False]
    assert (changes, lost) == ([], [])
    assert [(status.problem, status.as_of) for status in told] == [(problem, None)]
    assert updates.status.problem_since == told[0].problem_since


def test_the_view_is_brought_up_to_date_more_often_while_somebody_looks() -> None:
    async def pause_beside_a_page() -> float:
        live = LiveEvents()
        live.open(Interest())
        return refresh_pause(ControlRoomSettings(refresh_s=0.25), live)

    assert refresh_pause(ControlRoomSettings(refresh_s=0.25), LiveEvents()) == 1.0
    assert refresh_pause(ControlRoomSettings(refresh_s=5), LiveEvents()) == 5.0
    assert asyncio.run(pause_beside_a_page()) == 0.25


class ScriptedView:
    """A view that is brought up to date as it is told, of whose feed more and more is lost."""

    def __init__(self, *rounds: tuple[bool, int]) -> None:
        self._rounds, self._changes = iter(rounds), list[str]()
        self._subscription = SimpleNamespace(take=self._take, lost=0)
        self.feed = SimpleNamespace(subscribe=lambda: self._subscription)

    def _take(self, limit_s: float) -> list[str]:
        assert limit_s == 0
        taken, self._changes = self._changes, []
        return taken

    def sync(self, on_progress: Any) -> Any:
        is_current, self._subscription.lost = next(self._rounds)
        self._changes.append("before")
        on_progress(1, 2)
        self._changes.append("after")
        return SimpleNamespace(is_current=is_current, as_of=NOW)

    def as_of(self) -> datetime:
        return NOW


NOW = datetime.now(UTC)


def test_changes_are_handed_on_while_they_are_read_and_each_loss_is_told_once() -> None:
    told, lost, statuses = list[Any](), list[int](), list[ViewStatus]()
    view: Any = ScriptedView((True, 3), (True, 3), (False, 5), (True, 5))
    updates = ViewUpdates(view, lambda: 1.0, on_changes=told.append, on_lost=lost.append, on_status=statuses.append)
    assert [updates.update() for _ in range(4)] == [True, True, False, True]
    assert told == [["before"], ["after"]] * 4
    assert lost == [3, 2]
    assert [each.problem for each in statuses] == [
        "another process writes the view's file; is a second control room running here?", None,
    ]  # fmt: skip
    assert updates.status == ViewStatus(as_of=NOW)
