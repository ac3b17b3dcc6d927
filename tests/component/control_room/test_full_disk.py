"""A full disk: what cannot be kept is not done, what was kept is shown, and both are said."""

from __future__ import annotations

import sqlite3
from typing import Any

from services.control_room.own_file import OwnFile
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_placing import placed, post
from tests.support.order_messages import place_order

_MOST_TRIES = 100


def fill(file: OwnFile) -> None:
    """Let the file grow no more, as on a disk without room."""
    with file.transaction() as db:
        _stop_growth(db)


def _stop_growth(db: sqlite3.Connection) -> None:
    [pages] = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")


def first_refusal(room: RoomInMemory) -> tuple[int, Any]:
    """Place orders until one is refused; return how many were placed before, and the refusal."""
    for number in range(_MOST_TRIES):
        response = post(room, f"key-{number}")
        if response.status_code != 202:
            return number, response
    raise AssertionError("the disk was never full")


def test_an_order_whose_request_cannot_be_kept_is_not_placed_and_the_answer_says_why(room: RoomInMemory) -> None:
    room.update()
    fill(room.room.requests._file)

    count, refused = first_refusal(room)

    assert refused.status_code == 503
    assert "is its disk full?" in refused.json()["detail"]
    assert len(placed(room)) == count


def test_a_view_that_cannot_be_written_shows_the_last_known_and_says_since_when(room: RoomInMemory) -> None:
    # given a view, and then a disk that is full
    room.flow.flow.publish(place_order(order_id="o-1"))
    room.update()
    with room.room.view._storage.writing() as db:
        _stop_growth(db)

    # when more happens than has room
    for number in range(_MOST_TRIES):
        room.flow.flow.publish(place_order(order_id=f"more-{number}"))
    room.flow.settle()
    is_current = room.room.updates.update()
    page = room.browser.get("/orders")

    # then the page shows what it had
    assert not is_current
    assert page.status_code == 200
    assert "o-1" in page.text
    assert "database or disk is full" in page.text
